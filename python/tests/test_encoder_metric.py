"""The cosine of an encoder as a metric: images, texts, layers, attributes."""

import math

import numpy as np
import pytest
import torch
import unisim
from conftest import test_data
from encoder_models import dinov2
from test_encoder_texts import clip_folder
from unisim import Text

IMAGES = list(np.random.default_rng(2).integers(0, 256, (5, 50, 61, 3), dtype=np.uint8))
CUP, DOG = Text("a red cup"), Text("two dogs running")
# UniSim-Bench's prompts, letter by letter (two of them end without a full stop).
NAIVE = {
    "quality": "A high-quality photo.",
    "colorfulness": "A very colorful photo.",
    "brightness": "A bright photo.",
    "contrast": "A high contrast photo.",
    "sharpness": "A very sharp photo",
}
OPPOSITES = {
    "quality": ("Good photo.", "Bad photo."),
    "colorfulness": ("Colorful photo.", "Dull photo"),
    "brightness": ("Bright photo.", "Dark photo."),
    "contrast": ("High contrast photo.", "Low contrast photo."),
    "sharpness": ("Sharp photo.", "Blurry photo."),
}


@pytest.fixture(scope="module")
def clip_model(tmp_path_factory):
    return clip_folder(test_data, tmp_path_factory.mktemp("clip, of one, layer"))


@pytest.fixture(scope="module")
def dino_model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dino")
    dinov2(folder, 3)
    return folder


def test_scores_are_the_cosines_of_the_embeddings(dino_model):
    encoder = unisim.Encoder.load(dino_model)
    metric = unisim.metric(f"encoder:{dino_model}")
    assert metric.higher_is_better
    rows = encoder.embed_images(IMAGES)
    expected = unisim.cosine(rows, rows)
    x, y = zip(*[(i, j) for i in range(5) for j in range(5)], strict=True)
    scores = metric([IMAGES[i] for i in x], [IMAGES[j] for j in y]).reshape(5, 5)
    # the cosine rounds its double to float once
    assert (scores - expected).abs().max() <= 1e-7
    assert torch.equal(scores, scores.T)
    assert torch.equal(scores.diagonal(), torch.ones(5, dtype=torch.float64))
    assert metric(IMAGES[0], IMAGES[0].copy()) == 1


def test_a_pair_alone_and_in_a_list_have_the_same_bits(dino_model):
    metric = unisim.metric(f"encoder:{dino_model}")
    listed = metric(IMAGES[:4], IMAGES[1:]).tolist()
    assert listed == [metric(x, y) for x, y in zip(IMAGES[:4], IMAGES[1:], strict=True)]
    assert listed[0] == metric.ranking(IMAGES[0], IMAGES[1:]).scores[0]


