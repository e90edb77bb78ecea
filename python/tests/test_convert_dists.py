"""DISTS's folder out of weights.pt and an lpips-vgg folder: the same tensors, read by the metric; and what is refused."""

import json
import os

import numpy as np
import pytest
import safetensors.numpy
import torch

import unisim
from unisim.cli.app import main
from unisim.weights import lpips


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """An lpips-vgg folder of random weights, and its tensors."""
    folder, generator, width = tmp_path_factory.mktemp("lpips-vgg"), np.random.default_rng(3), 3
    tensors = {}
    for k, (places, channels) in enumerate(zip(lpips.SLICES["vgg"], lpips.CHANNELS["vgg"], strict=True), 1):
        for place in places:
            scale = np.float32((2 / (9 * width)) ** 0.5)
            weight = generator.standard_normal((channels, width, 3, 3), np.float32) * scale
            tensors[f"net.slice{k}.{place}.weight"] = weight
            tensors[f"net.slice{k}.{place}.bias"] = generator.random(channels, np.float32)
            width = channels
        tensors[f"lin{k - 1}.model.1.weight"] = generator.random((1, channels, 1, 1), np.float32)
    safetensors.numpy.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(lpips.config("vgg")))
    return folder, tensors


@pytest.fixture
def learned():
    generator = torch.Generator().manual_seed(4)
    return {
        name: torch.nn.Parameter(torch.rand(1, 1475, 1, 1, generator=generator)) for name in ("alpha", "beta")
    }


@pytest.fixture
def convert(base, tmp_path, capfd):
    def convert(content, *options):
        torch.save(content, tmp_path / "weights.pt")
        capfd.readouterr()
        code = main(["convert", "dists", str(tmp_path / "weights.pt"), "-o", str(tmp_path / "out"), *options])
        if code:
            assert not list(tmp_path.glob("*out*"))
        return code, capfd.readouterr().err

    return convert


def test_the_folder_has_the_tensors_of_both_and_the_metric_reads_it(base, learned, convert, tmp_path):
    folder, tensors = base
    code, err = convert(learned, "--base", str(folder))
    assert code == 0, err
    made = safetensors.numpy.load_file(tmp_path / "out/model.safetensors")
    for name, array in made.items():
        whole = learned[name].detach().numpy().reshape(-1) if name in learned else tensors[name]
        np.testing.assert_array_equal(array, whole)
    assert len(made) == 28
    metric = unisim.metric(f"dists:{tmp_path / 'out'}")
    x, y = np.random.default_rng(5).integers(0, 256, (2, 40, 53, 3), np.uint8)
    assert metric(x, x) == 0 < metric(x, y)


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda w: {"alpha": w["alpha"]}, "tensor beta is missing, expected [1, 1475, 1, 1]"),
        (lambda w: w | {"gamma": torch.zeros(3)}, "tensor gamma [3] is not of DISTS"),
        (
            lambda w: w | {"beta": torch.zeros(1, 1472, 1, 1)},
            "tensor beta is float32 [1, 1472, 1, 1], expected",
        ),
        (lambda w: w | {"beta": torch.full((1, 1475, 1, 1), torch.nan)}, "tensor beta holds NaN"),
    ],
    ids=["missing", "left over", "shape", "NaN"],
)
def test_weights_that_do_not_fit_are_refused_by_name(base, learned, convert, change, said):
    code, err = convert(change(learned), "--base", str(base[0]))
    assert code == 1
    assert said in err


class Runs:
    def __reduce__(self):
        return os.system, ("touch PWNED",)


def test_code_does_not_run_and_another_base_or_none_is_refused(base, learned, convert, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNISIM_CACHE", str(tmp_path / "cache"))
    assert "not a checkpoint of plain tensors" in convert(learned | {"x": Runs()}, "--base", str(base[0]))[1]
    assert not list(tmp_path.glob("**/PWNED"))
    assert "run: unisim get lpips-vgg" in convert(learned)[1]
    (tmp_path / "other").mkdir()
    (tmp_path / "other/config.json").write_text(json.dumps(lpips.config("alex")))
    assert "no folder of lpips-vgg" in convert(learned, "--base", str(tmp_path / "other"))[1]
