"""unisim import koniq-pairs, koniq-brightness-pairs and so on."""

import pytest

from data_set_folders import Folder

SETS = """image_name,c1,c2,MOS,SD,set
10004473.jpg,0,1,70.5,0.5,test
10007357.jpg,0,1,70.5,0.5,test
10007903.jpg,0,1,20.25,0.5,test
10009096.jpg,0,1,99,0.5,training
826373.jpg,0,1,80,0.5,test
"""
INDICATORS = """image_id,brightness,contrast,colorfulness,sharpness,quality_factor
826373,0.4,0.2,0.3,2.5,91
10004473,0.1,0.9,0.3,9.5,91
10007357,0.2,0.8,0.3,8.5,91
10007903,0.3,0.7,0.2,7.5,91
"""
SCORES = {  # by hand, from the two tables
    "koniq-pairs": [70.5, 70.5, 20.25, 80],
    "koniq-brightness-pairs": [0.1, 0.2, 0.3, 0.4],
    "koniq-contrast-pairs": [0.9, 0.8, 0.7, 0.2],
    "koniq-colorfulness-pairs": [0.3, 0.3, 0.2, 0.3],
    "koniq-sharpness-pairs": [9.5, 8.5, 7.5, 2.5],
}
TEST = [f"1024x768/{stem}.jpg" for stem in (10004473, 10007357, 10007903, 826373)]

# Drawn with a generator written apart from the library's.
KONIQ = [([0, 3], 1), ([1, 2], 0), ([2, 0], 1), ([3, 0], 0), ([0, 3], 1), ([1, 0], 0)]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "koniq10k").pictures(*TEST)
    return made.text("koniq10k_distributions_sets.csv", SETS).text("koniq10k_indicators.csv", INDICATORS)


@pytest.mark.parametrize("name", SCORES)
def test_each_picture_in_turn_beside_another_and_the_higher_score_is_right(folder, name):
    score = dict(zip(TEST, SCORES[name], strict=True))
    items = folder.items(name, limit="40")
    assert [item["candidates"][0]["image"] for item in items] == TEST * 10
    ties = 0
    for item in items:
        first, second = (one["image"] for one in item["candidates"])
        assert first != second
        assert item["label"] == (1 if score[first] < score[second] else 0)
        ties += score[first] == score[second]
    assert (ties > 0) == (len(set(SCORES[name])) < 4)
    assert {one["image"] for item in items for one in item["candidates"][1:]} == set(TEST)


def test_five_thousand_pairs_by_default(folder):
    assert len(folder.items("koniq-pairs")) == 5000


def test_the_first_pairs_are_these(folder):
    pairs = [
        ([TEST.index(one["image"]) for one in item["candidates"]], item["label"])
        for item in folder.items("koniq-pairs", limit="6")
    ]
    assert pairs == KONIQ


def test_pairs_of_equal_scores_can_be_dropped(folder):
    score = dict(zip(TEST, SCORES["koniq-colorfulness-pairs"], strict=True))
    items = folder.items("koniq-colorfulness-pairs", limit="40", ties="drop")
    assert len(items) == 40
    assert all(score[i["candidates"][0]["image"]] != score[i["candidates"][1]["image"]] for i in items)


def test_a_split_without_a_pair_or_with_ties_alone_is_refused(folder):
    folder.refused("koniq-pairs", ["0 pictures of validation", "two or more"], split="validation")
    folder.text("koniq10k_distributions_sets.csv", SETS.replace("20.25", "70.5").replace(",80,", ",70.5,"))
    folder.refused("koniq-pairs", "every draw is dropped", ties="drop")


def test_the_folder_of_the_pictures_is_an_option(folder):
    folder.files = {path.replace("1024x768/", "512x384/"): content for path, content in folder.files.items()}
    folder.refused("koniq-pairs", "1024x768/10004473.jpg", OSError)
    assert folder.items("koniq-pairs", limit="1", images="512x384")[0]["candidates"][0] == {
        "image": "512x384/10004473.jpg"
    }


@pytest.mark.parametrize("name", ["koniq-pairs", "koniq-sharpness-pairs"])
def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path, name):
    folder.assert_same_bytes(name, tmp_path, limit="20")


@pytest.mark.parametrize(
    "file, old, new, words",
    [
        ("distributions_sets", "MOS", "mean", ["sets.csv, line 1", "no column 'MOS'"]),
        ("distributions_sets", "20.25", "nan", ["sets.csv, line 4", "MOS", "'nan'"]),
        ("distributions_sets", "training", "exam", ["sets.csv, line 5", "'exam'"]),
        ("distributions_sets", "10007903", "10007357", ["sets.csv, line 4", "twice"]),
        ("distributions_sets", "826373.jpg", "other.jpg", ["sets.csv, line 6", "no row of other.jpg"]),
        ("indicators", "826373", "826374", ["sets.csv, line 6", "no row of 826373.jpg"]),
        ("indicators", "826373", "10004473", ["indicators.csv, line 3", "twice"]),
        ("indicators", "0.9", "", ["indicators.csv, line 3", "contrast", "''"]),
        ("indicators", "contrast", "light", ["indicators.csv, line 1", "no column 'contrast'"]),
        ("indicators", "826373", "82.5", ["indicators.csv, line 2", "image_id", "whole"]),
    ],
)
def test_a_bad_table_is_refused_with_its_line(folder, file, old, new, words):
    path = f"koniq10k_{file}.csv"
    folder.text(path, folder.files[path].decode().replace(old, new, 1))
    name = "koniq-pairs" if old in ("MOS", "20.25") else "koniq-contrast-pairs"
    folder.refused(name, words)


def test_an_option_does_not_lead_out_of_the_folder(folder):
    folder.refused("koniq-pairs", ["line 2", "leads out"], images="../koniq10k/1024x768")
