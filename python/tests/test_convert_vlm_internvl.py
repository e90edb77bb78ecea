"""internvl_chat made a folder of transformers' layout: the same bits, the same rows and logits; what is refused."""

import json

import pytest
import torch
import transformers

import original_folders as folders
import original_vlms as original
from unisim.cli.app import main

pytest_plugins = ["convert_vlm_command"]

SYSTEM = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
NAMES = {
    "embeddings.class_embedding": "embeddings.cls_token",
    "embeddings.position_embedding": "embeddings.position_embeddings",
    "embeddings.patch_embedding.weight": "embeddings.patch_embeddings.projection.weight",
    "embeddings.patch_embedding.bias": "embeddings.patch_embeddings.projection.bias",
}
BLOCK = {
    "attn.proj": "attention.projection_layer",
    "norm1": "layernorm_before",
    "norm2": "layernorm_after",
    "ls1": "lambda_1",
    "ls2": "lambda_2",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
PROJECTOR = {"0": "layer_norm", "1": "linear_1", "3": "linear_2"}


def renamed(tensors):
    """By the rules of the layout's description; packed queries, keys and values are cut in thirds."""
    made = {}
    for name, tensor in tensors.items():
        own = name.removeprefix("vision_model.")
        if name.startswith("language_model."):
            made[name] = tensor
        elif name.startswith("mlp1."):
            _, number, part = name.split(".")
            made[f"multi_modal_projector.{PROJECTOR[number]}.{part}"] = tensor
        elif own in NAMES:
            made[f"vision_tower.{NAMES[own]}"] = tensor
        else:
            _, _, k, rest = own.split(".", 3)
            if rest.startswith("attn.qkv."):
                for letter, rows in zip("qkv", tensor.chunk(3), strict=True):
                    made[f"vision_tower.encoder.layer.{k}.attention.{letter}_proj.{rest[9:]}"] = rows
                continue
            layer, dot, part = rest.rpartition(".")
            new = BLOCK[layer] + dot + part if layer else BLOCK[rest]
            made[f"vision_tower.encoder.layer.{k}.{new}"] = tensor
    return made


def rows_of(tensors, pixels):
    """InternViT, pixel shuffle and mlp1 as the authors write them, in double."""
    linear, norm = torch.nn.functional.linear, torch.nn.functional.layer_norm
    t = {name: tensor.double() for name, tensor in tensors.items()}

    def at(name):
        return t[f"vision_model.{name}"]

    def normed(x, name):
        return norm(x, x.shape[-1:], at(f"{name}.weight"), at(f"{name}.bias"), 1e-6)

    x = torch.nn.functional.conv2d(
        pixels, at("embeddings.patch_embedding.weight"), at("embeddings.patch_embedding.bias"), 14
    )
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([at("embeddings.class_embedding").expand(len(x), 1, -1), x], 1)
    x = x + at("embeddings.position_embedding")
    batch, count, width = x.shape
    for k in range(2):
        block = f"encoder.layers.{k}."
        qkv = linear(normed(x, f"{block}norm1"), at(f"{block}attn.qkv.weight"), at(f"{block}attn.qkv.bias"))
        q, key, v = qkv.reshape(batch, count, 3, 2, width // 2).permute(2, 0, 3, 1, 4)
        weights = ((q * (width // 2) ** -0.5) @ key.transpose(-2, -1)).softmax(-1)
        mixed = (weights @ v).transpose(1, 2).reshape(batch, count, width)
        x = x + at(f"{block}ls1") * linear(
            mixed, at(f"{block}attn.proj.weight"), at(f"{block}attn.proj.bias")
        )
        hidden = torch.nn.functional.gelu(
            linear(normed(x, f"{block}norm2"), at(f"{block}mlp.fc1.weight"), at(f"{block}mlp.fc1.bias"))
        )
        x = x + at(f"{block}ls2") * linear(hidden, at(f"{block}mlp.fc2.weight"), at(f"{block}mlp.fc2.bias"))
    x = x[:, 1:].reshape(batch, 4, 4, width)
    # Each row of the shuffled map: two by two patches, row by row.
    corners = [x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)]
    x = torch.cat(corners, -1).reshape(batch, 4, 4 * width)
    x = norm(x, x.shape[-1:], t["mlp1.0.weight"], t["mlp1.0.bias"], 1e-5)
    x = torch.nn.functional.gelu(linear(x, t["mlp1.1.weight"], t["mlp1.1.bias"]))
    return linear(x, t["mlp1.3.weight"], t["mlp1.3.bias"])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "original"


def write(folder, decoder="phi3", **keys):
    config, tensors = original.internvl_chat(decoder)
    folders.save(folder, config | keys, tensors, shards=2)
    if decoder == "phi3":
        folders.phi3_tokenizer(folder)
    else:
        tokens = [
            "<img>",
            "</img>",
            "<IMG_CONTEXT>",
            "<quad>",
            "</quad>",
            "<ref>",
            "</ref>",
            "<box>",
            "</box>",
        ]
        folders.qwen_tokenizer(folder, tokens)
    return tensors


@pytest.mark.parametrize("decoder", ["phi3", "qwen2"])
def test_tensors_are_the_same_bits_and_queries_keys_and_values_are_cut(folder, convert, tmp_path, decoder):
    tensors = write(folder, decoder)
    code, said, err = convert(folder)
    assert code == 0, err
    folders.same_bits(tmp_path / "out", renamed(tensors))
    assert (said["layout"], said["rows_per_image"]) == ("internvl_chat", "4 a tile")
    assert said["tokenizer"] == ("tokenizer.model" if decoder == "phi3" else "tokenizer.json")


def reference_decoder(decoder, tensors):
    """transformers' own, of the original's tensors, configured by hand."""
    own = {
        n.removeprefix("language_model."): t for n, t in tensors.items() if n.startswith("language_model.")
    }
    size = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 2}
    size |= {"num_key_value_heads": 2, "tie_word_embeddings": False, "pad_token_id": None}
    if decoder == "phi3":
        rope = {
            "rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 32,
            "short_factor": [1.0 + 0.05 * k for k in range(12)], "long_factor": [1.1 + 0.9 * k for k in range(12)],
        }  # fmt: skip
        config = transformers.Phi3Config(
            **size, vocab_size=448, rms_norm_eps=1e-5, max_position_embeddings=2048,
            original_max_position_embeddings=32, rope_parameters=rope,
        )  # fmt: skip
        model = transformers.Phi3ForCausalLM(config)
    else:
        rope = {"rope_type": "default", "rope_theta": 1e6}
        config = transformers.Qwen2Config(
            **size, vocab_size=original.VOCABULARY, rms_norm_eps=1e-6, rope_parameters=rope
        )
        model = transformers.Qwen2ForCausalLM(config)
    model.load_state_dict(own)
    return model.double()


@pytest.mark.parametrize("length", [12, 60], ids=["short factors", "long factors"])
@pytest.mark.parametrize("decoder", ["phi3", "qwen2"])
def test_transformers_reads_the_folder_and_computes_what_the_original_computes(
    folder, convert, tmp_path, decoder, length
):
    tensors = write(folder, decoder)
    assert convert(folder)[0] == 0
    model = transformers.InternVLForConditionalGeneration.from_pretrained(
        tmp_path / "out", dtype=torch.float64
    )
    pixels = torch.randn(2, 3, 56, 56, generator=torch.Generator().manual_seed(7)).double()
    rows = rows_of(tensors, pixels)
    # float64, in another order of sums.
    found = model.get_image_features(pixels).pooler_output
    torch.testing.assert_close(found.reshape(rows.shape), rows, rtol=0, atol=1e-9)
    token = json.loads((tmp_path / "out/config.json").read_text())["image_token_id"]
    ids = torch.arange(3, 3 + length)[None]
    ids[0, 2:10] = token
    reference = reference_decoder(decoder, tensors)
    embeds = reference.get_input_embeddings()(ids)
    embeds[0, 2:10] = rows.reshape(8, -1)
    with torch.no_grad():
        expected = reference(inputs_embeds=embeds).logits
        logits = model(input_ids=ids, pixel_values=pixels).logits
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("decoder", ["phi3", "qwen2"])
def test_transformers_processor_of_the_folder_cuts_tiles_and_finds_the_tokens(
    folder, convert, tmp_path, decoder
):
    from PIL import Image

    write(folder, decoder, max_dynamic_patch=4)
    assert convert(folder)[0] == 0
    processor = transformers.AutoProcessor.from_pretrained(tmp_path / "out")
    text = "a <IMG_CONTEXT> b"
    inputs = processor(images=[Image.new("RGB", (200, 100))], text=text, return_tensors="pt")
    token = json.loads((tmp_path / "out/config.json").read_text())["image_token_id"]
    tiles = len(inputs["pixel_values"])
    assert inputs["pixel_values"].shape[1:] == (3, 56, 56) and tiles == 3  # two side by side, and the whole
    assert (inputs["input_ids"] == token).sum() == 4 * tiles


def test_the_folder_says_what_the_original_did(folder, convert, tmp_path):
    write(folder)
    assert convert(folder)[0] == 0
    made = {file.name: json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")}
    config = made["config.json"]
    assert config["unisim"] == {
        "converted_from": "internvl_chat", "template": "phi3_internvl", "system_message": SYSTEM
    }  # fmt: skip
    assert (
        config["vision_config"]["image_size"] == [56, 56]
        and config["vision_config"]["attention_bias"] is True
    )
    assert config["tie_word_embeddings"] is False  # which transformers' class has otherwise
    rope = config["text_config"]["rope_parameters"]
    assert (rope["rope_type"], rope["original_max_position_embeddings"]) == ("longrope", 32)
    assert config["text_config"]["sliding_window"] == 262144
    pictures = made["processor_config.json"]["image_processor"]
    assert (pictures["min_patches"], pictures["max_patches"], pictures["crop_to_patches"]) == (1, 12, True)
    tokens = {token["content"]: token for token in made["tokenizer.json"]["added_tokens"]}
    assert tokens["<IMG_CONTEXT>"]["id"] == config["image_token_id"] == 413
    # Their code stops at the end of a turn alone.
    assert (
        made["generation_config.json"] == {"eos_token_id": tokens["<|end|>"]["id"]} == {"eos_token_id": 407}
    )
    assert tokens["<|user|>"]["rstrip"] and not tokens["<img>"]["rstrip"]
    assert (
        "chat_template" not in made["tokenizer_config.json"]
        and "auto_map" not in made["tokenizer_config.json"]
    )


@pytest.mark.parametrize(
    "keys, unisim, tiles, side",
    [
        ({"system_message": "Be brief."}, {"system_message": "Be brief."}, (1, 12), 56),
        ({"dynamic_image_size": False}, {}, (1, 1), 56),
        ({"dynamic_image_size": False, "use_thumbnail": False}, {}, (1, 1), 56),
        ({"min_dynamic_patch": 2, "max_dynamic_patch": 6}, {}, (2, 6), 56),
        ({"force_image_size": 84}, {}, (1, 12), 84),
    ],
)
def test_keys_are_honoured(folder, convert, tmp_path, keys, unisim, tiles, side):
    write(folder, **keys)
    code, said, err = convert(folder)
    assert code == 0, err
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["unisim"] | unisim == config["unisim"]
    # Positions stay as they are learned; readers resize them to what a tile has.
    assert config["vision_config"]["image_size"] == [56, 56]
    pictures = json.loads((tmp_path / "out/processor_config.json").read_text())["image_processor"]
    assert (pictures["min_patches"], pictures["max_patches"]) == tiles
    assert pictures["size"] == {"height": side, "width": side}
    assert said["rows_per_image"] == f"{(side // 28) ** 2} a tile"


def test_another_scale_of_phi3s_older_yarn_is_kept(folder, convert, tmp_path):
    config, _ = original.internvl_chat()
    rope = config["llm_config"]["rope_scaling"] | {"type": "yarn"}
    write(folder, llm_config=config["llm_config"] | {"rope_scaling": rope})
    assert convert(folder)[0] == 0
    made = json.loads((tmp_path / "out/config.json").read_text())["text_config"]["rope_parameters"]
    assert made["rope_type"] == "longrope"
    assert made["attention_factor"] == pytest.approx(0.1 * 4.158883083359672 + 1)  # ln 64


def nested(where, **keys):
    config, _ = original.internvl_chat()
    return {where: config[where] | keys}


@pytest.mark.parametrize(
    "keys, said",
    [
        (nested("llm_config", architectures=["InternLM2ForCausalLM"]), "InternLM2 (InternVL2-2B, -8B, -26B) and others"),
        (nested("llm_config", architectures=["Gemma2ForCausalLM"]), "llm_config.architectures is ['Gemma2ForCausalLM']"),
        (nested("vision_config", norm_type="rms_norm"), 'vision_config.norm_type is "rms_norm"; supported'),
        (nested("vision_config", norm_type=None), "which is what the class says where the key is absent"),
        (nested("vision_config", qk_normalization=True), "vision_config.qk_normalization is true"),
        (nested("vision_config", use_moe=True), "vision_config.use_moe is true"),
        (nested("vision_config", window_size=3), "unknown vision_config.window_size"),
        (nested("llm_config", rope_scaling={"type": "longrope", "short_factor": [1] * 12}), "long_factor is null, expected 12"),
        (nested("llm_config", rope_scaling={"type": "linear", "factor": 2}), "expected longrope (older: su, yarn)"),
        (nested("llm_config", logits_soft_cap=1.0), "unknown llm_config.logits_soft_cap"),
        ({"ps_version": "v1"}, 'ps_version is "v1"; supported is "v2"'),
        ({"ps_version": None}, 'ps_version is "v1", which is what the class says where the key is absent'),
        ({"downsample_ratio": 1.0}, "downsample_ratio is 1.0"),
        ({"pad2square": True}, "pad2square is true"),
        ({"use_llm_lora": 16}, "use_llm_lora is 16; supported is 0"),
        ({"use_thumbnail": False}, "use_thumbnail is false; supported is true"),
        ({"use_thumbnail": None}, "use_thumbnail is false, which is what the class says"),
        ({"template": "internlm2-chat"}, 'template is "internlm2-chat", expected one of phi3-chat, Hermes-2, internvl2_5'),
        ({"template": None}, "template is missing"),
        ({"force_image_size": 70}, "force_image_size is 70, expected a multiple of 28"),
        ({"min_dynamic_patch": 13}, "min_dynamic_patch is 13, expected at most max_dynamic_patch, 12"),
        ({"tie_word_embeddings": True}, "tensor language_model.lm_head.weight is not language_model.model.embed_tokens"),
        ({"more_of_it": 1}, "unknown more_of_it"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)  # fmt: skip
def test_keys_that_would_change_the_arithmetic_are_refused_by_name(folder, convert, keys, said):
    write(folder, **keys)
    code, _, err = convert(folder)
    assert code == 1
    assert said in err


@pytest.mark.parametrize(
    "name, said",
    [
        ("vision_model.encoder.layers.1.attn.qkv.bias", "attn.qkv.bias is missing, expected [96]"),
        ("vision_model.encoder.layers.0.ls2", "layers.0.ls2 is missing, expected [32]"),
        ("mlp1.0.bias", "tensor mlp1.0.bias is missing, expected [128]"),
        ("language_model.lm_head.weight", "language_model.lm_head.weight is missing, expected [448, 48]"),
        (
            "language_model.model.layers.0.self_attn.qkv_proj.weight",
            "qkv_proj.weight is missing, expected [144, 48]",
        ),
    ],
)
def test_missing_tensors_are_refused_by_name(folder, convert, name, said):
    config, tensors = original.internvl_chat()
    del tensors[name]
    folders.save(folder, config, tensors)
    assert said in convert(folder)[2]


@pytest.mark.parametrize(
    "name",
    ["vision_model.encoder.layers.0.attn.q_norm.weight", "mlp1.2.weight", "language_model.model.layers.2.x"],
)
def test_tensors_left_over_are_refused_by_name(folder, convert, name):
    config, tensors = original.internvl_chat()
    folders.save(folder, config, tensors | {name: torch.ones(3)})
    assert f"tensor {name} [3] is not of this model" in convert(folder)[2]


def test_a_tokenizer_without_the_tokens_of_pictures_is_refused(folder, convert):
    write(folder, "qwen2")
    folders.qwen_tokenizer(folder, ["<img>", "</img>"])
    assert "no token '<IMG_CONTEXT>' among the tokenizer's added tokens" in convert(folder)[2]
    config, tensors = original.internvl_chat()
    folders.phi3_tokenizer(folder)
    name = "language_model.model.embed_tokens.weight"
    tensors |= {one: tensors[one][:413].clone() for one in (name, "language_model.lm_head.weight")}
    config["llm_config"] |= {"vocab_size": 413}
    (folder / "tokenizer.json").unlink()
    folders.save(folder, config, tensors, shards=2)
    assert "token '<IMG_CONTEXT>' has the id 413, and the decoder 413 tokens" in convert(folder)[2]


def test_internvl_needs_no_folder_beside_it(folder, tmp_path, capfd):
    write(folder)
    assert main(["convert", "vlm", str(folder), "--vision", str(folder), "-o", str(tmp_path / "out")]) == 1
    assert "the layout is internvl_chat, which has no --vision" in capfd.readouterr().err
