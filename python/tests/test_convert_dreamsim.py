"""DreamSim's folder out of the authors' archives: distances held to peft's own tuned model, and what is refused."""

import json
import os
import shutil
import stat

import pytest
import torch
from safetensors.torch import load_file, save_file

import unisim
from unisim.cli.app import main
from unisim.weights import dreamsim

pytest.importorskip("peft")

import dreamsim_release as small

# float32 towers in another order of sums, and the LoRA's product rounded once instead of twice: measured 1.1e-6.
TOLERANCE = 1e-5
PAIR = "base_model.model.extractor_list.0.model.blocks.1.attn.qkv.lora_"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """The folder of a model's release, and the tuned model; made once each."""
    made = {}

    def released(model):
        if model not in made:
            folder = tmp_path_factory.mktemp(model)
            made[model] = folder, small.release(folder, model)
        return made[model]

    return released


@pytest.fixture
def archive(released, tmp_path):
    """A copy of a release that a test may change."""

    def archive(model):
        return shutil.copytree(released(model)[0], tmp_path / "release")

    return archive


@pytest.fixture
def convert(tmp_path, capfd):
    def convert(folder, model):
        capfd.readouterr()
        command = ["convert", "dreamsim", str(folder), "--model", model, "--json"]
        code = main([*command, "-o", str(tmp_path / "out")])
        said = capfd.readouterr()
        if code:
            assert not list(tmp_path.glob("*out*"))
            assert len(said.err.splitlines()) == 1
        return code, said.out, said.err

    return convert


@pytest.mark.parametrize("model", dreamsim.MODELS)
def test_distances_are_those_of_the_tuned_model(released, convert, tmp_path, model):
    folder, tuned = released(model)
    code, out, err = convert(folder, model)
    assert code == 0, err
    parts = 3 if model == "ensemble" else 1
    said = json.loads(out)
    assert (said["parts"], said["merged"]) == (parts, parts * small.DEPTH)
    theirs = small.distances(tuned)
    ours = unisim.metric(f"dreamsim:{tmp_path / 'out'}")([small.PICTURES[0]] * 3, small.PICTURES)
    assert theirs[1:].min() > 0.01
    assert (ours - theirs).abs().max() <= TOLERANCE
    with tuned.disable_adapter():
        assert (small.distances(tuned) - theirs).abs().max() > 0.001  # the tuning shows


def test_the_product_is_rounded_once_and_nothing_else_changes(released, convert, tmp_path):
    folder, _ = released("ensemble")
    assert convert(folder, "ensemble")[0] == 0
    pairs = load_file(folder / "ensemble_lora/adapter_model.safetensors")
    state = torch.load(folder / "dino_vitbase16_pretrain.pth")
    made = load_file(tmp_path / "out/dino_vitb16/model.safetensors")
    a, b = (pairs[f"{PAIR}{one}.weight"].double() for one in "AB")
    tuned = "blocks.1.attn.qkv.weight"
    scale = small.ALPHA / small.RANK
    assert torch.equal(made[tuned], (state[tuned].double() + scale * (b @ a)).float())
    assert made.keys() == state.keys()
    assert all(torch.equal(made[name], state[name]) for name in state if "qkv.weight" not in name)
    state = torch.load(folder / "open_clip_vitb16_pretrain.pth.tar")["state_dict"]
    made = load_file(tmp_path / "out/open_clip_vitb16/model.safetensors")
    assert torch.equal(made["visual_projection.weight"], state["proj"].T)
    assert {t.dtype for t in made.values()} == {torch.float32}


def test_the_folder_says_what_docs_say(released, convert, tmp_path):
    assert convert(released("ensemble")[0], "ensemble")[0] == 0
    config = json.loads((tmp_path / "out/config.json").read_text())
    features = dict(zip(small.ENSEMBLE, ("cls", "embedding", "embedding"), strict=True))
    assert config == {
        "model_type": "dreamsim",
        "normalize": True,
        "image_size": 224,
        "parts": [{"folder": name, "feature": feature} for name, feature in features.items()],
    }
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    assert len(files) == 1 + 2 + 3 + 3
    assert len({stat.S_IMODE(file.stat().st_mode) for file in files}) == 1


