"""MMVP's two towers and adapters made one folder: the same bits; adapters split by their whole names; what is refused."""

import json
import os

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

import original_folders as folders
import original_vlms as original
from unisim.cli.app import main

pytest_plugins = ["convert_vlm_command"]

FIRST, SECOND = "model.mm_projector.", "model.dino_mm_projector."


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    """Folders of CLIP and DINOv2 and their tensors, as transformers saves them."""
    root = tmp_path_factory.mktemp("towers")
    models = folders.clip_folder(root / "clip"), folders.dinov2_folder(root / "dino")
    return root / "clip", root / "dino", models[0].state_dict(), load_file(root / "dino/model.safetensors")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "original"


@pytest.fixture
def given(towers):
    """The options of both towers."""
    return ["--clip", towers[0], "--dino", towers[1]]


def write(folder, tensors=None, kind="safetensors", **keys):
    config, made = original.mof()
    made = made if tensors is None else tensors
    folders.llama_tokenizer(folders.save(folder, config | keys, made, kind, 2))
    return made


def renamed(tensors, towers):
    """By the rules of the layout's description."""
    made = {}
    for name, tensor in tensors.items():
        new = f"language_model.{name}"
        for prefix, projector in ((FIRST, "multi_modal_projector"), (SECOND, "second_multi_modal_projector")):
            if name.startswith(prefix):
                number, part = name.removeprefix(prefix).split(".")
                new = f"{projector}.{ {'0': 'linear_1', '2': 'linear_2'}[number] }.{part}"
        made[new] = tensor
    made |= {
        f"vision_tower.{name.removeprefix('vision_model.')}": tensor for name, tensor in towers[2].items()
    }
    return made | {f"second_vision_tower.{name}": tensor for name, tensor in towers[3].items()}


def test_tensors_of_checkpoint_and_towers_are_the_same_bits(folder, given, towers, convert, tmp_path):
    tensors = write(folder, kind="bin")
    code, said, err = convert(folder, *given)
    assert code == 0, err
    folders.same_bits(tmp_path / "out", renamed(tensors, towers))
    assert (said["layout"], said["rows_per_image"], said["equal_adapters"]) == ("llava_mof", 18, False)
    assert err == ""


def test_the_folder_says_what_the_original_did(folder, given, convert, tmp_path):
    write(folder)
    assert convert(folder, *given)[0] == 0
    made = {file.name: json.loads(file.read_text()) for file in (tmp_path / "out").glob("*.json")}
    config = made["config.json"]
    assert (config["model_type"], config["mof"]) == ("llava_mof", {"kind": "interleaved"})
    assert config["unisim"] == {"converted_from": "llava_mof", "template": "llava_v1", "pieces_alone": True}
    assert (config["vision_feature_layer"], config["vision_feature_select_strategy"]) == (-2, "default")
    assert config["vision_config"]["model_type"] == "clip_vision_model"
    assert config["vision_config"]["hidden_act"] == "quick_gelu"  # the class's default, written out
    assert (
        config["second_vision_config"] | {"model_type": "dinov2", "image_size": 56}
        == config["second_vision_config"]
    )
    assert config["text_config"]["max_position_embeddings"] == 4096
    assert made["generation_config.json"] == {"eos_token_id": 2}
    # "pad" of the original: on a square of the mean colour first.
    pictures = made["processor_config.json"]["image_processor"]
    assert (pictures["image_processor_type"], pictures["do_pad"]) == ("LlavaImageProcessor", True)
    assert pictures["crop_size"] == {"height": 42, "width": 42}
    tokens = {token["content"]: token["id"] for token in made["tokenizer.json"]["added_tokens"]}
    # The decoder has no row to spare, and one more would change every probability.
    assert tokens["<unk>"] == config["image_token_index"] == 0 and "<image>" not in tokens
    assert made["processor_config.json"]["image_token"] == "<unk>"
    assert made["tokenizer_config.json"]["add_bos_token"] is True


def test_pictures_that_were_not_padded_are_not(folder, given, convert, tmp_path):
    write(folder, image_aspect_ratio=None)
    assert convert(folder, *given)[0] == 0
    made = json.loads((tmp_path / "out/processor_config.json").read_text())["image_processor"]
    assert made["image_processor_type"] == "CLIPImageProcessor" and "do_pad" not in made


