"""llava_qwen made a folder of transformers' layout: the same bits under other names, of any kind of file, and read by
transformers with the original's numbers."""

import json

import numpy as np
import pytest
import torch
import transformers
from safetensors import safe_open

import original_folders as folders
import original_vlms as original
from unisim.weights import tensor_plan, vlm

pytest_plugins = ["convert_vlm_command"]

TOWER = "model.vision_tower.vision_tower.vision_model."


def renamed(tensors):
    """By the rules of the layout's description."""
    made = {}
    for name, tensor in tensors.items():
        if name.startswith(TOWER):
            new = "vision_tower." + name.removeprefix(TOWER)
        elif name.startswith("model.mm_projector."):
            new = name.replace("model.mm_projector.0", "multi_modal_projector.linear_1")
            new = new.replace("model.mm_projector.2", "multi_modal_projector.linear_2")
        elif name == "model.image_newline":
            new = "image_newline"
        else:
            new = f"language_model.{name}"
        made[new] = tensor
    return made


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "original"


@pytest.fixture
def siglip(tmp_path):
    """SigLIP's folder, which says what the small tower is; and its model."""
    return tmp_path / "siglip", folders.siglip_folder(tmp_path / "siglip")


@pytest.mark.parametrize(
    "kind, shards, dtype",
    [
        ("safetensors", 1, torch.bfloat16),
        ("safetensors", 3, torch.float16),
        ("bin", 1, torch.float32),
        ("bin", 2, torch.bfloat16),
    ],
)
def test_tensors_are_the_same_bits_whatever_file_they_come_from(
    folder, siglip, convert, tmp_path, kind, shards, dtype
):
    config, tensors = original.llava_qwen(dtype)
    folders.qwen_tokenizer(folders.save(folder, config, tensors, kind, shards))
    code, said, err = convert(folder, "--vision", siglip[0])
    assert code == 0, err
    folders.same_bits(tmp_path / "out", renamed(tensors))
    assert (said["layout"], said["rows_per_image"], said["files"]) == ("llava_qwen", 10, 1)
    assert said["tensors"] == len(tensors) and said["tokenizer"] == "tokenizer.json"
    assert said["bytes"] == sum(t.nbytes for t in tensors.values())


def expected_rows(tensors, siglip, pixels):
    """The tower's last state but one of three, its last norm left out, through the MLP."""
    state = {name.removeprefix(TOWER): tensor for name, tensor in tensors.items() if name.startswith(TOWER)}
    whole = siglip.state_dict() | state
    tower = transformers.SiglipVisionModel(siglip.config)
    tower.load_state_dict(whole)
    hidden = tower.double()(pixels, output_hidden_states=True).hidden_states[-2]
    first, last = (
        (tensors[f"model.mm_projector.{k}.weight"].double(), tensors[f"model.mm_projector.{k}.bias"].double())
        for k in (0, 2)
    )
    linear = torch.nn.functional.linear
    return linear(torch.nn.functional.gelu(linear(hidden, *first)), *last)


def test_transformers_reads_the_folder_and_computes_what_the_original_computes(
    folder, siglip, convert, tmp_path
):
    config, tensors = original.llava_qwen()
    folders.qwen_tokenizer(folders.save(folder, config, tensors))
    assert convert(folder, "--vision", siglip[0])[0] == 0
    model = transformers.LlavaForConditionalGeneration.from_pretrained(tmp_path / "out", dtype=torch.float64)
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out", backend="pil")
    picture = np.random.default_rng(0).integers(0, 256, (30, 70, 3), np.uint8)
    inputs = processor(images=[picture], text="<|im_start|>user\n<image>what?", return_tensors="pt")
    assert inputs["pixel_values"].shape == (1, 3, 44, 44)
    pixels = inputs["pixel_values"].double()
    rows = expected_rows(tensors, siglip[1], pixels)
    # float64, in another order of sums.
    torch.testing.assert_close(model.get_image_features(pixels).pooler_output[0], rows[0], rtol=0, atol=1e-9)

    decoder = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            hidden_size=48, intermediate_size=80, num_hidden_layers=2, num_attention_heads=3, num_key_value_heads=1,
            vocab_size=original.VOCABULARY, tie_word_embeddings=True, rms_norm_eps=1e-6,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    )  # fmt: skip
    names = {name: tensor for name, tensor in tensors.items() if name in decoder.state_dict()}
    decoder.load_state_dict(names | {"lm_head.weight": tensors["model.embed_tokens.weight"]})
    ids = inputs["input_ids"]
    at = ids == json.loads((tmp_path / "out/config.json").read_text())["image_token_index"]
    assert at.sum() == 9
    embeds = decoder.double().get_input_embeddings()(ids)
    embeds[at] = rows[0]
    with torch.no_grad():
        expected = decoder(inputs_embeds=embeds).logits
        logits = model(input_ids=ids, pixel_values=pixels).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)


