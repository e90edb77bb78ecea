"""From mined pairs to an MMVP folder: the sheet, what a person may get wrong in it, the folder and its variants."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image

import unisim
from command_line import models, own_world, photos, picture, run  # noqa: F401

HEAD = "pair,file_i,file_j,question,option_a,option_b,answer_i,answer_j,pattern\n"
FIRST = "1,B.PNG,b.png,Is it open?,Open,Closed,a,b,state\n"
SECOND = "2,a/z.png,é.png,Which way does it face?,Left,Right,(B),(A),orientation\n"


def written(*rows):
    Path("filled.csv").write_text(HEAD + "".join(rows), "utf-8")
    return "filled.csv"


def test_mined_pairs_become_a_sheet(own_world, photos, models, run):  # noqa: F811
    limits = ["--alike-above", "-1", "--apart-below", "1"]
    code, _, stderr = run(
        "mine", "photos", "--alike", models[0], "--apart", models[1], "-o", "pairs.csv", *limits
    )
    assert code == 0, stderr
    code, stdout, stderr = run("mmvp", "sheet", "pairs.csv", "-o", "sheet.csv", "--json")
    assert code == 0 and json.loads(stdout)["pairs"] == 6, stderr
    with open("sheet.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["pair"], rows[0]["file_i"], rows[0]["file_j"]) == ("1", photos[0], photos[1])
    assert set(rows[5]) == set(HEAD.strip().split(",")) and rows[5]["question"] == ""
    assert run("mmvp", "folder", "sheet.csv", "--images", "photos", "-o", "out")[0] == 1  # nothing filled yet


def test_a_filled_sheet_becomes_a_folder(own_world, photos, run):  # noqa: F811
    sheet = written(FIRST, "3,x.png,y.png,,,,,,\n", SECOND)
    code, stdout, stderr = run("mmvp", "folder", sheet, "--images", "photos", "-o", "out", "--json")
    assert code == 0 and json.loads(stdout)["questions"] == 4, stderr
    assert Path("out/Questions.csv").read_text("utf-8").splitlines() == [
        "Index,Question,Options,Correct Answer,Pattern",
        "1,Is it open?,(a) Open (b) Closed,(a),state",
        "2,Is it open?,(a) Open (b) Closed,(b),state",
        "3,Which way does it face?,(a) Left (b) Right,(b),orientation",
        "4,Which way does it face?,(a) Left (b) Right,(a),orientation",
    ]
    assert sorted(p.name for p in Path("out/MMVP Images").iterdir()) == ["1.jpg", "2.jpg", "3.jpg", "4.jpg"]
    assert Image.open("out/MMVP Images/3.jpg").format == "JPEG"
    assert run("mmvp", "folder", sheet, "--images", "photos", "-o", "out")[0] == 1  # is there already
    answers = "".join(
        json.dumps(
            {"question_id": k, "prompt": "", "answer": a, "response": r, "answer_id": "", "model_id": ""}
        )
        + "\n"
        for k, a, r in [(1, "(a)", "(a)"), (2, "(b)", "(b)"), (3, "(b)", "(a)"), (4, "(a)", "(a)")]
    )
    Path("answers.jsonl").write_text(answers)
    scored = unisim.score_mmvp("answers.jsonl", "out/Questions.csv")
    assert scored.pair_accuracy == 0.5 and scored.question_accuracy == 0.75


def test_options_swapped_and_numbered(own_world, photos, run):  # noqa: F811
    sheet = written(FIRST)
    assert run("mmvp", "folder", sheet, "--images", "photos", "-o", "out", "--swap", "--numbers")[0] == 0
    assert Path("out/Questions.csv").read_text("utf-8").splitlines()[1:] == [
        "1,Is it open?,(1) Closed (2) Open,(2),state",
        "2,Is it open?,(1) Closed (2) Open,(1),state",
    ]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (FIRST.replace(",a,b,", ",a,a,"), "filled.csv:2: both answers are 'a'"),
        (FIRST.replace(",a,b,", ",a,c,"), "filled.csv:2: answers 'a', 'c'"),
        (FIRST.replace("Closed", ""), "filled.csv:2: option_b is empty"),
        (FIRST.replace("Closed", "Open"), "both options are the same"),
        (FIRST.replace("b.png", "B.PNG"), "stands on both sides"),
        (FIRST.replace("state", "mood"), "pattern 'mood'"),
        ("1,B.PNG\n", "filled.csv:2: another number of columns"),
        (FIRST.replace("b.png", "gone.png"), "gone.png"),
    ],
)
def test_what_a_sheet_may_not_hold(own_world, photos, run, row, said):  # noqa: F811
    code, _, stderr = run("mmvp", "folder", written(row), "--images", "photos", "-o", "out")
    assert code == 1 and said in stderr
    assert not Path("out").exists() and not list(Path().glob(".out*"))
