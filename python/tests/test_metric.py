"""Metrics against scikit-image and piq; ranking, odd ones, refusals."""

import math

import numpy as np
import piq
import pytest
import torch
from photographs import pairs
from PIL import Image, ImageFilter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import unisim

RANDOM = np.random.default_rng(1).integers(0, 256, (4, 170, 165, 3), dtype=np.uint8)


def grey(pixels):
    """BT.601, unrounded, as Wang et al. take it."""
    return pixels @ np.array([0.299, 0.587, 0.114])


def test_ssim_is_scikit_images(data):
    metric = unisim.metric("ssim")
    for name, x, y in pairs(data("photos/kodak24")):
        expected = structural_similarity(
            grey(x), grey(y), gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
        )
        # both in double over a few thousand windows
        assert metric(x, y) == pytest.approx(expected, abs=1e-12), name


def test_ms_ssim_is_piqs_on_the_same_grey(data):
    metric = unisim.metric("ms-ssim")
    files = sorted(data("photos/kodak24").glob("*.png"))[:4]
    for k, file in enumerate(files):
        with Image.open(file) as whole:
            picture = whole.convert("RGB")
        if k % 2:  # odd sides at several scales
            picture = picture.crop((3, 5, 3 + 251 + 2 * k, 5 + 333 + k))
        blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(1 + k)))
        x = np.asarray(picture)
        planes = [torch.from_numpy(grey(p))[None, None].clamp(max=255) for p in (x, blurred)]
        expected = piq.multi_scale_ssim(*planes, data_range=255.0).item()
        # piq keeps its five weights in the planes' double
        assert metric(x, blurred) == pytest.approx(expected, abs=1e-10), file.name


def test_psnr_is_scikit_images(data):
    metric = unisim.metric("psnr")
    for name, x, y in pairs(data("photos/kodak24")):
        assert metric(x, y) == pytest.approx(peak_signal_noise_ratio(x, y, data_range=255), rel=1e-12), name
    assert metric(RANDOM[0], RANDOM[0]) == math.inf


def test_names_and_directions():
    assert unisim.metric_names() == sorted(unisim.metric_names())
    for name in ("ssim", "ms-ssim", "psnr"):
        metric = unisim.metric(name)
        assert metric.name == name
        assert metric.higher_is_better
        assert repr(metric) == f"<unisim.Metric {name}>"


def test_lists_give_a_tensor_and_one_pair_a_float():
    metric = unisim.metric("ssim")
    told = []
    scores = metric(list(RANDOM[:3]), list(RANDOM[1:]), progress=lambda *counts: told.append(counts))
    assert scores.shape == (3,)
    assert scores.dtype == torch.float64
    assert told == [(1, 3), (2, 3), (3, 3)]
    alone = [metric(x, y) for x, y in zip(RANDOM[:3], RANDOM[1:], strict=True)]
    assert all(isinstance(score, float) for score in alone)
    assert scores.tolist() == alone
    assert metric(RANDOM[:3], RANDOM[1:]).tolist() == alone
    assert metric([], []).shape == (0,)


def test_every_kind_of_image_is_an_item(tmp_path):
    metric = unisim.metric("psnr")
    file = tmp_path / "x.png"
    Image.fromarray(RANDOM[0]).save(file)
    kinds = [RANDOM[0], str(file), file, file.read_bytes(), Image.open(file), unisim.read_image(file)]
    assert {metric(RANDOM[1], kind) for kind in kinds} == {metric(RANDOM[1], RANDOM[0])}
    assert metric(kinds, [RANDOM[1]] * len(kinds)).unique().numel() == 1


def test_rank_orders_distortions_by_strength(data):
    file = sorted(data("photos/kodak24").glob("*.png"))[0]
    with Image.open(file) as whole:
        picture = whole.convert("RGB").crop((0, 0, 200, 180))
    blurred = [picture.filter(ImageFilter.GaussianBlur(radius)) for radius in (3, 1, 5, 0.5, 2)]
    for name in ("ssim", "ms-ssim", "psnr"):
        metric = unisim.metric(name)
        assert metric.rank(picture, blurred) == [3, 1, 4, 0, 2]
        ranking = metric.ranking(picture, blurred)
        assert ranking.order == [3, 1, 4, 0, 2]
        assert ranking.scores == [metric(picture, other) for other in blurred]
        assert not ranking.tied


