"""unisim import kadid-pairs."""

import re
from collections import Counter

import pytest

from data_set_folders import Folder, images

KADID = [  # drawn with a generator written apart from the library's
    {
        "candidates": images("images/I80_05_01.png", "images/I80_05_02.png"),
        "label": 0,
        "group": "color-shift",
    },
    {"candidates": images("images/I80_02_01.png", "images/I80_02_03.png"), "label": 0, "group": "lens-blur"},
    {
        "candidates": images("images/I79_20_02.png", "images/I79_20_03.png"),
        "label": 0,
        "group": "non-eccentricity-patch",
    },
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = Folder(tmp_path_factory.mktemp("kadid") / "kadid10k").text(
        "dmos.csv", "dist_img,ref_img,dmos,var\n"
    )
    names = (
        f"images/I{r}_{d:02}_{s:02}.png" for r in range(73, 82) for d in range(1, 26) for s in range(1, 6)
    )
    return made.pictures(*names)


def test_five_thousand_pairs_of_two_severities_where_the_lower_is_right(folder):
    items = folder.items("kadid-pairs")
    assert len(items) == 5000
    kinds = Counter()
    for item in items:
        (r0, d0, s0), (r1, d1, s1) = (
            map(int, re.fullmatch(r"images/I(\d\d)_(\d\d)_(\d\d)\.png", one["image"]).groups())
            for one in item["candidates"]
        )
        assert (r0, d0) == (r1, d1) and 73 <= r0 <= 81 and 1 <= d0 <= 25 and s0 != s1
        assert item["label"] == (0 if s0 < s1 else 1)
        kinds[d0, item["group"]] += 1
    assert (
        len(kinds) == 25 and kinds[1, "gaussian-blur"] and kinds[10, "jpeg"] and kinds[25, "contrast-change"]
    )
    assert min(kinds.values()) > 140 and max(kinds.values()) < 260  # 200 each, give or take 4.3 deviations
    assert abs(sum(item["label"] for item in items) - 2500) < 150


def test_the_first_pairs_are_these(folder):
    assert folder.items("kadid-pairs", limit="3") == KADID


def test_the_training_pictures_are_an_option(folder):
    folder.refused("kadid-pairs", ["images/I", "the rule names it"], OSError, split="train")
    folder.refused("kadid-pairs", ["option split", "'exam'"], split="exam")


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("kadid-pairs", tmp_path, limit="50")
