"""DISTS against its formula in plain torch, over torchvision's VGG16, with seeded random weights."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch
import torchvision

import unisim
from photographs import pairs
from tiny_tasks import pair, pictures, written

pytest_plugins = ["command_line"]

# Of the convolutions in torchvision's features.
PLACES = ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28))
CHANNELS = [3, 64, 128, 256, 512, 512]
CONFIG = {
    "model_type": "dists",
    "net": "vgg",
    "channels": CHANNELS,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "weight_dtype": "fp32",
}
RANDOM = np.random.default_rng(21).integers(0, 256, (4, 40, 53, 3), dtype=np.uint8)


def made_tensors():
    """VGG16 under the names of the folder, weights of a size that keeps every depth alive, and alpha and beta."""
    generator = torch.Generator().manual_seed(31)
    vgg = torchvision.models.vgg16(weights=None).features.eval()
    tensors = {}
    for k, places in enumerate(PLACES, 1):
        for place in places:
            convolution = vgg[place]
            fan_in = convolution.weight[0].numel()
            shape = convolution.weight.shape
            convolution.weight.data = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
            convolution.bias.data = torch.randn(shape[0], generator=generator) * 0.1
            for name, tensor in convolution.named_parameters():
                tensors[f"net.slice{k}.{place}.{name}"] = tensor.detach().clone()
    for name in ("alpha", "beta"):
        tensors[name] = torch.rand(sum(CHANNELS), generator=generator)
    return vgg, tensors


def write(folder, tensors, config=CONFIG):
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def made():
    return made_tensors()


@pytest.fixture(scope="module")
def folder(made, tmp_path_factory):
    return write(tmp_path_factory.mktemp("dists"), made[1])


@pytest.fixture(scope="module")
def metric(folder):
    return unisim.metric(f"dists:{folder}")


def pooled(x):
    line = torch.tensor([0.5, 1.0, 0.5], dtype=x.dtype)
    window = torch.outer(line, line)
    window = (window / window.sum()).expand(x.shape[1], 1, 3, 3)
    return (torch.nn.functional.conv2d(x**2, window, stride=2, padding=1, groups=x.shape[1]) + 1e-12).sqrt()


def features(vgg, image):
    """The image in [0, 1], then relu1_2, 2_2, 3_3, 4_3, 5_3, all in double."""
    x = torch.from_numpy(image.astype(np.float64) / 255).permute(2, 0, 1)[None]
    depths = [x]
    mean, std = (torch.tensor(CONFIG[name], dtype=torch.float64).view(1, 3, 1, 1) for name in ("mean", "std"))
    x = (x - mean) / std
    for k, places in enumerate(PLACES):
        if k > 0:
            x = pooled(x)
        for place in places:
            convolution = vgg[place]
            x = torch.conv2d(x, convolution.weight.double(), convolution.bias.double(), padding=1).relu()
        depths.append(x)
    return depths


def plain(made, x, y):
    """Distance = 1 - sum(alpha S1 + beta S2), alpha and beta over the sum of both; population moments."""
    vgg, tensors = made
    total = tensors["alpha"].double().sum() + tensors["beta"].double().sum()
    alphas = (tensors["alpha"].double() / total).split(CHANNELS)
    betas = (tensors["beta"].double() / total).split(CHANNELS)
    alike = 0.0
    with torch.no_grad():
        both = zip(features(vgg, x), features(vgg, y), alphas, betas, strict=True)
        for a, b, alpha, beta in both:
            a, b = a.flatten(2)[0], b.flatten(2)[0]
            ma, mb = a.mean(1), b.mean(1)
            va, vb = ((a - ma[:, None]) ** 2).mean(1), ((b - mb[:, None]) ** 2).mean(1)
            covariance = (a * b).mean(1) - ma * mb
            means_alike = (2 * ma * mb + 1e-6) / (ma**2 + mb**2 + 1e-6)
            structure_alike = (2 * covariance + 1e-6) / (va + vb + 1e-6)
            alike += (alpha * means_alike + beta * structure_alike).sum().item()
    return 1 - alike


def assert_equal(ours, expected, name=""):
    """Thirteen convolutions in float32 against double: a few 1e-6 of each feature; the ratios keep that."""
    assert abs(ours - expected) <= 1e-5 * expected + 1e-7, f"{name}: {ours} for {expected}"


@pytest.mark.parametrize("size", [(40, 53), (39, 52), (17, 16), (5, 33), (1, 7), (1, 1)])
def test_the_distance_is_the_formulas(made, metric, size):
    x, y = (picture[: size[0], : size[1]] for picture in RANDOM[:2])
    expected = plain(made, x, y)
    assert expected > 1e-3
    assert_equal(metric(x, y), expected, size)


def test_photographs_have_the_formulas_distance(data, made, metric):
    for name, x, y in pairs(data("photos/kodak24"))[::4]:
        assert_equal(metric(x, y), plain(made, x, y), name)


def test_equal_pictures_are_exactly_zero_apart_and_order_does_not_matter(metric):
    assert metric(RANDOM[0], RANDOM[0].copy()) == 0
    assert metric(RANDOM[0], RANDOM[1]) == metric(RANDOM[1], RANDOM[0])
    grey = np.full((20, 20, 3), 7, np.uint8)
    assert metric(grey, grey) == 0
    assert not metric.higher_is_better


def test_lists_and_rankings_have_the_bits_of_single_pairs(metric, folder):
    a, b, c, d = RANDOM
    x, y = [a, a, b, b, c, d, a], [b, c, a, b, d, a, d]
    alone = [unisim.metric(f"dists:{folder}")(*pair) for pair in zip(x, y, strict=True)]
    told = []
    assert metric(x, y, progress=lambda *counts: told.append(counts)).tolist() == alone
    assert told == [(k, 7) for k in range(1, 8)]
    ranking = metric.ranking(a, [b, a, c])
    assert ranking.scores == [alone[0], 0, alone[1]]
    assert ranking.order[0] == 1


@pytest.mark.parametrize("name", ["alpha", "beta", "net.slice3.12.weight", "net.slice5.28.bias"])
def test_every_tensor_moves_the_distance(made, metric, tmp_path, name):
    tensors = {key: tensor.clone() for key, tensor in made[1].items()}
    tensors[name][: len(tensors[name]) // 2] += 0.3
    assert unisim.metric(f"dists:{write(tmp_path, tensors)}")(*RANDOM[:2]) != metric(*RANDOM[:2])


@pytest.mark.parametrize(("key", "value"), [("mean", [0.4, 0.456, 0.406]), ("std", [0.229, 0.3, 0.225])])
def test_the_settings_move_the_distance(made, metric, tmp_path, key, value):
    other = unisim.metric(f"dists:{write(tmp_path, made[1], CONFIG | {key: value})}")
    assert abs(other(*RANDOM[:2]) - metric(*RANDOM[:2])) > 1e-6


def test_bfloat16_is_near_float32(folder, metric):
    exact = metric(*RANDOM[:2])
    near = unisim.metric(f"dists:{folder}", dtype="bfloat16")(*RANDOM[:2])
    # 8 bits of mantissa in thirteen convolutions: a few parts in a hundred at most
    assert near == pytest.approx(exact, rel=5e-2)
    assert near != exact


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        (("alpha", "beta"), r'learned weights of DISTS are missing: "alpha", "beta" \[1475\]'),
        (("beta",), r'learned weights of DISTS are missing: "beta" \[1475\]'),
        (("net.slice2.7.weight",), r'"net.slice2.7.weight" \[128, 128, 3, 3\] is missing'),
    ],
)
def test_what_is_missing_is_named(made, tmp_path, gone, said):
    tensors = {name: tensor for name, tensor in made[1].items() if name not in gone}
    with pytest.raises(ValueError, match=said):
        unisim.metric(f"dists:{write(tmp_path, tensors)}")


def spoiled(name, change):
    def spoil(tensors):
        tensors[name] = change(tensors[name])

    return spoil


BAD_TENSORS = {
    "alpha too short": (spoiled("alpha", lambda t: t[:-3]), r'"alpha" is \[1472\], expected \[1475\]'),
    "beta not a number": (spoiled("beta", lambda t: t * float("nan")), "beta"),
    "nothing to divide by": (lambda t: t.update(alpha=-t["beta"].clone()), "alpha and beta sum to 0"),
    "a head of LPIPS": (lambda t: t.update({"lin0.model.1.weight": torch.ones(1, 64, 1, 1)}), "lin0.model.1"),
}


@pytest.mark.parametrize("case", BAD_TENSORS)
def test_bad_tensors_are_refused(made, tmp_path, case):
    spoil, said = BAD_TENSORS[case]
    tensors = {name: tensor.clone() for name, tensor in made[1].items()}
    spoil(tensors)
    with pytest.raises(ValueError, match=said):
        unisim.metric(f"dists:{write(tmp_path, tensors)}")


BAD_CONFIGS = {
    "of LPIPS": ({"model_type": "lpips"}, NotImplementedError, "model_type"),
    "of no type": ({"model_type": None}, ValueError, '"model_type" is missing'),
    "of another net": ({"net": "alex"}, NotImplementedError, "net"),
    "of other channels": ({"channels": [3, 64, 128, 256, 512, 513]}, NotImplementedError, "channels"),
    "without a mean": ({"mean": None}, ValueError, "mean"),
    "with two means": ({"mean": [0.5, 0.5]}, ValueError, "mean"),
    "with a zero std": ({"std": [0.2, 0, 0.2]}, ValueError, '"std" holds a 0'),
    "with an unknown field": ({"resize": 256}, NotImplementedError, "resize"),
}


@pytest.mark.parametrize("case", BAD_CONFIGS)
def test_every_field_is_honoured_or_refused(made, tmp_path, case):
    change, kind, said = BAD_CONFIGS[case]
    with pytest.raises(kind, match=said):
        unisim.metric(f"dists:{write(tmp_path, made[1], CONFIG | change)}")


X = RANDOM[0]
REFUSED = {
    "two sizes": (lambda m, f: m(X, X[:-1]), r"\[dists\] sizes differ: 53 x 40 and 53 x 39"),
    "a text": (lambda m, f: m(X, unisim.Text("a cup")), r"\[dists:.*cannot read the text \"a cup\""),
    "an attribute": (lambda m, f: m.attribute([X], "quality"), "cannot rate quality"),
    "no folder": (lambda m, f: unisim.metric("dists"), "dists needs a model: dists:FOLDER"),
    "no such folder": (lambda m, f: unisim.metric("dists:/no/such"), "/no/such"),
    "a layer": (lambda m, f: unisim.metric(f"dists:{f},layer=1"), "no layer or pool"),
    "half on the cpu": (lambda m, f: unisim.metric(f"dists:{f}", dtype="float16"), "float16 is for CUDA"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(metric, folder, case):
    call, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        call(metric, folder)


@pytest.mark.usefixtures("own_world")
def test_compare_takes_the_folder(run, picture, folder, metric):
    a, b = picture("a.png", 1), picture("b.png", 2)
    code, out, err = run("compare", f"dists:{folder}", a, b, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["higher_is_better"] is False
    assert found["scores"] == [{"file": b, "score": metric(a, b)}]


def test_a_store_tells_weights_apart(made, folder, tmp_path):
    data = pictures(tmp_path / "data", ["0.png", "1.png", "2.png"])
    items = [pair("0.png", "1.png", "2.png", 0)]
    task = unisim.Task.load(written(tmp_path / "task", data, "img-2afc", items), data)
    (tmp_path / "other").mkdir()
    other = write(tmp_path / "other", made[1] | {"beta": made[1]["beta"] + 0.5})
    scores = []
    for asked, found in ((folder, 0), (other, 0), (folder, 2)):
        evaluated = unisim.evaluate(task, unisim.metric(f"dists:{asked}"), store=tmp_path / "store")
        assert evaluated.found == found
        scores.append(evaluated.items[0].scores)
    assert scores[0] == scores[2] != scores[1]
