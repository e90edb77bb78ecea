"""LPIPS against the authors' package, with the same weights."""

import json
import shutil

import lpips
import numpy as np
import pytest
import safetensors.torch
import torch
from photographs import pairs
from PIL import Image

import unisim

NETS = ("alex", "vgg")
CONFIG = {
    "model_type": "lpips",
    "version": "0.1",
    "input_range": [-1.0, 1.0],
    "shift": [-0.030, -0.088, -0.188],
    "scale": [0.458, 0.448, 0.450],
    "normalize_eps": 1e-10,
}
CHANNELS = {"alex": [64, 192, 384, 256, 256], "vgg": [64, 128, 256, 512, 512]}


def theirs(net):
    """The package's own module, nothing downloaded."""
    return lpips.LPIPS(net=net, pnet_rand=True, pretrained=False, verbose=False)


def tensor_names(module):
    """The tensors that a folder holds: the heads once, the scaling layer in config.json."""
    names = module.state_dict()
    return [name for name in names if name.startswith(("net.", "lin")) and not name.startswith("lins.")]


def loaded(net, folder):
    module = theirs(net)
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    tensors = {name: tensor.float() for name, tensor in stored.items()}
    assert sorted(tensors) == sorted(tensor_names(module))
    assert module.load_state_dict(tensors, strict=False).unexpected_keys == []
    return module


def their_distance(module, x, y):
    x, y = (torch.from_numpy(p / 127.5 - 1).float().permute(2, 0, 1)[None] for p in (x, y))
    with torch.inference_mode():
        return module(x, y).item()


def assert_equal(ours, expected, name):
    """What is promised: 1e-4 relative, or 1e-7."""
    assert abs(ours - expected) <= max(1e-4 * abs(expected), 1e-7), f"{name}: {ours} for {expected}"


@pytest.fixture(scope="module")
def random_folder(tmp_path_factory):
    """A folder of seeded random weights of one net, and the package's module that has them."""
    made = {}

    def make(net):
        if net not in made:
            module = theirs(net)
            generator = torch.Generator().manual_seed(11)
            for name, tensor in module.named_parameters():
                fan_in = tensor[0].numel() if tensor.ndim > 1 else tensor.numel()
                tensor.data = torch.randn(tensor.shape, generator=generator) * (2 / fan_in) ** 0.5
                if name.startswith("lin"):
                    tensor.data.abs_()
            folder = tmp_path_factory.mktemp(f"lpips-{net}")
            tensors = {name: module.state_dict()[name].clone() for name in tensor_names(module)}
            safetensors.torch.save_file(tensors, folder / "model.safetensors")
            config = CONFIG | {"net": net, "channels": CHANNELS[net], "weight_dtype": "fp32"}
            (folder / "config.json").write_text(json.dumps(config))
            made[net] = folder, module
        return made[net]

    return make


@pytest.mark.parametrize("net", NETS)
def test_twenty_pairs_of_photographs_have_the_packages_distance(data, net):
    folder = data(f"models/lpips_{net}")
    module = loaded(net, folder)
    made = pairs(data("photos/kodak24"))
    assert len(made) == 20
    metric = unisim.metric(f"lpips-{net}:{folder}")
    scores = metric([x for _, x, _ in made], [y for _, _, y in made])
    for (name, x, y), score in zip(made, scores.tolist(), strict=True):
        assert_equal(score, their_distance(module, x, y), name)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("size", [(31, 31), (33, 47), (64, 35)])
def test_random_weights_give_the_packages_distance(random_folder, net, size):
    folder, module = random_folder(net)
    x, y = np.random.default_rng(5).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    ours = unisim.metric(f"lpips-{net}:{folder}")(x, y)
    expected = their_distance(module, x, y)
    assert expected > 1e-3
    assert_equal(ours, expected, net)


@pytest.mark.parametrize(("net", "least"), [("alex", 31), ("vgg", 16)])
def test_the_least_size_is_the_packages(random_folder, net, least):
    folder, module = random_folder(net)
    metric = unisim.metric(f"lpips-{net}:{folder}")
    x, y = np.random.default_rng(6).integers(0, 256, (2, least, 60, 3), dtype=np.uint8)
    assert_equal(metric(x, y), their_distance(module, x, y), net)
    with pytest.raises(ValueError, match=f"each side must be at least {least}"):
        metric(x[1:], y[1:])
    with pytest.raises(RuntimeError):
        their_distance(module, x[1:], y[1:])


def test_the_authors_example_has_the_authors_numbers(data):
    photos = data("photos/lpips_examples")
    metric = unisim.metric(f"lpips-alex:{data('models/lpips_alex')}")
    reference, p0, p1 = (str(photos / f"ex_{name}.png") for name in ("ref", "p0", "p1"))
    assert round(metric(reference, p0), 3) == 0.722
    assert round(metric(reference, p1), 3) == 0.138
    assert metric.rank(reference, [p0, p1]) == [1, 0]


def test_the_installed_name_is_found_in_the_cache(data, tmp_path, monkeypatch):
    (tmp_path / "models").mkdir()
    shutil.copytree(data("models/lpips_alex"), tmp_path / "models" / "lpips-alex")
    monkeypatch.setenv("UNISIM_CACHE", str(tmp_path))
    metric = unisim.metric("lpips-alex")
    assert metric.name == "lpips-alex"
    assert not metric.higher_is_better
    x = np.full((40, 40, 3), 9, np.uint8)
    assert metric(x, x) == 0


def test_without_weights_the_error_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("UNISIM_CACHE", str(tmp_path))
    with pytest.raises(ValueError, match="run: unisim get lpips-alex"):
        unisim.metric("lpips-alex")


def test_bfloat16_is_near_float32(data):
    folder = data("models/lpips_alex")
    photos = data("photos/lpips_examples")
    x, y = (np.asarray(Image.open(photos / f"ex_{name}.png").convert("RGB")) for name in ("ref", "p0"))
    exact = unisim.metric(f"lpips-alex:{folder}")(x, y)
    near = unisim.metric(f"lpips-alex:{folder}", dtype="bfloat16")(x, y)
    # 8 bits of mantissa in five layers: a few parts in a thousand
    assert near == pytest.approx(exact, rel=2e-2)
    assert near != exact


def test_a_net_of_the_other_name_is_refused(random_folder):
    folder, _ = random_folder("alex")
    with pytest.raises(NotImplementedError, match="net"):
        unisim.metric(f"lpips-vgg:{folder}")
