"""Gradient magnitude similarity deviation against piq and against its definition."""

import numpy as np
import piq
import pytest
import torch
from PIL import Image, ImageFilter

import unisim
from photographs import pairs

RANDOM = np.random.default_rng(12).integers(0, 256, (3, 37, 46, 3), dtype=np.uint8)


def piqs(x, y):
    """piq of the colour pictures in double: its own luminance (0.299, 0.587, 0.114, unrounded: ours) and halving.

    piq divides levels by 255 and has t = 170 / 255^2: both sides of the quotient are then ours over 255^2.
    """
    planes = [torch.from_numpy(p.astype(np.float64)).permute(2, 0, 1)[None] for p in (x, y)]
    return piq.gmsd(*planes, data_range=255).item()


def halved(pixels):
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    grey = np.pad(grey, [(0, side % 2) for side in grey.shape])
    return (grey[::2, ::2] + grey[1::2, ::2] + grey[::2, 1::2] + grey[1::2, 1::2]) / 4


def gradient(grey):
    around = np.pad(grey, 1)
    height, width = grey.shape
    across = np.zeros_like(grey)
    down = np.zeros_like(grey)
    for i in range(3):
        for k in range(3):
            here = around[i : i + height, k : k + width] / 3
            across += (k - 1) * here
            down += (i - 1) * here
    return np.hypot(across, down)


def plain(x, y):
    """Equations 2 to 6 of Xue et al. 2014."""
    a, b = gradient(halved(x)), gradient(halved(y))
    return np.std((2 * a * b + 170) / (a**2 + b**2 + 170))


def test_gmsd_is_piqs_on_photographs_of_odd_sizes(data):
    metric = unisim.metric("gmsd")
    for name, x, y in pairs(data("photos/kodak24")):
        # Both in double: a few roundings at each of up to 7,500 places. Found: 1e-15.
        assert metric(x, y) == pytest.approx(piqs(x, y), rel=0, abs=1e-12), name


@pytest.mark.parametrize("size", [(5, 5), (5, 6), (6, 5), (37, 46), (36, 46), (37, 45), (5, 40)])
def test_gmsd_is_its_definition(size):
    x, y = (picture[: size[0], : size[1]] for picture in RANDOM[:2])
    score = unisim.metric("gmsd")(x, y)
    assert score == pytest.approx(plain(x, y), rel=0, abs=1e-12)
    assert score == pytest.approx(piqs(x, y), rel=0, abs=1e-12)
    assert 0.01 < score < 0.5


def test_equal_pictures_are_exactly_zero_apart_and_order_does_not_matter():
    metric = unisim.metric("gmsd")
    assert metric(RANDOM[0], RANDOM[0].copy()) == 0
    assert metric(RANDOM[0], RANDOM[1]) == metric(RANDOM[1], RANDOM[0])


def test_a_distance_ranks_the_least_distorted_first(data):
    with Image.open(min(data("photos/kodak24").glob("*.png"))) as whole:
        picture = whole.convert("RGB").crop((0, 0, 200, 180))
    blurred = [picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (3, 1, 5, 0.5, 2)]
    metric = unisim.metric("gmsd")
    assert metric.name == "gmsd"
    assert not metric.higher_is_better
    assert metric.rank(picture, blurred) == [3, 1, 4, 0, 2]


X = RANDOM[0]
REFUSED = {
    "two sizes": (lambda m: m(X, X[:-1]), r"\[gmsd\] sizes differ: 46 x 37 and 46 x 36"),
    "four rows": (lambda m: m(X[:4], X[:4]), r"\[gmsd\] images of 46 x 4 .*at least 5"),
    "four columns": (lambda m: m(X[:, :4], X[:, :4]), r"\[gmsd\] images of 4 x 37 .*at least 5"),
    "a text": (lambda m: m(X, unisim.Text("a cup")), r"\[gmsd\] cannot read the text \"a cup\""),
    "an attribute": (lambda m: m.attribute([X], "quality"), r"\[gmsd\] cannot rate"),
    "a folder": (lambda m: unisim.metric("gmsd:/tmp"), "gmsd takes no model"),
    "a precision": (lambda m: unisim.metric("gmsd", dtype="bfloat16"), "in double alone"),
    "a layer": (lambda m: unisim.metric("gmsd", layer=1), "no layer or pool"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case):
    call, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        call(unisim.metric("gmsd"))
