"""UniSim's checkpoints: merged numbers held to peft's own model, and what is refused."""

import argparse
import json
import os
import pickle
import stat

import pytest
import torch
import transformers
from safetensors.torch import load_file

import unisim
from encoder_models import clip_parts, processor, randomize
from unisim.cli.app import main

peft = pytest.importorskip("peft")

UNIT = 1e-5  # rows of length one: float32 sums in another order, and the LoRA's product rounded once instead of twice
TARGETS = ["k_proj", "v_proj", "q_proj", "out_proj", "fc1", "fc2"]
Q = "vision_model.base_model.model.encoder.layers.1.self_attn.q_proj."


def lora(rank):
    return peft.LoraConfig(r=rank, lora_alpha=32, lora_dropout=0.2, bias="none", target_modules=TARGETS)


@pytest.fixture(scope="module")
def tuned(tmp_path_factory):
    """The folder before tuning, and the model after it."""
    folder = tmp_path_factory.mktemp("base")
    vision, text = clip_parts()
    model = transformers.CLIPModel(
        transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=28)
    )
    randomize(model, 1).save_pretrained(folder)
    processor(folder, "CLIP", (45, 45))
    model.vision_model = peft.get_peft_model(model.vision_model, lora(16))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "lora_" in name:  # B starts as zero, and would change nothing
                p.copy_(0.1 * torch.randn(p.shape, generator=generator))
    return folder, model.eval()


@pytest.fixture
def state(tuned):
    """What the released checkpoints hold: all but logit_scale."""
    return {name: t.clone() for name, t in tuned[1].state_dict().items() if name != "logit_scale"}


@pytest.fixture
def convert(tuned, tmp_path, capfd):
    def convert(content, base=None):
        checkpoint = tmp_path / "tuned.pt"
        if content is not None:
            torch.save(content, checkpoint)
        command = ["convert", "unisim", str(checkpoint), "--base", str(base or tuned[0]), "--json"]
        capfd.readouterr()
        code = main([*command, "-o", str(tmp_path / "out")])
        said = capfd.readouterr()
        if code:
            assert not (tmp_path / "out").exists()
            assert not list(tmp_path.glob(".out*"))
        return code, said.out, said.err

    return convert


@pytest.mark.parametrize("wrap", ["plain", "state_dict", "module", "old position_ids"])
def test_rows_of_the_merged_folder_are_those_of_peft(tuned, state, convert, tmp_path, wrap):
    content = {
        "plain": state,
        "state_dict": {"epoch": 3, "state_dict": state, "optimizer": {"lr": 1e-5}},
        "module": {f"module.{name}": t for name, t in state.items()},
        "old position_ids": state
        | {"vision_model.base_model.model.embeddings.position_ids": torch.arange(26)[None]},
    }[wrap]
    code, out, err = convert(content)
    assert code == 0, err
    said = json.loads(out)
    assert said["merged"] == 3 * 6
    folder, model = tuned
    encoder = unisim.Encoder.load(str(tmp_path / "out"))
    generator = torch.Generator().manual_seed(3)
    pixels = torch.randn(3, 3, 45, 45, generator=generator)
    ids = torch.randint(3, 87, (4, 12), generator=generator)
    ids[:, -1] = 88
    with torch.no_grad():
        pooled = model.visual_projection(model.vision_model(pixels).pooler_output)
        images = torch.nn.functional.normalize(pooled, dim=-1)
        texts = torch.nn.functional.normalize(
            model.text_projection(model.text_model(ids).pooler_output), dim=-1
        )
    assert (encoder.embed_pixels(pixels) - images).abs().max() <= UNIT
    assert (encoder.embed_tokens(ids) - texts).abs().max() <= UNIT
    before = unisim.Encoder.load(str(folder)).embed_pixels(pixels)
    assert (before - images).abs().max() > 0.01  # the tuning shows
    assert said["tensors"] == len(load_file(tmp_path / "out/model.safetensors"))


def test_the_product_is_rounded_once_and_the_rest_is_the_bases(tuned, state, convert, tmp_path):
    assert convert(state)[0] == 0
    merged = load_file(tmp_path / "out/model.safetensors")
    a, b, w = (
        state[f"{Q}{one}.weight"].double() for one in ("lora_A.default", "lora_B.default", "base_layer")
    )
    assert torch.equal(
        merged["vision_model.encoder.layers.1.self_attn.q_proj.weight"], (w + 2 * (b @ a)).float()
    )
    before = load_file(tuned[0] / "model.safetensors")
    assert merged.keys() == before.keys()
    assert torch.equal(merged["logit_scale"], before["logit_scale"])
    assert torch.equal(merged["visual_projection.weight"], before["visual_projection.weight"])
    files = {file.name for file in (tmp_path / "out").iterdir()}
    assert files == {"config.json", "preprocessor_config.json", "model.safetensors"}
    assert len({stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "out").iterdir()}) == 1


