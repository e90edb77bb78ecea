"""unisim import nights."""

import pytest

from data_set_folders import Folder, images
from unisim.importers.catalogue import CATALOGUE
from unisim.importers.data_set import chosen

HEADER = "id,left_vote,right_vote,votes,ref_path,left_path,right_path,prompt,is_imagenet,split"
ROWS = (
    "0,1,0,6,ref/000/000.png,distort/000/000_0.png,distort/000/000_1.png,an apple,True,test",
    "1,0,1,5,ref/000/001.png,distort/000/001_0.png,distort/000/001_1.png,too few votes,True,test",
    '2,0,1.0,10,ref/000/002.png,distort/000/002_0.png,distort/000/002_1.png,"a dog, a cat",False,test',
    "3,0,1,7,ref/000/003.png,distort/000/003_0.png,distort/000/003_1.png,other split,False,train",
)
ITEMS = [
    {
        "reference": {"image": "ref/000/000.png"},
        "candidates": images("distort/000/000_0.png", "distort/000/000_1.png"),
        "label": 0,
        "group": "imagenet",
    },
    {
        "reference": {"image": "ref/000/002.png"},
        "candidates": images("distort/000/002_0.png", "distort/000/002_1.png"),
        "label": 1,
        "group": "other",
    },
]


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "nights")
    for k in range(4):
        made.pictures(f"ref/000/00{k}.png", f"distort/000/00{k}_0.png", f"distort/000/00{k}_1.png")
    return made.text("data.csv", "\n".join([HEADER, *ROWS]) + "\n")


def test_triplets_with_enough_votes_of_the_split_are_kept(folder):
    content = folder.content("nights")
    assert content.items == ITEMS
    assert content.options == {"votes": 6, "split": "test"}


def test_options_choose_votes_and_split(folder):
    assert [item["label"] for item in folder.items("nights", votes="5")] == [0, 1, 1]
    assert [item["reference"]["image"] for item in folder.items("nights", split="train")] == [
        "ref/000/003.png"
    ]


def test_without_the_public_names_the_positions_hold(folder):
    folder.text("data.csv", "\n".join(["a,b,c,votes,d,e,f,g,h,split", *ROWS]))
    assert folder.items("nights") == [{k: v for k, v in item.items() if k != "group"} for item in ITEMS]


def test_the_folder_around_it_is_taken_too(folder, tmp_path):
    folder.write()
    found = CATALOGUE["nights"].make(tmp_path, 0, chosen(CATALOGUE["nights"], {}))
    assert found.items[0]["reference"] == {"image": "nights/ref/000/000.png"}


def test_a_mark_of_byte_order_and_other_line_ends_do_not_matter(folder):
    folder.text("data.csv", "\ufeff" + "\r\n".join([HEADER, *ROWS]) + "\r\n")
    assert folder.items("nights") == ITEMS


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("nights", tmp_path)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("votes", "vote_count", ["data.csv, line 1", "no column 'votes'"]),
        ("0,1,0,6", "0,1,2,6", ["line 2", "right_vote", "found 2", "expected 0 or 1"]),
        ("0,1,0,6", "0,1,0.5,6", ["line 2", "right_vote", "found 0.5", "whole number"]),
        ("0,1,0,6", "0,1,nan,6", ["line 2", "right_vote", "'nan'"]),
        ("0,1,0,6", "0,1,0,many", ["line 2", "votes", "'many'"]),
        ("0,1,0,6", "0,1,0,inf", ["line 2", "votes", "'inf'"]),
        ("0,1,0,6", "0,1,0", ["line 2", "9 cells, expected 10"]),
        ("ref/000/000.png", "../nights/ref/000/000.png", ["line 2", "leads out"]),
        ("ref/000/000.png", "/etc/passwd", ["line 2", "leads out"]),
        ("ref/000/000.png", "", ["line 2", "ref_path", "empty"]),
        ("True,test", "True,exam", ["line 2", "split", "'exam'", "train, val, test"]),
        ("True,test", "maybe,test", ["line 2", "is_imagenet", "'maybe'"]),
        ('"a dog', '"a dog" x', ["line 4", "no CSV"]),
        ("7,ref", '7,"ref', ["no CSV"]),
        ("left_vote", "votes", ["'votes' is there twice"]),
    ],
)
def test_a_bad_table_is_refused_with_its_line(folder, old, new, words):
    table = folder.files["data.csv"].decode()
    assert old in table
    folder.text("data.csv", table.replace(old, new, 1))
    folder.refused("nights", words)


def test_a_table_that_is_no_utf_8_is_refused_with_its_line(folder):
    folder.files["data.csv"] = folder.files["data.csv"].replace(b"other split", b"\xff split")
    folder.refused("nights", ["data.csv, line 5", "0xff", "UTF-8"])


def test_a_picture_that_is_not_there_is_named_with_the_row_that_names_it(folder):
    del folder.files["distort/000/002_1.png"]
    with pytest.raises(OSError, match=r"line 4") as raised:
        folder.content("nights")
    assert raised.value.filename.endswith("distort/000/002_1.png")


def test_no_table_and_an_empty_one_are_refused(folder):
    folder.text("data.csv", "")
    folder.refused("nights", ["data.csv", "expected a header"])
    (folder.root / "data.csv").unlink()
    del folder.files["data.csv"]
    folder.refused("nights", "data.csv", OSError)


def test_a_folder_is_no_picture(folder):
    folder.text("data.csv", "\n".join([HEADER, ROWS[0].replace("ref/000/000.png", "ref/000")]))
    folder.refused("nights", ["line 2", "no file"], OSError)
    folder.text("data.csv", "\n".join([HEADER, ROWS[0].replace("ref/000/000.png", "ref/000/.")]))
    folder.refused("nights", ["line 2", "leads out of its folder, or has an empty part"], ValueError)