@pytest.mark.parametrize("model", ["clip_vitb32", "dinov2_vitb14"])
def test_the_parts_are_models_of_their_formats_own_library(released, convert, tmp_path, model):
    folder, tuned = released(model)
    assert convert(folder, model)[0] == 0
    pixels = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(8))
    part = tmp_path / "out" / model
    with torch.no_grad():
        _, normed = tuned.base_model.model.extractor_list[0].model(pixels)
        if model == "clip_vitb32":
            from transformers import CLIPVisionModelWithProjection

            rows = CLIPVisionModelWithProjection.from_pretrained(part)(pixels).image_embeds
            normed = normed @ tuned.base_model.model.extractor_list[0].proj
        else:
            import timm

            rows = timm.create_model(f"local-dir:{part}", pretrained=True).eval()(pixels)
    assert (rows - normed).abs().max() <= 1e-4 * normed.abs().max()


def test_a_pickled_adapter_and_16_bits_are_read(archive, convert, tmp_path):
    folder = archive("clip_vitb32")
    lora = folder / "clip_vitb32_single_lora"
    pairs = {name: t.bfloat16() for name, t in load_file(lora / "adapter_model.safetensors").items()}
    (lora / "adapter_model.safetensors").unlink()
    torch.save(pairs, lora / "adapter_model.bin")
    file = folder / "clip_vitb32_pretrain.pth.tar"
    state = {name: t.half() for name, t in torch.load(file)["state_dict"].items()}
    torch.save({"state_dict": state}, file)
    code, _, err = convert(folder, "clip_vitb32")
    assert code == 0, err
    made = load_file(tmp_path / "out/clip_vitb32/model.safetensors")
    a, b = (pairs[f"{PAIR}{one}.weight"].double() for one in "AB")
    whole = state["blocks.1.attn.qkv.weight"].double() + small.ALPHA / small.RANK * (b @ a)
    layer = "vision_model.encoder.layers.1.self_attn"
    ours = torch.cat([made[f"{layer}.{one}_proj.weight"] for one in "qkv"])
    assert torch.equal(ours, whole.float())


def test_dino_is_found_where_the_authors_package_keeps_it_and_its_training_checkpoint_is_not_read(
    archive, convert, tmp_path
):
    folder = archive("dino_vitb16")
    own = folder / "dino_vitbase16_pretrain.pth"
    state = torch.load(own)
    torch.save({"student": state}, folder / "dino_vitb16_pretrain.pth")
    (folder / "checkpoints").mkdir()
    own.rename(folder / "checkpoints" / own.name)
    torch.save({"not": torch.zeros(1)}, own)  # the package's own place comes first
    code, _, err = convert(folder, "dino_vitb16")
    assert code == 0, err
    shutil.rmtree(tmp_path / "out")
    shutil.rmtree(folder / "checkpoints")
    own.unlink()
    code, _, err = convert(folder, "dino_vitb16")
    assert code == 1
    assert "checkpoints/dino_vitbase16_pretrain.pth or dino_vitbase16_pretrain.pth is missing" in err
    assert "https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth" in err


def without(tensors, name):
    return {key: t for key, t in tensors.items() if key != name}


NAN = float("nan")
BACKBONES = {
    "missing": (lambda s: without(s, "norm.bias"), "tensor norm.bias is missing, expected [128]"),
    "no class token": (
        lambda s: without(s, "cls_token"),
        "tensor cls_token is missing, expected [1, 1, 64 x heads]",
    ),
    "no projection": (lambda s: without(s, "proj"), "tensor proj is missing, expected [128, out]"),
    "no norm after the positions": (
        lambda s: without(s, "pos_drop.weight"),
        "tensor pos_drop.weight is missing, expected [128]",
    ),
    "a block that lacks one": (
        lambda s: without(s, "blocks.1.mlp.fc2.weight"),
        "tensor blocks.1.mlp.fc2.weight is missing, expected [128, 512]",
    ),
    "left over": (
        lambda s: s | {"head.weight": torch.zeros(3, 128)},
        "tensor head.weight [3, 128] is not of this model",
    ),
    "a gain": (
        lambda s: s | {"blocks.0.ls1.gamma": torch.ones(128)},
        "tensor blocks.0.ls1.gamma [128] is not of this model",
    ),
    "a width that has no heads": (
        lambda s: s | {"cls_token": torch.zeros(1, 1, 100)},
        "tensor cls_token is [1, 1, 100], expected [1, 1, 64 x heads]",
    ),
    "another patch": (
        lambda s: s | {"patch_embed.proj.weight": torch.zeros(128, 3, 16, 16)},
        "tensor patch_embed.proj.weight is [128, 3, 16, 16], expected [128, 3, 32, 32]",
    ),
    "another image": (
        lambda s: s | {"pos_embed": torch.zeros(1, 145, 128)},
        "tensor pos_embed is [1, 145, 128], expected [1, 50, 128]",
    ),
    "another projection": (
        lambda s: s | {"proj": torch.zeros(24)},
        "tensor proj is [24], expected [128, out]",
    ),
    "NaN": (
        lambda s: s | {"norm.weight": torch.full((128,), NAN)},
        "tensor norm.weight holds NaN or infinity",
    ),
    "infinity": (
        lambda s: s | {"proj": torch.full((128, 24), -torch.inf)},
        "tensor proj holds NaN or infinity",
    ),
    "integers": (
        lambda s: s | {"norm.weight": torch.ones(128, dtype=torch.int64)},
        "tensor norm.weight is int64, expected floating point",
    ),
    "a number among tensors": (lambda s: s | {"epoch": 3}, "'epoch' is a int, expected names and tensors"),
    "a list": (lambda s: list(s.values()), "a list, expected a state dict"),
}


