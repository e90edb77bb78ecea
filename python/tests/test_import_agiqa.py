"""unisim import agiqa3k-align-pairs and agiqa3k-qual-pairs."""

import pytest

from data_set_folders import Folder

TABLE = """name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align
a0.jpg,"cat, sleeping",,,,1.5,0.1,3.0,0.1
b0.jpg,dog,,,,2.0,0.1,2.0,0.1
a1.jpg,"cat, sleeping",,,,2.5,0.1,0.5,0.1
a2.jpg,"cat, sleeping",,,,0.5,0.1,1.0,0.1
b1.jpg,dog,,,,2.0,0.1,4.0,0.1
c0.jpg,alone,,,,5.0,0.1,5.0,0.1
"""
QUALITY = {"a0.jpg": 1.5, "a1.jpg": 2.5, "a2.jpg": 0.5, "b0.jpg": 2.0, "b1.jpg": 2.0}
ALIGN = {"a0.jpg": 3.0, "a2.jpg": 1.0, "b0.jpg": 2.0, "b1.jpg": 4.0}  # a1 is below 1.0
PROMPTS = {"a": "cat, sleeping", "b": "dog"}

# Drawn with a generator written apart from the library's.
AGIQA = [
    (["a0.jpg", "a1.jpg"], 1),
    (["b1.jpg", "b0.jpg"], 0),
    (["a0.jpg", "a1.jpg"], 1),
    (["b0.jpg", "b1.jpg"], 0),
    (["a2.jpg", "a0.jpg"], 1),
    (["b0.jpg", "b1.jpg"], 0),
]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "agiqa-3k").text("data.csv", TABLE)
    return made.pictures(*(f"images/{name}.jpg" for name in ("a0", "a1", "a2", "b0", "b1", "c0")))


def names(item):
    return [one["image"].removeprefix("images/") for one in item["candidates"]]


def test_two_pictures_of_each_prompt_in_turn_and_the_better_aligned_is_right(folder):
    items = folder.items("agiqa3k-align-pairs", limit="40")
    assert [item["reference"] for item in items] == [{"text": "cat, sleeping"}, {"text": "dog"}] * 20
    assert {frozenset(names(item)) for item in items} == {
        frozenset(("a0.jpg", "a2.jpg")),
        frozenset(("b0.jpg", "b1.jpg")),
    }
    for item in items:
        first, second = names(item)
        assert item["label"] == (1 if ALIGN[first] < ALIGN[second] else 0)
        assert item["reference"]["text"] == PROMPTS[first[0]]
    assert {item["label"] for item in items} == {0, 1}


def test_two_pictures_of_each_prompt_in_turn_and_the_better_one_is_right(folder):
    items = folder.items("agiqa3k-qual-pairs", limit="60")
    assert [names(item)[0][0] for item in items] == ["a", "b"] * 30
    for item in items:
        first, second = names(item)
        assert first[0] == second[0] and first != second and "reference" not in item
        assert item["label"] == (1 if QUALITY[first] < QUALITY[second] else 0)  # a tie: the first
    assert {frozenset(names(item)) for item in items if names(item)[0][0] == "a"} == {
        frozenset(("a0.jpg", "a1.jpg")), frozenset(("a0.jpg", "a2.jpg")), frozenset(("a1.jpg", "a2.jpg"))
    }  # fmt: skip


def test_the_first_pairs_are_these(folder):
    found = [(names(item), item["label"]) for item in folder.items("agiqa3k-qual-pairs", limit="6")]
    assert found == AGIQA


def test_options_take_ties_out_and_low_scores_in(folder):
    items = folder.items("agiqa3k-qual-pairs", limit="20", ties="drop")
    assert len(items) == 20 and all(names(item)[0][0] == "a" for item in items)
    items = folder.items("agiqa3k-align-pairs", limit="40", least="0")
    assert "a1.jpg" in {name for item in items for name in names(item)}
    assert len(folder.items("agiqa3k-align-pairs")) == 5000


@pytest.mark.parametrize("name", ["agiqa3k-align-pairs", "agiqa3k-qual-pairs"])
def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path, name):
    folder.assert_same_bytes(name, tmp_path, limit="20")


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("prompt", "text", ["line 1", "no column 'prompt'"]),
        ("2.5,0.1,0.5", "2.5,0.1,x", ["line 4", "mos_align", "'x'"]),
        ("alone", "", ["line 7", "prompt", "empty"]),
    ],
)
def test_a_bad_table_is_refused_with_its_line(folder, old, new, words):
    folder.text("data.csv", TABLE.replace(old, new, 1))
    folder.refused("agiqa3k-align-pairs", words)


def test_without_two_pictures_of_a_prompt_there_is_no_task(folder):
    folder.text("data.csv", "\n".join(TABLE.splitlines()[:3]))
    folder.refused("agiqa3k-align-pairs", "no prompt has two pictures")


def test_a_picture_that_is_not_there_is_named_with_its_row(folder):
    del folder.files["images/b1.jpg"]
    folder.refused("agiqa3k-qual-pairs", ["images/b1.jpg", "line 6 names it"], OSError)
