"""unisim import bapps."""

import io
from collections import Counter

import numpy
import pytest

from data_set_folders import Folder, images

SUBSETS = ("cnn", "color", "deblur", "frameinterp", "superres", "traditional")


def npy(value, dtype=numpy.float32):
    written = io.BytesIO()
    numpy.save(written, numpy.array(value, dtype), allow_pickle=False)
    return written.getvalue()


VOTES = {"000000": 0.0, "000001": 0.5, "000002": 1.0, "000003": 0.75, "000004": 0.25}


@pytest.fixture
def folder(tmp_path):
    """Five triplets in every subset."""
    made = Folder(tmp_path / "bapps")
    for subset in SUBSETS:
        for stem, vote in VOTES.items():
            made.pictures(*(f"val/{subset}/{part}/{stem}.png" for part in ("ref", "p0", "p1")))
            made.files[f"val/{subset}/judge/{stem}.npy"] = npy([vote])
    return made


def stems(items):
    return Counter((item["group"], item["reference"]["image"][-10:-4]) for item in items)


def test_the_first_files_of_each_subset_and_one_more_are_used(folder):
    # 0.15 of five is 0.75: none, and one more.
    assert stems(folder.items("bapps")) == {(subset, "000000"): 1 for subset in SUBSETS}
    # 0.4 of five is two, and one more: the third.
    three = folder.items("bapps", ratio="0.4")
    assert stems(three) == {(subset, f"00000{k}"): 1 for subset in SUBSETS for k in range(3)}
    assert len(folder.items("bapps", ratio="1")) == 30  # there is no sixth


def test_an_item_has_the_vote_and_its_rounding_as_label(folder):
    rows = {
        item["reference"]["image"]: item
        for item in folder.items("bapps", ratio="1")
        if item["group"] == "cnn"
    }
    assert rows["val/cnn/ref/000003.png"] == {
        "reference": {"image": "val/cnn/ref/000003.png"},
        "candidates": images("val/cnn/p0/000003.png", "val/cnn/p1/000003.png"),
        "label": 1,
        "group": "cnn",
        "vote": 0.75,
    }
    labels = [
        (rows[f"val/cnn/ref/{stem}.png"]["vote"], rows[f"val/cnn/ref/{stem}.png"]["label"]) for stem in VOTES
    ]
    assert labels == [(0.0, 0), (0.5, 0), (1.0, 1), (0.75, 1), (0.25, 0)]  # a half is rounded to even: 0


def test_the_limit_takes_some_of_a_random_order(folder):
    everything = folder.items("bapps", ratio="1")
    assert folder.items("bapps", ratio="1", limit="7") == everything[:7]
    assert folder.items("bapps", ratio="1", seed=1) != everything
    assert stems(folder.items("bapps", ratio="1", seed=1)) == stems(everything)


def test_published_sizes_give_the_published_count(tmp_path):
    """Twice a thousand stems: floor(0.15 * 1000) + 1 = 151 of each; no picture of the rest is looked at."""
    made = Folder(tmp_path)
    for subset in SUBSETS:
        for k in range(10):
            made.files[f"val/{subset}/judge/{k:06}.npy"] = npy([0.0])
        for k in range(2 if subset == "cnn" else 1):
            made.pictures(*(f"val/{subset}/{part}/{k:06}.png" for part in ("ref", "p0", "p1")))
    for k in range(10, 20):
        made.files[f"val/cnn/judge/{k:06}.npy"] = npy([0.0])
    # cnn has 20: floor(0.05 * 20) + 1 = 2; the others 10: floor(0.5) + 1 = 1.
    assert stems(made.items("bapps", ratio="0.05")) == Counter(
        [("cnn", "000000"), ("cnn", "000001"), *((subset, "000000") for subset in SUBSETS[1:])]
    )


def test_the_authors_own_folders_are_taken_too(folder, tmp_path):
    again = Folder(tmp_path / "other")
    again.files = {f"dataset/2afc/{path}": content for path, content in folder.files.items()}
    found = again.items("bapps", ratio="1")
    assert found[0]["reference"]["image"].startswith("dataset/2afc/val/")
    plain = folder.items("bapps", ratio="1")
    assert [i["reference"]["image"].removeprefix("dataset/2afc/") for i in found] == [
        i["reference"]["image"] for i in plain
    ]


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("bapps", tmp_path, ratio="0.4", limit="11")


@pytest.mark.parametrize(
    "content, words",
    [
        (npy([float("nan")]), "found nan, expected a number from 0 to 1"),
        (npy([1.5]), "found 1.5"),
        (npy([-0.25]), "found -0.25"),
        (npy([0.5, 0.5]), "float32 [2]"),
        (npy([]), "float32 [0]"),
        (npy([1], numpy.int64), "int64 [1]"),
        (npy(["x"], "U1"), "<U1 [1]"),
        (b"", "no readable .npy"),
        (b"\x93NUMPY\x01\x00" + b"\xff" * 40, "no readable .npy"),
        (npy([0.0])[:-2], "no readable .npy"),
        (bytes(5000), "5000 bytes"),
    ],
)
def test_a_judgement_that_is_none_is_refused_by_name(folder, content, words):
    folder.files["val/color/judge/000000.npy"] = content
    folder.refused("bapps", ["val/color/judge/000000.npy", words])


def test_a_pickle_in_a_judgement_is_not_run(folder, tmp_path):
    class Hostile:
        def __reduce__(self):
            import os

            return os.system, (f"touch {tmp_path}/ran",)

    written = io.BytesIO()
    numpy.save(written, numpy.array([Hostile()], object), allow_pickle=True)
    folder.files["val/color/judge/000000.npy"] = written.getvalue()
    folder.refused("bapps", ["000000.npy", "allow_pickle=False"])
    assert not (tmp_path / "ran").exists()


def test_what_is_missing_is_named(folder):
    del folder.files["val/deblur/p1/000000.png"]
    folder.refused("bapps", ["p1/000000.png", "judge/000000.npy names it"], OSError)
    folder.pictures("val/deblur/p1/000000.png")
    folder.files = {path: content for path, content in folder.files.items() if "superres" not in path}
    folder.root = folder.root.with_name("without")
    folder.refused("bapps", "val/superres/judge", OSError)


@pytest.mark.parametrize("ratio", ["0", "0.0", "1.5", "nan", "-0.1", "1/2", ""])
def test_a_ratio_that_is_no_share_is_refused(folder, ratio):
    folder.refused("bapps", "option ratio", ratio=ratio)