def test_towers_of_their_authors_names_are_the_same_bits(folder, given, towers, convert, tmp_path):
    tensors = write(folder)
    own = folders.dinov2_own(towers[3])
    file = tmp_path / "dinov2_vitl14_pretrain.pth"
    torch.save(own, file)
    folders.clip_folder(tmp_path / "clip-tower", whole=False)
    code, _, err = convert(folder, "--clip", tmp_path / "clip-tower", "--dino", file)
    assert code == 0, err
    folders.same_bits(tmp_path / "out", renamed(tensors, (*towers[:2], clip_of(tmp_path), towers[3])))
    config = json.loads((tmp_path / "out/config.json").read_text())["second_vision_config"]
    (tmp_path / "out").rename(tmp_path / "first")
    # A width of 64 has one head in DINOv2's own code; the folder of the test has two.
    assert config == own_config(towers) | {"num_attention_heads": 1}
    (tmp_path / "hub").mkdir()
    file.rename(tmp_path / "hub" / file.name)
    assert convert(folder, *given[:2], "--dino", tmp_path / "hub")[0] == 0


def clip_of(tmp_path):
    return load_file(tmp_path / "clip-tower/model.safetensors")


def own_config(towers):
    config = json.loads((towers[1] / "config.json").read_text())
    keys = "model_type hidden_size num_hidden_layers num_attention_heads mlp_ratio num_channels image_size patch_size"
    keys = [*keys.split(), "hidden_act", "layer_norm_eps", "qkv_bias", "use_swiglu_ffn"]
    return {key: config[key] for key in keys}


def test_transformers_towers_of_the_folder_give_the_features_of_the_originals(
    folder, given, towers, convert, tmp_path
):
    write(folder)
    assert convert(folder, *given)[0] == 0
    made, config = (
        load_file(tmp_path / "out/model.safetensors"),
        json.loads((tmp_path / "out/config.json").read_text()),
    )
    pixels = torch.randn(1, 3, 42, 42, generator=torch.Generator().manual_seed(8))
    for key, prefix, kind, source in (
        ("vision_config", "vision_tower.", transformers.CLIPVisionModel, towers[0]),
        ("second_vision_config", "second_vision_tower.", transformers.Dinov2Model, towers[1]),
    ):
        reference = kind.from_pretrained(source)
        own = tmp_path / key
        own.mkdir()
        save_file(
            {n.removeprefix(prefix): t for n, t in made.items() if n.startswith(prefix)}, own / "model.safetensors",
            {"format": "pt"},
        )  # fmt: skip
        (own / "config.json").write_text(json.dumps(config[key]))
        found = kind.from_pretrained(own)
        with torch.no_grad():
            rows, expected = (m(pixels, output_hidden_states=True).hidden_states for m in (found, reference))
        for one, other in zip(rows, expected, strict=True):
            assert torch.equal(one, other)


def test_additive_has_one_adapter_and_a_share(folder, towers, convert, tmp_path):
    folders.dinov2_folder(tmp_path / "dino48", width=48)
    _, tensors = original.mof()
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(SECOND)}
    write(folder, tensors)
    options = ["--clip", towers[0], "--dino", tmp_path / "dino48", "--mof", "additive", "--alpha", 0.25]
    code, said, err = convert(folder, *options)
    assert code == 0, err
    assert said["rows_per_image"] == 9 and said["equal_adapters"] is False
    config = json.loads((tmp_path / "out/config.json").read_text())
    assert config["mof"] == {"kind": "additive", "alpha": 0.25}
    dino = load_file(tmp_path / "dino48/model.safetensors")
    folders.same_bits(tmp_path / "out", renamed(tensors, (*towers[:3], dino)))


# ---- adapters ------------------------------------------------------------------------------------------------------


@pytest.fixture
def bare(folder):
    """A checkpoint without adapters is written; they are given back."""
    _, tensors = original.mof()
    adapters = {name: tensor for name, tensor in tensors.items() if "mm_projector" in name}
    write(folder, {name: tensor for name, tensor in tensors.items() if name not in adapters})
    return adapters


def full(adapters):
    """The whole model's tensors again."""
    return original.mof()[1] | adapters


@pytest.mark.parametrize("order", [1, -1], ids=["CLIP's first", "DINOv2's first"])
@pytest.mark.parametrize("prefix", ["", "base_model.model."])
def test_a_file_of_both_adapters_is_split_by_whole_names(
    folder, bare, given, towers, convert, tmp_path, order, prefix
):
    # The first stage saves every name that has "mm_projector" in it, DINOv2's among them.
    names = sorted(bare)[::order]
    torch.save({prefix + name: bare[name] for name in names}, tmp_path / "mm_projector.bin")
    code, said, err = convert(folder, *given, "--adapters", tmp_path / "mm_projector.bin")
    assert code == 0, err
    folders.same_bits(tmp_path / "out", renamed(full(bare), towers))
    assert said["equal_adapters"] is False


