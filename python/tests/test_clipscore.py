"""CLIPScore by direct computation from the encoder's own rows."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

import unisim
from conftest import test_data
from encoder_models import dinov2
from test_encoder_texts import clip_folder
from tiny_tasks import pair, pictures, written
from unisim import Text

pytest_plugins = ["command_line"]

IMAGES = list(np.random.default_rng(8).integers(0, 256, (4, 50, 61, 3), dtype=np.uint8))
CAPTIONS = ["a red cup", "two dogs running", "A photo depicts a red cup", "", "ein Haus"]
CAPTIONS += [f"{a} {b}" for a in ("red", "dog", "sea", "12") for b in ("cup", "sky", "!", "night")]
LONG = "word " * 200
END = 49407  # CLIP's end of text


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random weights give cosines of one sign: the texts' mean is projected out, so that every image has both."""
    torch.manual_seed(7)
    folder = clip_folder(test_data, tmp_path_factory.mktemp("clip"))
    rows = unisim.Encoder.load(folder).embed_texts(
        ["A photo depicts " + c for c in CAPTIONS], normalize=False
    )
    mean = torch.nn.functional.normalize(rows.mean(0), dim=0)
    tensors = safetensors.torch.load_file(folder / "model.safetensors")
    projection = tensors["text_projection.weight"]
    tensors["text_projection.weight"] = projection - torch.outer(mean, mean @ projection)
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.fixture(scope="module")
def encoder(folder):
    return unisim.Encoder.load(folder)


@pytest.fixture(scope="module")
def metric(folder):
    return unisim.metric(f"clipscore:{folder}")


def cosines(encoder, images, texts):
    """[images, texts], in double from the rows."""
    rows = encoder.embed_images(images).double()
    columns = encoder.embed_texts(texts).double()
    return (rows / rows.norm(dim=1, keepdim=True)) @ (columns / columns.norm(dim=1, keepdim=True)).T


def test_the_score_is_2_5_times_the_positive_cosine_with_the_prefixed_text(encoder, metric):
    expected = 2.5 * cosines(encoder, IMAGES, ["A photo depicts " + c for c in CAPTIONS]).clamp(min=0)
    assert len(set(expected.flatten().tolist())) > 20
    for i, image in enumerate(IMAGES):
        for k, caption in enumerate(CAPTIONS):
            # The same float32 rows, in double from there on: 1e-12; 1e-9 leaves room.
            assert metric(image, Text(caption)) == pytest.approx(expected[i, k].item(), abs=1e-9)
            assert metric(Text(caption), image) == metric(image, Text(caption))
    plain = 2.5 * cosines(encoder, IMAGES, CAPTIONS).clamp(min=0)
    assert (plain - expected).abs().max() > 1e-4  # else a missing prefix would not be noticed


def test_a_negative_cosine_scores_exactly_zero(encoder, metric):
    found = cosines(encoder, IMAGES, ["A photo depicts " + c for c in CAPTIONS])
    assert found.min() < -1e-3 and found.max() > 1e-3
    i, k = divmod(found.argmin().item(), len(CAPTIONS))
    assert metric(IMAGES[i], Text(CAPTIONS[k])) == 0


def test_lists_and_rankings_have_the_bits_of_single_pairs(metric):
    texts = [Text(c) for c in CAPTIONS[:4]]
    alone = [metric(x, y) for x, y in zip(IMAGES, texts, strict=True)]
    assert metric(IMAGES, texts).tolist() == alone
    assert metric([texts[0], IMAGES[1]], [IMAGES[0], texts[1]]).tolist() == alone[:2]
    ranking = metric.ranking(texts[0], IMAGES)
    assert ranking.scores == [metric(image, texts[0]) for image in IMAGES]
    assert ranking.order[0] == int(np.argmax(ranking.scores))
    assert metric.rank(IMAGES[0], texts)[0] == int(np.argmax([metric(IMAGES[0], t) for t in texts]))
    assert metric.higher_is_better