def test_a_tie_keeps_the_order_given_and_is_marked():
    ranking = unisim.metric("ssim").ranking(RANDOM[0], [RANDOM[1], RANDOM[0], RANDOM[1], RANDOM[0]])
    assert ranking.order == [1, 3, 0, 2]
    assert ranking.tied


def test_odd_one_out():
    near = np.clip(RANDOM[0].astype(int) + 3, 0, 255).astype(np.uint8)
    metric = unisim.metric("ms-ssim")
    assert metric.odd_one_out([RANDOM[0], RANDOM[1], near]) == 1
    assert metric.odd_one_out([RANDOM[0], near, RANDOM[0], RANDOM[2], near]) == 3


def test_a_text_is_frozen_equal_by_content_and_shown():
    text = unisim.Text("a 'red' cup")
    assert text == unisim.Text("a 'red' cup") != unisim.Text("a cup")
    assert len({text, unisim.Text("a 'red' cup")}) == 1
    assert repr(text) == "Text(\"a 'red' cup\")"
    with pytest.raises(AttributeError):
        text.text = "another"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, RuntimeError])
def test_an_exception_from_progress_ends_the_run(kind):
    def stop(done, total):
        raise kind("enough")

    with pytest.raises(kind, match="enough"):
        unisim.metric("psnr")(list(RANDOM), list(RANDOM), progress=stop)


X, SMALL, LOW = RANDOM[0], RANDOM[0, :1, :1], RANDOM[0, :10]
PSNR = unisim.metric("psnr")
REFUSED = {
    "two sizes": (lambda: unisim.metric("ssim")(X, X[:-1]), ValueError, "165 x 170 and 165 x 169"),
    "one pixel for ssim": (lambda: unisim.metric("ssim")(SMALL, SMALL), ValueError, "at least 11"),
    "ten rows for ssim": (lambda: unisim.metric("ssim")(LOW, LOW), ValueError, "165 x 10 are too small"),
    "160 rows for ms-ssim": (lambda: unisim.metric("ms-ssim")(X[:160], X[:160]), ValueError, "at least 161"),
    "a text for pixels": (lambda: PSNR(X, unisim.Text("a cup")), ValueError, r"\[psnr\].*a cup"),
    "lists of two lengths": (lambda: PSNR([X, X], [X]), ValueError, "2 and 1"),
    "a list and one": (lambda: PSNR([X, X], X), TypeError, "rank compares"),
    "no candidates": (lambda: PSNR.rank(X, []), ValueError, "needs candidates"),
    "one candidate, no list": (lambda: PSNR.rank(X, X), TypeError, "expected a list"),
    "two for the odd one": (lambda: PSNR.odd_one_out([X, X]), ValueError, "at least 3"),
    "quality by pixels": (lambda: PSNR.attribute([X], "quality"), ValueError, r"\[psnr\] cannot rate"),
    "an unknown metric": (lambda: unisim.metric("lips"), ValueError, "lpips-vgg, ms-ssim, psnr, ssim"),
    "an unknown option": (lambda: unisim.metric("ssim,window=7"), ValueError, '"window" is not one of'),
    "a layer of pixels": (lambda: unisim.metric("ssim", layer=3), ValueError, "no layer or pool"),
    "a pool that is none": (lambda: unisim.metric("encoder:x", pool="max"), ValueError, "neither .cls. nor .mean."),
    "a device that is none": (lambda: unisim.metric("ssim", device="gpu"), ValueError, r"\[metric\] device 'gpu' is not known"),
    "a dtype that is none": (lambda: unisim.metric("ssim", dtype="int4"), ValueError, "int4 is not"),
    "half on the cpu": (lambda: unisim.metric("lpips-vgg", dtype="float16"), ValueError, "float16 is for CUDA"),
    "no such folder": (lambda: unisim.metric("encoder:/no/such"), ValueError, "/no/such"),
    "no such file": (lambda: PSNR(X, "/no/such.png"), OSError, "/no/such.png"),
    "no image": (lambda: PSNR(X, b"not an image"), (ValueError, NotImplementedError), ""),
    "a number": (lambda: PSNR(X, 7), TypeError, ""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case):
    call, kind, said = REFUSED[case]
    with pytest.raises(kind, match=said or None):
        call()
