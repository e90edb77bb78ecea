"""unisim import pipal."""

import pytest

from data_set_folders import Folder

# A0001 begins A00010 too: the longer stem is meant where both fit.
LABELS = """A0001_00_00.bmp,1500.0
A0001_00_01.bmp,1499.99
A00010_00_00.bmp,1200
A0001_00_02.bmp,1700
A0001_00_03.bmp,1600
A0001_00_04.bmp,1900
A0001_00_05.bmp,1300

A0001_00_06.bmp,1800
"""
# Good: the reference, 00, 02, 03, 04; 06 is the sixth and is left out, and so it is in no pair. Bad: 01, 05.
PAIRS = [
    ("Val_Ref/A0001.bmp", "Val_Dist/A0001_00_01.bmp"),
    ("Val_Ref/A0001.bmp", "Val_Dist/A0001_00_05.bmp"),
    ("Val_Dist/A0001_00_00.bmp", "Val_Dist/A0001_00_01.bmp"),
    ("Val_Dist/A0001_00_00.bmp", "Val_Dist/A0001_00_05.bmp"),
    ("Val_Dist/A0001_00_02.bmp", "Val_Dist/A0001_00_01.bmp"),
    ("Val_Dist/A0001_00_02.bmp", "Val_Dist/A0001_00_05.bmp"),
    ("Val_Dist/A0001_00_03.bmp", "Val_Dist/A0001_00_01.bmp"),
    ("Val_Dist/A0001_00_03.bmp", "Val_Dist/A0001_00_05.bmp"),
    ("Val_Dist/A0001_00_04.bmp", "Val_Dist/A0001_00_01.bmp"),
    ("Val_Dist/A0001_00_04.bmp", "Val_Dist/A0001_00_05.bmp"),
    ("Val_Ref/A00010.bmp", "Val_Dist/A00010_00_00.bmp"),
]

# Drawn with a generator written apart from the library's.
PIPAL = [1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 1]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "PIPAL").text("val_label.txt", LABELS)
    made.pictures("Val_Ref/A0001.bmp", "Val_Ref/A00010.bmp", "Val_Dist/A00010_00_00.bmp")
    return made.pictures(*(f"Val_Dist/A0001_00_0{k}.bmp" for k in range(7)))


def pairs(items):
    """(right, wrong) of each item."""
    return [
        (item["candidates"][item["label"]]["image"], item["candidates"][1 - item["label"]]["image"])
        for item in items
    ]


def test_each_of_the_first_five_good_pictures_beside_each_bad_one(folder):
    items = folder.items("pipal")
    assert pairs(items) == PAIRS
    assert [item["label"] for item in items] == PIPAL
    assert pairs(folder.items("pipal", seed=1)) == PAIRS
    assert {item["label"] for item in items} == {0, 1}


def test_options_move_the_threshold_and_the_count(folder):
    assert pairs(folder.items("pipal", most="1")) == [PAIRS[0], PAIRS[1], PAIRS[10]]
    moved = pairs(folder.items("pipal", good="1499.99", most="100"))
    assert len(moved) == 8  # seven good ones beside 05, and one pair of A00010
    assert ("Val_Dist/A0001_00_06.bmp", "Val_Dist/A0001_00_05.bmp") in moved


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("pipal", tmp_path)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("1700", "nan", ["val_label.txt, line 4", "'nan'"]),
        ("1700", "", ["line 4", "''"]),
        (",1700", "", ["line 4", "NAME,SCORE"]),
        ("A0001_00_06", "B0001_00_06", ["line 9", "'B0001_00_06.bmp'", "no picture of Val_Ref"]),
        ("A0001_00_06", "A0001/../../x", ["line 9", "leads out"]),
    ],
)
def test_a_bad_line_is_refused(folder, old, new, words):
    folder.text("val_label.txt", LABELS.replace(old, new, 1))
    folder.refused("pipal", words)


def test_a_picture_that_is_not_there_is_named_with_its_line(folder):
    del folder.files["Val_Dist/A0001_00_04.bmp"]
    folder.refused("pipal", ["Val_Dist/A0001_00_04.bmp", "line 6 names it"], OSError)