@pytest.mark.parametrize("change, said", BACKBONES.values(), ids=BACKBONES)
def test_a_backbone_that_does_not_fit_is_refused_by_name(archive, convert, change, said):
    folder = archive("clip_vitb32")
    file = folder / "clip_vitb32_pretrain.pth.tar"
    torch.save({"state_dict": change(torch.load(file)["state_dict"])}, file)
    code, _, err = convert(folder, "clip_vitb32")
    assert code == 1
    assert said in err
    assert "clip_vitb32_pretrain.pth.tar" in err


def test_dinov2_without_its_gains_and_another_models_checkpoint_are_refused(archive, convert):
    folder = archive("dinov2_vitb14")
    file = folder / "dinov2_vitb14_pretrain.pth"
    torch.save(without(torch.load(file), "blocks.1.ls2.gamma"), file)
    assert "tensor blocks.1.ls2.gamma is missing, expected [128]" in convert(folder, "dinov2_vitb14")[2]
    shutil.rmtree(folder)
    folder = archive("ensemble")
    (folder / "open_clip_vitb16_pretrain.pth.tar").rename(folder / "dino_vitbase16_pretrain.pth")
    torch.save({}, folder / "open_clip_vitb16_pretrain.pth.tar")
    assert "tensor pos_drop.bias [128] is not of this model" in convert(folder, "ensemble")[2]


PAIRS = {
    "no B": (lambda s: without(s, f"{PAIR}B.weight"), f"{PAIR}B.weight is missing, expected [384, 4]"),
    "another rank": (
        lambda s: s | {f"{PAIR}A.weight": torch.zeros(8, 128)},
        f"{PAIR}A.weight is [8, 128], expected [4, 128]",
    ),
    "another layer": (
        lambda s: s | {PAIR.replace("qkv", "proj") + "A.weight": torch.zeros(4, 128)},
        "attn.proj.lora_A.weight [4, 128] is not of this model",
    ),
    "another part": (
        lambda s: s | {PAIR.replace("list.0", "list.1") + "A.weight": torch.zeros(4, 128)},
        "extractor_list.1.model.blocks.1.attn.qkv.lora_A.weight [4, 128] is not of this model",
    ),
    "DoRA's magnitude": (
        lambda s: s | {f"{PAIR}magnitude_vector": torch.zeros(384)},
        f"{PAIR}magnitude_vector [384] is not of this model",
    ),
    "NaN": (
        lambda s: s | {f"{PAIR}B.weight": torch.full((384, 4), NAN)},
        f"{PAIR}B.weight holds NaN or infinity",
    ),
    "integers": (
        lambda s: s | {f"{PAIR}B.weight": torch.zeros(384, 4, dtype=torch.int32)},
        f"{PAIR}B.weight is int32, expected floating point",
    ),
    "brain floats": (lambda s: {name: t.bfloat16() for name, t in s.items()}, "bfloat16"),
}


@pytest.mark.parametrize("change, said", PAIRS.values(), ids=PAIRS)
def test_pairs_that_do_not_fit_are_refused_by_name(archive, convert, change, said):
    folder = archive("clip_vitb32")
    file = folder / "clip_vitb32_single_lora/adapter_model.safetensors"
    save_file(change(load_file(file)), file)
    code, _, err = convert(folder, "clip_vitb32")
    assert code == 1
    assert said in err
    assert "adapter_model.safetensors" in err