def products_in(ask):
    """What asking returned, and how many matrix products of linear layers it took."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], acc_events=True) as seen:
        result = ask()
    return result, sum(event.count for event in seen.key_averages() if event.key == "aten::linear")


def test_a_reference_is_embedded_once_for_all_that_it_is_compared_with(dino_model):
    encoder = unisim.Encoder.load(dino_model)
    _, of_one = products_in(lambda: encoder.embed_images(IMAGES[:1]))
    assert of_one > 0
    metric = unisim.by_cosine(encoder)
    scores, products = products_in(lambda: [metric(IMAGES[0], other) for other in IMAGES[1:]])
    assert products == 5 * of_one
    again, products = products_in(lambda: metric.ranking(IMAGES[0].copy(), IMAGES[1:]).scores)
    assert products == 4 * of_one
    assert scores == again == [unisim.metric(f"encoder:{dino_model}")(IMAGES[0], x) for x in IMAGES[1:]]
    assert metric(IMAGES[0], IMAGES[0]) == 1
    # Another reference of the same bytes in another shape is another picture.
    turned = IMAGES[0].reshape(61, 50, 3)
    assert metric(turned, IMAGES[1]) == unisim.metric(f"encoder:{dino_model}")(turned, IMAGES[1]) != scores[0]


def test_a_text_is_embedded_once_for_all_pictures(clip_model):
    encoder = unisim.Encoder.load(clip_model)
    _, of_text = products_in(lambda: encoder.embed_texts([CUP.text]))
    _, of_image = products_in(lambda: encoder.embed_images(IMAGES[:1]))
    metric = unisim.by_cosine(encoder)
    scores, products = products_in(lambda: [metric(CUP, image) for image in IMAGES])
    assert products == of_text + 5 * of_image > 5 * of_image
    assert scores == metric(IMAGES, [CUP] * 5).tolist()
    assert scores == unisim.metric(f"encoder:{clip_model}").ranking(CUP, IMAGES).scores
    assert metric(DOG, IMAGES[0]) != scores[0]


def test_more_images_than_one_stretch(dino_model):
    metric = unisim.metric(f"encoder:{dino_model}")
    images = list(np.random.default_rng(4).integers(0, 256, (150, 20, 20, 3), dtype=np.uint8))
    told = []
    scores = metric(images[:75], images[75:], progress=lambda *counts: told.append(counts))
    some = [0, 31, 32, 63, 74]
    assert [metric(images[k], images[75 + k]) for k in some] == scores[some].tolist()
    assert told[-1] == (75, 75)
    assert told == sorted(told)
    assert len(told) > 1


def test_texts_stand_wherever_images_do(clip_model):
    encoder = unisim.Encoder.load(clip_model)
    metric = unisim.by_cosine(encoder)
    images, texts = encoder.embed_images(IMAGES), encoder.embed_texts([CUP.text, DOG.text])
    across = unisim.cosine(texts, images)
    assert unisim.cosine(texts, texts)[0, 1] < 0.999  # else every text would be the same to the tests below
    assert metric(CUP, IMAGES[0]) == pytest.approx(across[0, 0].item(), abs=1e-7)
    assert metric(IMAGES[0], CUP) == metric(CUP, IMAGES[0])
    assert metric(CUP, DOG) == pytest.approx(unisim.cosine(texts, texts)[0, 1].item(), abs=1e-7)
    assert metric(CUP, Text("a red cup")) == 1
    told = []
    mixed = metric([CUP, IMAGES[1], DOG], [IMAGES[2], DOG, CUP], progress=lambda *counts: told.append(counts))
    assert mixed.tolist() == [metric(CUP, IMAGES[2]), metric(IMAGES[1], DOG), metric(DOG, CUP)]
    assert told[-1] == (3, 3)
    assert metric.rank(CUP, IMAGES) == across[0].argsort(descending=True).tolist()
    assert metric.rank(IMAGES[3], [CUP, DOG]) == across[:, 3].argsort(descending=True).tolist()
    told.clear()
    metric.rank(CUP, [DOG], progress=lambda *counts: told.append(counts))
    assert told == [(1, 1)]


def test_a_folder_with_commas_and_options_behind_it(clip_model):
    assert "," in str(clip_model)
    encoder = unisim.Encoder.load(clip_model)
    metric = unisim.metric(f"encoder:{clip_model},layer=2,pool=mean")
    assert metric.name == f"encoder:{clip_model},layer=2,pool=mean"
    rows = encoder.embed_images(IMAGES[:2], layer=2, pool="mean")
    score = metric(*IMAGES[:2])
    assert score == pytest.approx(unisim.cosine_rows(rows[:1], rows[1:]).item(), abs=1e-7)
    assert score == unisim.metric(f"encoder:{clip_model}", layer=2, pool="mean")(*IMAGES[:2])
    assert score != unisim.metric(f"encoder:{clip_model}")(*IMAGES[:2])


def test_by_cosine_is_the_metric_of_the_name(dino_model):
    loaded = unisim.by_cosine(unisim.Encoder.load(dino_model), layer=1)
    named = unisim.metric(f"encoder:{dino_model},layer=1")
    assert loaded(*IMAGES[:2]) == named(*IMAGES[:2])
    assert loaded.name == f"encoder:{dino_model.name},layer=1"


@pytest.mark.parametrize("attribute", NAIVE)
def test_attributes_are_asked_with_the_benchmarks_prompts(clip_model, attribute):
    encoder = unisim.Encoder.load(clip_model)
    metric = unisim.by_cosine(encoder)
    images = encoder.embed_images(IMAGES)

    def with_text(text):
        return unisim.cosine(encoder.embed_texts([text]), images)[0].double()

    naive = metric.attribute(IMAGES, attribute)
    assert naive == pytest.approx(with_text(NAIVE[attribute]).tolist(), abs=1e-7)
    more, less = (with_text(text) for text in OPPOSITES[attribute])
    assert (more - less).abs().min() > 1e-5
    expected = torch.softmax(torch.stack([more, less]), 0)[0].tolist()
    assert metric.attribute(IMAGES, attribute, mode="clip-iqa") == pytest.approx(expected, abs=1e-7)
    assert not math.isclose(naive[0], naive[1], abs_tol=1e-6)


REFUSED = {
    "a text without a tower": (lambda c, d: d(IMAGES[0], CUP), r"\[encoder:.*a red cup.*has no text tower"),
    "an attribute without a tower": (lambda c, d: d.attribute(IMAGES, "quality"), "cannot rate quality"),
    "an attribute that is none": (lambda c, d: c.attribute(IMAGES, "beauty"), "quality, brightness"),
    "a mode that is none": (lambda c, d: c.attribute(IMAGES, "quality", mode="naive-rev"), "naive, clip-iqa"),
    "a text and a layer": (
        lambda c, d: unisim.metric(c.name, layer=1)(CUP, IMAGES[0]),
        "a hidden layer or another pooling",
    ),
    "a layer too high": (lambda c, d: unisim.metric(c.name, layer=4), "layer is 4, expected 0 to 3"),
    "a layer below 0": (lambda c, d: unisim.metric(c.name + ",layer=-1"), "layer is -1"),
    "a pool that is none": (lambda c, d: unisim.metric(c.name + ",pool=max"), "pool=max is not cls or mean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_an_encoder_cannot_answer_is_refused(clip_model, dino_model, case):
    call, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        call(unisim.metric(f"encoder:{clip_model}"), unisim.metric(f"encoder:{dino_model}"))
