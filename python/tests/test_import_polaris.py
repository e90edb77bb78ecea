"""unisim import polaris."""

import csv
import io

import pytest

from data_set_folders import Folder

HEADER = ["img", "refs", "cand", "model", "score"]
ROWS = [
    ["1.jpg", "['A cat, asleep.', \"A dog's cat\"]", "a bus", "m", "0.25"],
    [
        "2.jpg",
        "['A red bus']",
        "A Red bus.\n",
        "m",
        "0.0",
    ],  # the candidate is a reference but for capitals and stop
    ["3.jpg", "['Two men']", "three men", "m", "0.5"],
    ["4.jpg", "['Two men']", "three men", "m", "0.75"],  # rated too high
]
# Each reference caption beside the candidate; the former is right.
PAIRS = [
    ("images/1.jpg", "A cat, asleep.", "a bus"),
    ("images/1.jpg", "A dog's cat", "a bus"),
    ("images/3.jpg", "Two men", "three men"),
]


def table(rows):
    written = io.StringIO()
    csv.writer(written).writerows([HEADER, *rows])
    return written.getvalue()


# Drawn with a generator written apart from the library's.
POLARIS = [("images/1.jpg", 1), ("images/1.jpg", 0), ("images/3.jpg", 1)]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "polaris").text("polaris_test.csv", table(ROWS))
    return made.pictures("images/1.jpg", "images/2.jpg", "images/3.jpg", "images/4.jpg")


def pairs(items):
    return sorted(
        (
            i["reference"]["image"],
            i["candidates"][i["label"]]["text"],
            i["candidates"][1 - i["label"]]["text"],
        )
        for i in items
    )


def test_each_reference_caption_beside_a_low_rated_candidate(folder):
    items = folder.items("polaris")
    assert pairs(items) == PAIRS
    assert [(i["reference"]["image"], i["label"]) for i in items] == POLARIS
    labels = {item["label"] for seed in range(8) for item in folder.items("polaris", seed=seed)}
    assert labels == {0, 1}


def test_options_limit_items_and_move_the_threshold(folder):
    assert folder.items("polaris", limit="2") == folder.items("polaris")[:2]
    assert pairs(folder.items("polaris", most="0.3")) == PAIRS[:2]
    assert len(folder.items("polaris", most="1")) == 4


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("polaris", tmp_path)


@pytest.mark.parametrize(
    "row, words",
    [
        (["1.jpg", "['a']", "b", "m", "1.5"], ["score", "'1.5'"]),
        (["1.jpg", "['a']", "b", "m", "NaN"], ["score", "'NaN'"]),
        (["1.jpg", "['a']", "", "m", "0"], ["cand", "empty"]),
        (["9.jpg", "['a']", "b", "m"], ["4 cells, expected 5"]),
        (["1.jpg", "a cat", "b", "m", "0"], ["refs", "'a cat'", "a list of texts"]),
        (["1.jpg", "'a'", "b", "m", "0"], ["refs", "a list of texts"]),
        (["1.jpg", "['a', 1]", "b", "m", "0"], ["refs", "a list of texts"]),
        (["1.jpg", "[]", "b", "m", "0"], ["refs", "0 captions"]),
        (["1.jpg", "['a', ' ']", "b", "m", "0"], ["refs", "empty"]),
        (["1.jpg", "['\\ud800']", "b", "m", "0"], ["refs", "no Unicode"]),
        (["1.jpg", "[open('ran', 'w')]", "b", "m", "0"], ["refs", "a list of texts"]),
        (["1.jpg", "[" * 5000 + "]" * 5000, "b", "m", "0"], ["refs", "a list of texts"]),
        (["1.jpg", "[" + "-" * 60000 + "1]", "b", "m", "0"], ["refs", "a list of texts"]),
        (["1.jpg", "['" + "a" * 70000 + "']", "b", "m", "0"], ["refs", "70004 letters"]),
        (["1.jpg", str(["a"] * 1001), "b", "m", "0"], ["refs", "1001 captions"]),
        (["1.jpg", "['a'\x00]", "b", "m", "0"], ["refs", "a list of texts"]),
    ],
)
def test_a_bad_row_is_refused_with_its_line(folder, row, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder.text("polaris_test.csv", table([*ROWS, row]))
    folder.refused("polaris", ["polaris_test.csv, line 7", *words])  # a candidate has a line end
    assert not (tmp_path / "ran").exists()


def test_a_picture_that_is_not_there_is_named_with_its_row(folder):
    del folder.files["images/3.jpg"]
    folder.refused("polaris", ["images/3.jpg", "line 5 names it"], OSError)