CONFIGS = {
    "another method": {"peft_type": "LOHA"},
    "no rank": {"r": None},
    "rank 0": {"r": 0},
    "a rank that is no number": {"r": True},
    "a rank beyond all": {"r": 10**400},
    "no alpha": {"lora_alpha": "0.5"},
    "NaN for alpha": {"lora_alpha": NAN},
    "an alpha beyond all": {"lora_alpha": 10**400},
    "other layers": {"target_modules": ["qkv", "proj"]},
    "a pattern of layers": {"target_modules": "qkv"},
    "biases": {"bias": "lora_only"},
    "biases of B": {"lora_bias": True},
    "another scale": {"use_rslora": True},
    "DoRA": {"use_dora": True},
    "ranks of its own": {"rank_pattern": {"blocks.0": 8}},
    "alphas of its own": {"alpha_pattern": {"blocks.0": 8}},
    "whole modules": {"modules_to_save": ["norm"]},
    "some layers": {"layers_to_transform": [0]},
    "layers not tuned": {"exclude_modules": ["blocks.0"]},
    "copied layers": {"layer_replication": [[0, 2]]},
    "transposed": {"fan_in_fan_out": True},
    "parameters": {"target_parameters": ["cls_token"]},
    "another beginning": {"init_lora_weights": "pissa"},
    "the old peft's parts of qkv": {"enable_lora": [True, False, True]},
    "what is not known": {"use_something": "yes"},
}


@pytest.mark.parametrize("fields", CONFIGS.values(), ids=CONFIGS)
def test_an_adapter_that_asks_for_more_is_refused_by_the_fields_name(archive, convert, fields):
    folder = archive("clip_vitb32")
    small.change(folder / "clip_vitb32_single_lora/adapter_config.json", **fields)
    code, _, err = convert(folder, "clip_vitb32")
    assert code == 1
    assert f"adapter_config.json: {next(iter(fields))} is " in err


def test_fields_that_say_nothing_of_the_numbers_are_let_be(archive, convert):
    folder = archive("clip_vitb32")
    harmless = {"revision": "main", "task_type": "FEATURE_EXTRACTION", "enable_lora": None, "base": []}
    small.change(folder / "clip_vitb32_single_lora/adapter_config.json", **harmless)
    assert convert(folder, "clip_vitb32")[0] == 0


class Runs:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


@pytest.mark.parametrize(
    "name", ["clip_vitb32_pretrain.pth.tar", "clip_vitb32_single_lora/adapter_model.bin"]
)
def test_code_in_a_pickle_is_refused_and_does_not_run(archive, convert, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    folder = archive("clip_vitb32")
    if name.endswith("bin"):
        (folder / name).with_suffix(".safetensors").unlink()
    torch.save({"x": Runs()}, folder / name)
    code, _, err = convert(folder, "clip_vitb32")
    assert code == 1
    assert "not a checkpoint of plain tensors: " in err and name in err
    assert not list(tmp_path.glob("**/PWNED"))


def test_what_is_missing_or_damaged_or_there_already_is_named(archive, convert, tmp_path, capfd):
    folder = archive("clip_vitb32")
    lora = folder / "clip_vitb32_single_lora"
    (lora / "adapter_model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    assert "tensor base_model.model." in convert(folder, "clip_vitb32")[2]
    (lora / "adapter_model.safetensors").write_bytes(b"text")
    assert "adapter_model.safetensors: " in convert(folder, "clip_vitb32")[2]
    (lora / "adapter_model.safetensors").unlink()
    assert "neither adapter_model.safetensors nor adapter_model.bin" in convert(folder, "clip_vitb32")[2]
    for text, said in (("{", "no JSON"), ("[" * 100_000, "no JSON"), ("[]", "expected an object")):
        (lora / "adapter_config.json").write_text(text)
        assert f"adapter_config.json: {said}" in convert(folder, "clip_vitb32")[2]
    shutil.rmtree(lora)
    assert "clip_vitb32_single_lora/adapter_config.json" in convert(folder, "clip_vitb32")[2]
    (folder / "clip_vitb32_pretrain.pth.tar").unlink()
    assert "clip_vitb32_pretrain.pth.tar is missing" in convert(folder, "clip_vitb32")[2]
    assert main(["convert", "dreamsim", str(folder), "--model", "dino_vitb16_patch", "-o", "x"]) == 2
    assert "dino_vitb16_patch" in capfd.readouterr().err
    with pytest.raises(ValueError, match="no DreamSim model 'dino_vits8'; there are ensemble, "):
        dreamsim.convert(folder, "dino_vits8", tmp_path / "x")


def test_a_folder_that_is_there_is_left_as_it_is(released, tmp_path, capfd):
    (tmp_path / "out").mkdir()
    command = ["convert", "dreamsim", str(released("clip_vitb32")[0]), "--model", "clip_vitb32"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 1
    assert "is there already" in capfd.readouterr().err
    assert not list((tmp_path / "out").iterdir())