def test_a_caption_too_long_is_cut_and_keeps_its_end_token(encoder, metric):
    ids = encoder.tokenize(["A photo depicts " + LONG])[0]
    assert ids.shape == (77,) and ids[-1] == END and (ids == END).sum() == 1
    room = 77 - 2 - 3  # without start and end, and the three words of the prefix
    scores = {}
    for count in (200, room, room - 1):
        texts = [Text(f"{word} " * count) for word in ("word", "red", "dog", "sea", "sky", "cup")]
        scores[count] = [metric(image, text) for image in IMAGES for text in texts]
    assert any(scores[200])
    assert scores[200] == scores[room] != scores[room - 1]


def test_what_is_no_pair_of_an_image_and_a_text_is_refused(metric):
    with pytest.raises(ValueError, match=r"\[clipscore:.*an image with a text, found two images"):
        metric(IMAGES[0], IMAGES[1])
    with pytest.raises(ValueError, match='found two texts, "a cup" and "a dog"'):
        metric(Text("a cup"), Text("a dog"))
    with pytest.raises(ValueError, match="found two images"):
        metric([IMAGES[0], IMAGES[1]], [Text("a"), IMAGES[2]])
    with pytest.raises(ValueError, match="found two images"):
        metric.odd_one_out(IMAGES[:3])
    with pytest.raises(ValueError, match="cannot rate quality"):
        metric.attribute(IMAGES, "quality")


def test_what_is_no_model_of_images_and_texts_is_refused(folder, tmp_path):
    dinov2(tmp_path, 3)
    with pytest.raises(ValueError, match="has no text tower"):
        unisim.metric(f"clipscore:{tmp_path}")
    with pytest.raises(ValueError, match="clipscore needs a model: clipscore:FOLDER"):
        unisim.metric("clipscore")
    with pytest.raises(ValueError, match="/no/such"):
        unisim.metric("clipscore:/no/such")
    with pytest.raises(ValueError, match="no layer or pool"):
        unisim.metric(f"clipscore:{folder},layer=1")
    with pytest.raises(ValueError, match='"prefix" is not one of the options'):
        unisim.metric(f"clipscore:{folder},prefix=a")


@pytest.mark.usefixtures("own_world")
def test_compare_scores_a_text_with_pictures(run, picture, folder, metric):
    a, b = picture("a.png", 1), picture("b.png", 2)
    code, out, err = run("compare", f"clipscore:{folder}", a, b, "--text", "a red cup", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert [s["score"] for s in found["scores"]] == [metric(Text("a red cup"), file) for file in (a, b)]
    code, out, err = run("compare", f"clipscore:{folder}", a, b)
    assert (code, out) == (1, "") and "found two images" in err


def test_a_task_with_texts_is_evaluated_and_kept_apart_from_the_encoders(tmp_path, folder, metric):
    data = pictures(tmp_path / "data", ["0.png", "1.png", "2.png"])
    items = [pair(("a red cup",), "0.png", "1.png", 0), pair(("two dogs",), "1.png", "2.png", 1)]
    task = unisim.Task.load(written(tmp_path / "task", data, "it-2afc", items), data)
    stored = unisim.evaluate(task, unisim.metric(f"encoder:{folder}"), store=tmp_path / "store")
    found = unisim.evaluate(task, metric, store=tmp_path / "store")
    # Three pictures and two texts, each once; the encoder's own rows are of texts without the prefix.
    assert stored.computed == 5 and (found.computed, found.found) == (5, 0)
    expected = [metric(Text(t), data / file) for t, file in (("a red cup", "0.png"), ("a red cup", "1.png"))]
    assert found.items[0].scores == expected
    again = unisim.evaluate(task, unisim.metric(f"clipscore:{folder}"), store=tmp_path / "store")
    assert (again.computed, again.found) == (0, 5)
    assert [i.scores for i in again.items] == [i.scores for i in found.items]


def test_a_task_of_images_alone_is_refused_before_anything_is_computed(tmp_path, metric):
    data = pictures(tmp_path / "data", ["0.png", "1.png", "2.png"])
    task = written(tmp_path / "task", data, "img-2afc", [pair("0.png", "1.png", "2.png", 0)])
    with pytest.raises(ValueError, match="cannot do img-2afc .*an image with a text"):
        unisim.evaluate(unisim.Task.load(task, data), metric)