def test_a_checkpoint_in_16_bits_becomes_float32(state, convert, tmp_path):
    assert convert({name: t.bfloat16() for name, t in state.items()})[0] == 0
    merged = load_file(tmp_path / "out/model.safetensors")
    assert {t.dtype for t in merged.values()} == {torch.float32}
    projection = state["visual_projection.weight"].bfloat16().float()
    assert torch.equal(merged["visual_projection.weight"], projection)


def without(state, name):
    del state[name]
    return state


@pytest.mark.parametrize(
    "change, said",
    {
        "a tensor too many": (
            lambda s: s | {"vision_model.extra": torch.zeros(2)},
            "tensor vision_model.extra [2] is not of this model",
        ),
        "no B": (
            lambda s: without(s, f"{Q}lora_B.default.weight"),
            f"tensor {Q}lora_B.default.weight is missing, expected [60, 16]",
        ),
        "another rank": (
            lambda s: s | {f"{Q}lora_A.default.weight": torch.zeros(8, 60)},
            f"tensor {Q}lora_A.default.weight is [8, 60], expected [16, 60]",
        ),
        "another projection": (
            lambda s: s | {"visual_projection.weight": torch.zeros(32, 60)},
            "tensor visual_projection.weight is [32, 60], expected [28, 60]",
        ),
        "no projection": (
            lambda s: without(s, "text_projection.weight"),
            "tensor text_projection.weight is missing, expected [28, 32]",
        ),
        "a LoRA on the text tower": (
            lambda s: s | {"text_model.encoder.layers.0.mlp.fc1.lora_A.default.weight": torch.zeros(16, 32)},
            "fc1.lora_A.default.weight [16, 32] is not of this model",
        ),
        "NaN": (
            lambda s: s | {f"{Q}lora_B.default.weight": torch.full((60, 16), float("nan"))},
            f"tensor {Q}lora_B.default.weight holds NaN or infinity",
        ),
        "integers": (
            lambda s: s | {"visual_projection.weight": torch.zeros(28, 60, dtype=torch.int32)},
            "tensor visual_projection.weight is int32, expected floating point",
        ),
        "a name twice": (
            lambda s: s | {"module.visual_projection.weight": torch.zeros(28, 60)},
            "two tensors are named visual_projection.weight",
        ),
        "a number among tensors": (lambda s: s | {"epoch": 3}, "'epoch' is a int, expected names and tensors"),
        "sparse": (
            lambda s: s | {"visual_projection.weight": torch.zeros(28, 60).to_sparse()},
            "tensor visual_projection.weight is not of plain numbers",
        ),
        "a list": (lambda s: list(s.values()), "a list, expected a state dict"),
        "a stride of zero": (
            lambda s: s | {"visual_projection.weight": torch.zeros(1).expand(1 << 32)},
            "tuned.pt: ",
        ),
    }.values(),
    ids=lambda one: None,
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(state, convert, change, said):
    code, _, err = convert(change(state))
    assert code == 1
    assert said in err
    assert "tuned.pt" in err
    assert len(err.splitlines()) == 1


class Runs:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


def test_code_in_a_checkpoint_is_refused_and_does_not_run(state, convert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = convert(state | {"x": Runs()})
    assert code == 1
    assert "not a checkpoint of plain tensors: Trying to load unsupported GLOBAL posix.system" in err
    code, _, err = convert({"arguments": argparse.Namespace(lr=1), "state_dict": state})
    assert "Unsupported global: GLOBAL argparse.Namespace was not an allowed global by default." in err
    (tmp_path / "tuned.pt").write_bytes(pickle.dumps(Runs()))
    code, _, err = convert(None)
    assert code == 1
    assert "not a checkpoint of plain tensors: " in err
    assert not list(tmp_path.glob("**/PWNED"))


def test_a_damaged_or_missing_checkpoint_is_an_error(state, convert, tmp_path):
    assert "No such file" in convert(None)[2]
    torch.save(state, tmp_path / "tuned.pt")
    whole = (tmp_path / "tuned.pt").read_bytes()
    for part in (b"", whole[: len(whole) // 2], b"text\n"):
        (tmp_path / "tuned.pt").write_bytes(part)
        code, _, err = convert(None)
        assert code == 1
        assert "tuned.pt: not a checkpoint of plain tensors: " in err


def test_a_folder_that_is_there_or_a_base_that_is_none_is_refused(tuned, state, convert, tmp_path, capfd):
    bare = tmp_path / "bare"
    bare.mkdir()
    assert "config.json" in convert(state, bare)[2]
    (bare / "config.json").write_text('{"model_type": "siglip"}')
    assert "model_type is 'siglip', expected 'clip'" in convert(state, bare)[2]
    (tmp_path / "out").mkdir()
    command = ["convert", "unisim", str(tmp_path / "tuned.pt"), "--base", str(tuned[0])]
    assert main([*command, "-o", str(tmp_path / "out")]) == 1
    assert "is there already" in capfd.readouterr().err
    assert not list((tmp_path / "out").iterdir())
