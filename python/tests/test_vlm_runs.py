"""How many rows a Vlm computes of many questions, whatever was asked before and in whatever order they come.

Tolerance: float32 sums over the keys of a question, here in parts that are merged, there in one go.
"""

import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny_vlms
import unisim

MOST = 4096  # rows of a run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("runs") / "tiny"
    tiny_vlms.make("interleave", made)
    return made


OPENING = "Please look well, and answer by the letter of your choice alone, as you have been told before: "


def questions(count):
    pictures = [np.asarray(picture) for picture in tiny_vlms.pictures(3)]
    ask = f"{OPENING}<image><image><image> With these pictures in mind, which of the two is right, "
    return [(pictures, f"{ask}{k} or {k + 1}?", ("A", "B")) for k in range(count)]


def asked(vlm, items, **options):
    """(rows computed, runs, probabilities)"""
    before, seen = vlm.counts.decoder_rows, []
    choices = vlm.choose_many(items, progress=lambda done, total: seen.append(done), **options)
    assert seen[-1] == len(items)
    return vlm.counts.decoder_rows - before, len(seen), [choice.probabilities for choice in choices]


def one_by_one(vlm, items):
    return [vlm.choose(*item, kept_prefixes=False).probabilities for item in items]


def test_questions_on_the_same_pictures_compute_them_once(folder):
    vlm, items = unisim.Vlm.load(folder, prefix_bytes=0), questions(60)
    rows = len(vlm.encode(*items[0][:2]))
    found, runs, shares = asked(vlm, items)
    assert found < rows + 60 * 16 and runs == 1 and 60 * rows > MOST
    assert np.abs(np.subtract(shares, one_by_one(vlm, items))).max() < 1e-5


@pytest.mark.parametrize("kept", [0, 1 << 28])
def test_a_short_question_in_front_does_not_undo_that(folder, kept):
    vlm, items = unisim.Vlm.load(folder, prefix_bytes=kept), questions(60)
    rows = len(vlm.encode(*items[0][:2]))
    short = ([], OPENING + "is it?", ("A", "B"))
    for place in (0, 30, 60):
        mixed = [*items[:place], short, *items[place:]]
        found, _, shares = asked(vlm, mixed)
        assert found < 2 * rows + 61 * 16
    assert np.abs(np.subtract(shares[:60], one_by_one(vlm, items))).max() < 1e-5


def test_what_is_kept_of_a_shorter_question_does_not_undo_that(folder):
    vlm, items = unisim.Vlm.load(folder), questions(60)
    rows = len(vlm.encode(*items[0][:2]))
    vlm.choose([], OPENING + "is it?", ("A", "B"))
    found, runs, shares = asked(vlm, items)
    assert found < rows + 60 * 16 and runs == 1 and 0 < vlm.counts.prefix_rows < rows
    assert np.abs(np.subtract(shares, one_by_one(vlm, items))).max() < 1e-5
    again, _, _ = asked(vlm, items[::-1])  # now behind what the first time left
    assert again <= 60 * 16


def test_a_run_stays_within_its_bound(folder):
    vlm = unisim.Vlm.load(folder, prefix_bytes=0)
    items = [([], f"{k} " + "word " * 99, ("A", "B")) for k in range(100)]
    found, runs, _ = asked(vlm, items)
    assert found > 2 * MOST and runs >= found / MOST
    long = tuple(f"{k} " + "word " * 30 for k in range(4))
    found, runs, _ = asked(vlm, [(*item[:2], long) for item in questions(60)])
    assert found > MOST and runs >= found / MOST


def test_of_many_the_one_that_is_not_finite_is_named(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "huge")
    file = tmp_path / "huge" / "model.safetensors"
    tensors = load_file(file)
    name = next(name for name in tensors if name.endswith("multi_modal_projector.linear_2.weight"))
    save_file(tensors | {name: tensors[name] * np.float32(1e37)}, file, {"format": "pt"})
    vlm = unisim.Vlm.load(tmp_path / "huge")
    picture = np.asarray(tiny_vlms.pictures(1)[0])
    words = ([], "Is it?", ("A", "B"))
    assert len(vlm.choose_many([words, words])) == 2
    with pytest.raises(RuntimeError, match="item 2: .*not finite"):
        vlm.choose_many([words, words, ([picture], "<image> Is it?", ("A", "B")), words])