def test_adapters_of_two_files(folder, bare, given, towers, convert, tmp_path):
    for prefix, name in ((FIRST, "mm_projector.bin"), (SECOND, "dino_mm_projector.bin")):
        torch.save({n: t for n, t in bare.items() if n.startswith(prefix)}, tmp_path / name)
    files = ["--adapters", tmp_path / "mm_projector.bin", "--adapters", tmp_path / "dino_mm_projector.bin"]
    assert convert(folder, *given, *files)[0] == 0
    folders.same_bits(tmp_path / "out", renamed(full(bare), towers))


def test_equal_adapters_are_reported(folder, towers, convert, tmp_path):
    folders.dinov2_folder(tmp_path / "dino48", width=48)
    _, tensors = original.mof()
    for name in [name for name in tensors if name.startswith(FIRST)]:
        tensors[name.replace(FIRST, SECOND)] = tensors[name].clone()
    write(folder, tensors)
    options = ["--clip", towers[0], "--dino", tmp_path / "dino48"]
    code, said, err = convert(folder, *options)
    assert code == 0 and said["equal_adapters"] is True
    assert "both adapters are the same numbers" in err
    (tmp_path / "out").rename(tmp_path / "first")
    tensors[f"{SECOND}2.bias"][3] += 1e-3
    write(folder, tensors)
    assert convert(folder, *options)[1]["equal_adapters"] is False


class Runs:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda a: a.pop(f"{FIRST}0.bias"), "tensor model.mm_projector.0.bias is missing, expected [48]"),
        (lambda a: a.pop(f"{SECOND}2.weight"), "tensor model.dino_mm_projector.2.weight is missing"),
        (
            lambda a: a.update({f"{SECOND}4.weight": torch.ones(2)}),
            "dino_mm_projector.4.weight [2] is not of this",
        ),
        (lambda a: a.update({"model.embed_tokens.weight": torch.ones(2, 2)}), "is of no adapter, expected"),
        (
            lambda a: a.update({"my_mm_projector.0.bias": torch.ones(48)}),
            "tensor my_mm_projector.0.bias [48] is of no",
        ),
        (
            lambda a: a.update({"mm_projector.0.bias": torch.ones(48)}),
            "two tensors are model.mm_projector.0.bias",
        ),
        (
            lambda a: a.update({f"{FIRST}0.bias": torch.full((48,), torch.inf)}),
            "mm_projector.0.bias holds NaN or",
        ),
        (lambda a: a.update({f"{FIRST}0.bias": torch.ones(47)}), "is [47], expected [48]"),
        (lambda a: a.update({"x": Runs()}), "not a checkpoint of plain tensors"),
    ],
)
def test_adapters_that_do_not_fit_are_refused_by_name(
    folder, bare, given, convert, tmp_path, monkeypatch, change, said
):
    monkeypatch.chdir(tmp_path)
    change(bare)
    torch.save(bare, "adapters.bin")
    code, _, err = convert(folder, *given, "--adapters", tmp_path / "adapters.bin")
    assert code == 1
    assert said in err and "adapters.bin" in err
    assert not list(tmp_path.glob("**/PWNED"))


def test_adapters_in_both_places_are_refused(folder, given, convert, tmp_path):
    tensors = write(folder)
    torch.save({n: t for n, t in tensors.items() if "mm_projector" in n}, tmp_path / "mm_projector.bin")
    code, _, err = convert(folder, *given, "--adapters", tmp_path / "mm_projector.bin")
    assert code == 1 and "tensor model.dino_mm_projector.0.bias [48] is not of this model" in err