def test_the_folder_says_what_the_original_did(folder, siglip, convert, tmp_path):
    config, tensors = original.llava_qwen()
    folders.qwen_tokenizer(folders.save(folder, config, tensors))
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [151645, 151643], "top_p": 0.8})
    )
    assert convert(folder, "--vision", siglip[0])[0] == 0
    made = {file.name: json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")}
    config = made["config.json"]
    assert config["unisim"] == {
        "converted_from": "llava_qwen", "newline_per_image": True, "template": "qwen_1_5", "pieces_alone": True,
    }  # fmt: skip
    # SigLIP has lost its last block, and what the last one left gives is taken as it is.
    assert config["vision_config"]["num_hidden_layers"] == 2
    assert (config["vision_feature_layer"], config["vision_feature_select_strategy"]) == (-1, "full")
    assert config["tie_word_embeddings"] and config["text_config"]["tie_word_embeddings"]
    # Longer sequences were cut.
    assert config["text_config"]["max_position_embeddings"] == 2048
    assert config["text_config"]["rope_parameters"] == {"rope_type": "default", "rope_theta": 1e6}
    assert made["generation_config.json"] == {"eos_token_id": [151645, 151643]}
    tokens = {token["content"]: token["id"] for token in made["tokenizer.json"]["added_tokens"]}
    assert tokens["<image>"] == config["image_token_index"] == max(tokens.values())
    assert made["tokenizer_config.json"]["add_bos_token"] is False


def test_without_newline_rows_there_is_no_such_tensor(folder, siglip, convert, tmp_path):
    config, tensors = original.llava_qwen()
    del tensors["model.image_newline"]
    folders.qwen_tokenizer(folders.save(folder, config | {"mm_patch_merge_type": "flat"}, tensors))
    code, said, err = convert(folder, "--vision", siglip[0])
    assert code == 0, err
    assert said["rows_per_image"] == 9
    assert json.loads((tmp_path / "out/config.json").read_text())["unisim"]["newline_per_image"] is False


def test_a_tower_that_the_folder_lacks_is_the_one_given_without_its_last_block(
    folder, siglip, convert, tmp_path
):
    config, tensors = original.llava_qwen()
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(TOWER)}
    folders.qwen_tokenizer(folders.save(folder, config, tensors))
    assert "are missing: give the folder of the tower" in convert(folder)[2]
    code, _, err = convert(folder, "--vision", siglip[0])
    assert code == 0, err
    state = siglip[1].state_dict()
    tower = {
        f"vision_tower.{name}": tensor
        for name, tensor in state.items()
        if not name.startswith(("head.", "encoder.layers.2."))
    }
    folders.same_bits(tmp_path / "out", renamed(tensors) | tower)


def test_an_untied_head_is_kept_and_a_tied_one_that_is_stored_must_be_the_embedding(
    folder, siglip, convert, tmp_path
):
    config, tensors = original.llava_qwen()
    head = 2 * tensors["model.embed_tokens.weight"]
    folders.qwen_tokenizer(folders.save(folder, config, tensors | {"lm_head.weight": head}, "bin"))
    assert (
        "tensor lm_head.weight is not model.embed_tokens.weight" in convert(folder, "--vision", siglip[0])[2]
    )
    folders.save(folder, config, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"]}, "bin")
    assert convert(folder, "--vision", siglip[0])[0] == 0
    folders.same_bits(tmp_path / "out", renamed(tensors))
    (tmp_path / "out").rename(tmp_path / "tied")
    folders.save(folder, config | {"tie_word_embeddings": False}, tensors | {"lm_head.weight": head}, "bin")
    assert convert(folder, "--vision", siglip[0])[0] == 0
    folders.same_bits(tmp_path / "out", renamed(tensors | {"lm_head.weight": head}))


def test_a_folder_alone_is_taken_for_so400m_of_which_the_sizes_are_known(folder, convert):
    config, tensors = original.llava_qwen()
    folders.save(folder, config | {"mm_hidden_size": 1152}, tensors)
    # Tensors are looked at by name.
    assert "tensor model.mm_projector.0.weight is [48, 32], expected [48, 1152]" in convert(folder)[2]
    folders.save(folder, config | {"mm_vision_tower": "google/siglip-base-patch16-224"}, tensors)
    assert "give the tower's folder, --vision" in convert(folder)[2]


def test_linear_rotary_positions_are_kept(folder, siglip, convert, tmp_path):
    config, tensors = original.llava_qwen()
    rope = {"rope_scaling": {"type": "linear", "factor": 2.0}}
    folders.qwen_tokenizer(folders.save(folder, config | rope, tensors))
    assert convert(folder, "--vision", siglip[0])[0] == 0
    made = json.loads((tmp_path / "out/config.json").read_text())["text_config"]["rope_parameters"]
    assert made == {"rope_type": "linear", "rope_theta": 1e6, "factor": 2.0}


def test_a_large_model_becomes_several_files_and_an_index(folder, siglip, tmp_path, monkeypatch):
    config, tensors = original.llava_qwen()
    folders.qwen_tokenizer(folders.save(folder, config, tensors))
    limit = 64 << 10
    monkeypatch.setattr(tensor_plan, "SHARD", limit)
    made = vlm.convert(folder, tmp_path / "out", vlm.Parts(vision=siglip[0]))
    files = sorted((tmp_path / "out").glob("model-*.safetensors"))
    assert made["files"] == len(files) > 3
    assert files[0].name == f"model-00001-of-{len(files):05}.safetensors"
    index = json.loads((tmp_path / "out/model.safetensors.index.json").read_text())
    assert index["metadata"]["total_size"] == sum(t.nbytes for t in tensors.values())
    for file in files:
        with safe_open(file, framework="pt") as opened:
            names = opened.keys()
            assert {name for name, place in index["weight_map"].items() if place == file.name} == set(names)
            size = sum(opened.get_tensor(name).nbytes for name in names)
        # One tensor may be larger than a file should be.
        assert size <= limit or len(names) == 1
    folders.same_bits(tmp_path / "out", renamed(tensors))
    transformers.LlavaForConditionalGeneration.from_pretrained(tmp_path / "out")
