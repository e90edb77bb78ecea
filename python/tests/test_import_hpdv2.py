"""unisim import hpdv2-pairs."""

import json

import pytest

from data_set_folders import Folder

RECORDS = [
    {"prompt": "a cat", "image_path": ["1.jpg", "2.jpg", "3.jpg"], "rank": [3, 1, 2]},
    {"prompt": "broken", "image_path": ["00168743.jpg", "2.jpg"], "rank": [1, 2]},
    {"prompt": "un café", "image_path": ["4.jpg", "5.jpg"], "rank": [1, 1]},
]
RANK = {"1.jpg": 3, "2.jpg": 1, "3.jpg": 2, "4.jpg": 1, "5.jpg": 1}

# Drawn with a generator written apart from the library's.
HPDV2 = [
    (["3.jpg", "2.jpg"], 1),
    (["4.jpg", "5.jpg"], 0),
    (["1.jpg", "3.jpg"], 1),
    (["5.jpg", "4.jpg"], 0),
    (["3.jpg", "1.jpg"], 0),
    (["5.jpg", "4.jpg"], 0),
]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "hpdv2").json("test.json", RECORDS)
    return made.pictures(*(f"test/{k}.jpg" for k in range(1, 6)))


def names(item):
    return [one["image"].removeprefix("test/") for one in item["candidates"]]


def test_two_pictures_of_each_prompt_in_turn_and_the_lower_rank_is_right(folder):
    items = folder.items("hpdv2-pairs", limit="60")
    assert [item["reference"] for item in items] == [{"text": "a cat"}, {"text": "un café"}] * 30
    assert [(names(item), item["label"]) for item in items[:6]] == HPDV2
    for item in items:
        first, second = names(item)
        assert first != second and item["label"] == (
            1 if RANK[first] > RANK[second] else 0
        )  # a tie: the first
    assert {frozenset(names(item)) for item in items[::2]} == {
        frozenset(("1.jpg", "2.jpg")), frozenset(("1.jpg", "3.jpg")), frozenset(("2.jpg", "3.jpg"))
    }  # fmt: skip
    assert len(folder.items("hpdv2-pairs")) == 5000


def test_ties_can_be_dropped_and_broken_files_kept(folder):
    items = folder.items("hpdv2-pairs", limit="10", ties="drop")
    assert len(items) == 10 and {item["reference"]["text"] for item in items} == {"a cat"}
    folder.refused("hpdv2-pairs", ["00168743.jpg", "record 2 names it"], OSError, corrupt="keep")
    folder.pictures("test/00168743.jpg")
    assert folder.items("hpdv2-pairs", limit="2", corrupt="keep")[1]["reference"] == {"text": "broken"}


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("hpdv2-pairs", tmp_path, limit="30")


@pytest.mark.parametrize(
    "key, value, words",
    [
        ("rank", None, "rank: found None, expected a list"),
        ("rank", [1, 2], "3 of image_path and 2 of rank"),
        ("rank", [1, 2, "3"], "rank[2]: found '3', expected a whole number"),
        ("rank", [1, 2, True], "rank[2]: found True"),
        ("rank", [1, 2, 2.5], "rank[2]: found 2.5"),
        ("rank", [1, 2, -3], "rank: found -3"),
        ("image_path", ["1.jpg"], "1 of image_path"),
        ("image_path", [1, 2, 3], "image_path[0]: found 1, expected a text"),
        ("image_path", ["1.jpg", "../2.jpg", "3.jpg"], "leads out"),
        ("image_path", ["1.jpg", "9.jpg", "3.jpg"], "9.jpg"),
        ("prompt", "", "prompt: found an empty text"),
        ("prompt", "\ud800", "no Unicode text"),
        ("prompt", 7, "prompt: found 7, expected a text"),
    ],
)
def test_a_bad_record_is_refused_by_number(folder, key, value, words):
    records = json.loads(json.dumps(RECORDS))
    records[2] = {**records[0], key: value}
    folder.json("test.json", records)
    folder.refused("hpdv2-pairs", ["test.json, record 3", words], (ValueError, OSError))
    del records[2][key]
    folder.json("test.json", records)
    folder.refused("hpdv2-pairs", ["test.json, record 3", f"there is no {key}"])


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "line 1: found no JSON"),
        ('[\n{"prompt": }]', "line 2: found no JSON"),
        ('[{"prompt": NaN}]', "NaN is no JSON"),
        ('[{"rank": [1e999, Infinity]}]', "Infinity is no JSON"),
        ("{}", "found {}, expected a list"),
        ("[3]", "record 1: found 3, expected an object"),
        ("[]", "no prompt is left"),
        ("[" * 100_000, "found no JSON"),
        ("[" + "9" * 10_000 + "]", "found no JSON"),
    ],
)
def test_what_is_no_list_of_objects_is_refused(folder, text, words):
    folder.text("test.json", text)
    folder.refused("hpdv2-pairs", ["test.json", words])


def test_a_list_that_is_no_utf_8_is_refused_with_its_line(folder):
    folder.files["test.json"] = b'[{"prompt":\n"\xe9"}]'
    folder.refused("hpdv2-pairs", ["test.json, line 2", "0xe9"])