# ---- refusals ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keys, said",
    [
        ({"mm_patch_merge_type": "spatial_unpad"}, 'mm_patch_merge_type is "spatial_unpad", expected flat'),
        ({"image_aspect_ratio": "anyres"}, 'image_aspect_ratio is "anyres", expected square or pad'),
        ({"mm_hidden_size": 1024}, "mm_hidden_size is 1024, expected 48, the width of CLIP's tower"),
        ({"mm_vision_select_layer": -5}, "mm_vision_select_layer is -5, expected a layer of CLIP's 3"),
        ({"mm_use_im_start_end": True}, "mm_use_im_start_end is true"),
        ({"mm_adopter_type": "cross_attention"}, "unknown mm_adopter_type"),
        ({"sliding_window": 4096}, "sliding_window is 4096; supported is nothing"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_keys_that_would_change_the_arithmetic_are_refused_by_name(folder, given, convert, keys, said):
    write(folder, **keys)
    code, _, err = convert(folder, *given)
    assert code == 1
    assert said in err


def test_what_a_checkpoint_or_a_tower_lacks_or_has_too_much_is_refused(
    folder, given, towers, convert, tmp_path
):
    _, tensors = original.mof()
    write(folder, tensors | {"model.vision_tower.x": torch.ones(2)})
    assert "tensor model.vision_tower.x [2] is not of this model" in convert(folder, *given)[2]
    write(folder, {n: t for n, t in tensors.items() if n != f"{SECOND}0.weight"})
    assert (
        "tensor model.dino_mm_projector.0.weight is missing, expected [48, 64]" in convert(folder, *given)[2]
    )
    # With the one adapter of additive, the other is left over.
    folders.dinov2_folder(tmp_path / "dino48", width=48)
    write(folder, tensors)
    additive = ["--clip", towers[0], "--dino", tmp_path / "dino48", "--mof", "additive", "--alpha", 0.5]
    assert "tensor model.dino_mm_projector.0.bias [48] is not of this model" in convert(folder, *additive)[2]

    write(folder)
    own = folders.dinov2_own(towers[3])
    for change, said in (
        (lambda t: t.pop("blocks.1.ls2.gamma"), "tensor blocks.1.ls2.gamma is missing, expected [64]"),
        (
            lambda t: t.pop("patch_embed.proj.weight"),
            "patch_embed.proj.weight is missing, expected 4 extents",
        ),
        (
            lambda t: t.update(register_tokens=torch.ones(1, 4, 64)),
            "tensor register_tokens [1, 4, 64] is not of",
        ),
        (lambda t: t["norm.weight"].fill_(torch.nan), "tensor norm.weight holds NaN or infinity"),
    ):
        made = {name: tensor.clone() for name, tensor in own.items()}
        change(made)
        torch.save(made, tmp_path / "dino.pth")
        assert said in convert(folder, *given[:2], "--dino", tmp_path / "dino.pth")[2]
    made = load_file(towers[0] / "model.safetensors")
    clip = tmp_path / "clip-broken"
    clip.mkdir()
    for name in ("config.json", "preprocessor_config.json"):
        (clip / name).write_text((towers[0] / name).read_text())
    save_file(
        made | {"vision_model.encoder.layers.3.mlp.fc1.bias": torch.ones(80)}, clip / "model.safetensors"
    )
    said = "tensor vision_model.encoder.layers.3.mlp.fc1.bias [80] is not of this model"
    assert said in convert(folder, "--clip", clip, *given[2:])[2]
    (clip / "preprocessor_config.json").unlink()
    save_file(made, clip / "model.safetensors")
    assert "no preprocessor_config.json" in convert(folder, "--clip", clip, *given[2:])[2]


def test_options_that_contradict_each_other_are_refused(folder, given, towers, convert):
    write(folder)
    for options, said in (
        (given[:2], "give the towers, --clip and --dino"),
        ([*given, "--alpha", 0.5], "--alpha, CLIP's share, goes with --mof additive"),
        ([*given, "--mof", "additive"], "--alpha, CLIP's share, goes with --mof additive"),
        ([*given, "--mof", "additive", "--alpha", 1.5], "--alpha is 1.5, expected from 0 to 1"),
        ([*given, "--mof", "additive", "--alpha", "nan"], "--alpha is nan, expected from 0 to 1"),
        ([*given, "--mof", "additive", "--alpha", 0.5], "features of width 64, and CLIP's have 48"),
        ([*given, "--vision", towers[0]], "the layout is llava_mof, which has no --vision"),
        (["--clip", towers[1], *given[2:]], "model_type is 'dinov2', expected 'clip' or 'clip_vision_model'"),
        ([*given[:2], "--dino", towers[0]], "model_type is 'clip', expected 'dinov2'"),
    ):
        code, _, err = convert(folder, *options)
        assert code == 1 and said in err


def test_another_kind_of_mixture_is_a_mistake_of_the_command_line(folder, given, tmp_path, capfd):
    write(folder)
    command = [
        "convert",
        "vlm",
        str(folder),
        *map(str, given),
        "--mof",
        "crossed",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(command) == 2
    assert "crossed" in capfd.readouterr().err
