"""unisim import pie-app-2afc and pie-app-iqa."""

import pytest

from data_set_folders import Folder, images

HEADER = "ref. image, distorted image A, distorted image B, raw preference for A, processed preference for A, preference for A"
ONE = f"""{HEADER}
ref_81.png, d1.png, d2.png, 0, 0, 0.75
ref_81.png, d2.png, d3.png, 0, 0, 0.25
ref_81.png, d1.png, d3.png, 0, 0, 0.6
ref_81.png, d3.png, d1.png, 0, 0, 0.4
ref_81.png, ref_81.png, d1.png, 0, 0, 0.9
ref_81.png, d1.png, ref_81.png, 0, 0, 0.1
"""
TWO = f"""{HEADER}
ref_82.png,d1.png,d2.png,0,0,0.61
"""


def item(ref, a, b, label):
    distorted = images(*(f"distorted_images/test/{ref}/{one}.png" for one in (a, b)))
    return {
        "reference": {"image": f"reference_images/test/{ref}.png"},
        "candidates": distorted,
        "label": label,
    }


# 0.6 and 0.4 are not clear; pairs with the reference are out. 0.75: A is nearer, label 0; 0.25: B, label 1.
ITEMS = [item("ref_82", "d1", "d2", 0), item("ref_81", "d1", "d2", 0), item("ref_81", "d2", "d3", 1)]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "pie_app").text("test_reference_list.txt", "ref_82.png\nref_81.png\n")
    made.text("labels/test/ref_81_pairwise_labels.csv", ONE).text(
        "labels/test/ref_82_pairwise_labels.csv", TWO
    )
    made.pictures("reference_images/test/ref_81.png", "reference_images/test/ref_82.png")
    made.pictures(*(f"distorted_images/test/ref_81/d{k}.png" for k in (1, 2, 3)))
    return made.pictures(*(f"distorted_images/test/ref_82/d{k}.png" for k in (1, 2)))


def test_pairs_that_people_agreed_on_are_kept(folder):
    assert folder.items("pie-app-2afc") == ITEMS


def test_the_reference_is_better_than_either_of_a_pair(folder):
    items = folder.items("pie-app-iqa")
    found = sorted(
        (one["candidates"][one["label"]]["image"], one["candidates"][1 - one["label"]]["image"])
        for one in items
    )
    ref, dist = "reference_images/test/", "distorted_images/test/"
    assert found == [
        (f"{ref}ref_81.png", f"{dist}ref_81/d1.png"),
        (f"{ref}ref_81.png", f"{dist}ref_81/d2.png"),
        (f"{ref}ref_81.png", f"{dist}ref_81/d2.png"),
        (f"{ref}ref_81.png", f"{dist}ref_81/d3.png"),
        (f"{ref}ref_82.png", f"{dist}ref_82/d1.png"),
        (f"{ref}ref_82.png", f"{dist}ref_82/d2.png"),
    ]
    assert {one["label"] for one in items} == {0, 1}
    assert folder.items("pie-app-iqa", limit="2") == items[:2]


@pytest.mark.parametrize("name", ["pie-app-2afc", "pie-app-iqa"])
def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path, name):
    folder.assert_same_bytes(name, tmp_path)


@pytest.mark.parametrize(
    "file, old, new, words",
    [
        (
            "labels/test/ref_81_pairwise_labels.csv",
            ", preference",
            ", taste",
            ["line 1", "no column 'preference for A'"],
        ),
        (
            "labels/test/ref_81_pairwise_labels.csv",
            "0.75",
            "1.5",
            ["line 2", "preference for A", "'1.5'", "from 0 to 1"],
        ),
        ("labels/test/ref_81_pairwise_labels.csv", "0.75", "nan", ["line 2", "'nan'"]),
        (
            "labels/test/ref_81_pairwise_labels.csv",
            "ref_81.png, d2",
            "ref_82.png, d2",
            ["line 3", "ref_82.png"],
        ),
        ("labels/test/ref_81_pairwise_labels.csv", " d2.png", " ../d2.png", ["line 2", "leads out"]),
        ("test_reference_list.txt", "ref_81.png", "ref_81", ["line 2", "'ref_81'", "REF.png"]),
    ],
)
def test_a_bad_table_is_refused_with_its_line(folder, file, old, new, words):
    text = folder.files[file].decode()
    assert old in text
    folder.text(file, text.replace(old, new, 1))
    folder.refused("pie-app-2afc", [file, *words])


def test_what_is_missing_is_named(folder):
    folder.text("test_reference_list.txt", "ref_82.png\nref_81.png\nref_83.png\n")
    folder.refused("pie-app-2afc", ["ref_83.png", "line 3 names it"], OSError)
    folder.pictures("reference_images/test/ref_83.png")
    folder.refused("pie-app-2afc", "ref_83_pairwise_labels.csv", OSError)
