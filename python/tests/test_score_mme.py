"""unisim.score_mme and `unisim score mme`: MME's rule, as its authors' tool has it."""

import json
import random
import re
from pathlib import Path

import pytest

import unisim

pytest_plugins = ["command_line"]

PERCEPTION = {"existence": 30, "count": 30, "position": 30, "color": 30, "posters": 147, "celebrity": 170, "scene": 200,
              "landmark": 200, "artwork": 200, "OCR": 20}  # fmt: skip
COGNITION = {
    "commonsense_reasoning": 70,
    "numerical_calculation": 20,
    "text_translation": 20,
    "code_reasoning": 20,
}
SUBTASKS = PERCEPTION | COGNITION

# The state of 2023-07-04: subtasks in the order of SUBTASKS, perception, cognition.
BOARD = {
    "BLIP-2": [160.00, 135.00, 73.33, 148.33, 141.84, 105.59, 145.25, 138.00, 136.50, 110.00, 110.00, 40.00, 65.00, 75.00, 1293.84, 290.00],
    "InstructBLIP": [185.00, 143.33, 66.67, 153.33, 123.81, 101.18, 153.00, 79.75, 134.25, 72.50, 129.29, 40.00, 65.00, 57.50, 1212.82, 291.79],
    "LLaMA-Adapter V2": [120.00, 50.00, 48.33, 75.00, 99.66, 86.18, 148.50, 150.25, 69.75, 125.00, 81.43, 62.50, 50.00, 55.00, 972.67, 248.93],
    "mPLUG-Owl": [120.00, 50.00, 50.00, 55.00, 136.05, 100.29, 135.50, 159.25, 96.25, 65.00, 78.57, 60.00, 80.00, 57.50, 967.35, 276.07],
    "MiniGPT-4": [115.00, 123.33, 81.67, 110.00, 55.78, 65.29, 95.75, 69.00, 55.75, 95.00, 72.14, 55.00, 55.00, 110.00, 866.58, 292.14],
    "Otter": [48.33, 50.00, 50.00, 55.00, 44.90, 50.00, 44.25, 49.50, 41.75, 50.00, 38.57, 20.00, 27.50, 50.00, 483.73, 136.07],
}  # fmt: skip


def write(folder, subtask, rows):
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join("\t".join(row) + "\n" for row in rows)
    (folder / f"{subtask}.txt").write_text(text, encoding="utf-8", newline="")


def answers(images, reply):
    """Two questions an image; reply(image, truth) is the response."""
    return [
        (f"{k:04}.jpg", f"Question {truth} of {k}? Please answer yes or no.", truth, reply(k, truth))
        for k in range(images)
        for truth in ("Yes", "No")
    ]


def full(folder, reply):
    for subtask, images in SUBTASKS.items():
        write(folder, subtask, answers(images, reply))
    return folder


@pytest.mark.parametrize(
    "reply, official, lmms, vlmevalkit",
    [
        ("Yes", "yes", "yes", "yes"),
        ("NO", "no", "no", "no"),
        ("Yes.", "yes", "yes", "yes"),
        ("yes,", "yes", "yes", "yes"),
        ("Yes, there is no dog", "yes", "yes", "other"),
        ("no yes", "no", "no", "other"),
        ("no, but yes", "no", "no", "other"),
        ("nyes", "yes", "yes", "other"),  # "yes" is looked for first
        ("know", "no", "no", "other"),
        ("snow", "no", "no", "other"),
        ("None of them", "no", "no", "other"),
        ("eyes", "yes", "yes", "other"),
        ("now yes", "no", "no", "yes"),
        (" yes", "yes", "yes", "yes"),
        ("  yes", "other", "yes", "yes"),
        ("  no", "no", "no", "no"),
        ("\u00a0\u00a0no.", "no", "no", "no"),
        ("\u00a0\u00a0yes", "other", "yes", "yes"),
        ("The answer is yes", "other", "other", "yes"),
        ("The answer is yes.", "other", "other", "yes"),
        ("", "other", "other", "other"),
        ("y", "other", "yes", "other"),
        (" N. ", "other", "no", "other"),
        ("ye", "other", "other", "other"),
        ("maybe", "other", "other", "other"),
        ("Y.e.s", "other", "yes", "yes"),
        ("¡yes!", "yes", "yes", "other"),  # characters, not bytes
        ("éééyes", "other", "other", "other"),
        ("İyes", "other", "other", "other"),  # two characters in lower case
        ("(yes)", "yes", "yes", "yes"),
        ("answer:yes/right", "other", "other", "other"),
        ("it is-no", "other", "other", "no"),
        ("no 1,000", "no", "no", "no"),
        ("it is yes-yes 1,000", "other", "other", "other"),  # a grouped number: signs are taken out, "yesyes"
        ("yes3.5 or no.", "yes", "yes", "no"),
    ],
)
def test_a_reply_is_read_as_each_tool_reads_it(reply, official, lmms, vlmevalkit):
    assert unisim.parse_yes_no(reply) == official
    assert unisim.parse_yes_no(reply, parser="lmms") == lmms
    assert unisim.parse_yes_no(reply, parser="vlmevalkit") == vlmevalkit


def direct(reply):
    """The official rule in Python's own words."""
    lower = reply.lower()
    if lower in ("yes", "no"):
        return lower
    beginning = lower[:4]
    return "yes" if "yes" in beginning else "no" if "no" in beginning else "other"


def test_random_replies_are_read_as_the_definition_reads_them():
    generator = random.Random(3)
    for _ in range(20000):
        reply = "".join(generator.choices("yesnoYESNO .İéſß\u3000K", k=generator.randrange(8)))
        assert unisim.parse_yes_no(reply) == direct(reply), reply


def test_scores_are_those_of_a_direct_computation(tmp_path):
    generator = random.Random(7)
    replies = ["Yes", "no", "Yes.", " no", "  yes", "know", "maybe", ""]
    full(tmp_path, lambda k, truth: generator.choice(replies))
    found = unisim.score_mme(tmp_path)
    assert [s.name for s in found.subtasks] == list(SUBTASKS) and found.missing == []
    totals = {"perception": 0.0, "cognition": 0.0}
    for subtask in found.subtasks:
        rows = [line.split("\t") for line in (tmp_path / f"{subtask.name}.txt").read_text().splitlines()]
        read = [(truth.lower(), direct(reply)) for _, _, truth, reply in rows]
        right = [truth == reply for truth, reply in read]
        images = len(right) // 2
        acc = sum(right) / len(right)
        plus = sum(right[2 * k] and right[2 * k + 1] for k in range(images)) / images
        count = {
            pair: read.count(pair) for pair in [(t, r) for t in ("yes", "no") for r in ("yes", "no", "other")]
        }
        tp, fn, tn, fp = (count["yes", "yes"], count["yes", "no"], count["no", "no"], count["no", "yes"])
        assert (subtask.acc, subtask.acc_plus) == (acc, plus)
        assert subtask.score == 100 * acc + 100 * plus
        assert (subtask.tp, subtask.fn, subtask.tn, subtask.fp) == (tp, fn, tn, fp)
        assert subtask.other == count["yes", "other"] + count["no", "other"] > 0
        assert (subtask.precision, subtask.recall) == (tp / (tp + fp), tp / (tp + fn))
        assert (subtask.images, subtask.questions) == (SUBTASKS[subtask.name], 2 * SUBTASKS[subtask.name])
        assert unisim.mme_attainable(round(subtask.score, 2), images)
        totals[subtask.group] += subtask.score
    assert (found.perception, found.cognition) == (totals["perception"], totals["cognition"])


@pytest.mark.parametrize("reply", ["Yes", "No"])
def test_one_answer_throughout_is_worth_50_a_subtask(tmp_path, reply):
    found = unisim.score_mme(full(tmp_path, lambda k, truth: reply))
    assert {s.score for s in found.subtasks} == {50.0}
    assert (found.perception, found.cognition) == (500.0, 200.0)
    assert {s.recall for s in found.subtasks} == {1.0 if reply == "Yes" else 0.0}
    assert {s.precision for s in found.subtasks} == {0.5 if reply == "Yes" else 0.0}


def test_right_answers_are_worth_2800(tmp_path):
    found = unisim.score_mme(full(tmp_path, lambda k, truth: truth))
    assert (found.perception, found.cognition) == (2000.0, 800.0)


def test_the_parser_moves_scores(tmp_path):
    write(tmp_path, "count", answers(30, lambda k, truth: f"  {truth}"))
    assert unisim.score_mme(tmp_path).subtasks[0].score == 50.0  # "  no" is read, "  yes" is not
    assert unisim.score_mme(tmp_path, parser="lmms").subtasks[0].score == 200.0
    assert unisim.score_mme(tmp_path, parser="vlmevalkit").subtasks[0].score == 200.0
    with pytest.raises(ValueError, match="no parser"):
        unisim.score_mme(tmp_path, parser="best")


def test_a_subtask_without_a_file_is_named_and_in_no_total(tmp_path):
    write(tmp_path, "existence", answers(30, lambda k, truth: truth))
    write(tmp_path, "code_reasoning", answers(20, lambda k, truth: "no"))
    found = unisim.score_mme(tmp_path)
    assert (found.perception, found.cognition) == (200.0, 50.0)
    assert found.missing == [name for name in SUBTASKS if name not in ("existence", "code_reasoning")]


def test_line_ends_and_a_byte_order_mark_are_no_part_of_an_answer(tmp_path):
    rows = answers(30, lambda k, truth: "" if k == 3 else truth)
    text = "\r\n".join("\t".join(row) for row in rows)
    (tmp_path / "count.txt").write_bytes(b"\xef\xbb\xbf" + text.encode() + b"\r\n\r\n")
    found = unisim.score_mme(tmp_path).subtasks[0]
    assert (found.questions, found.other, found.acc_plus) == (60, 2, 29 / 30)


@pytest.mark.parametrize(
    "spoil, message",
    [
        (lambda rows: rows.pop(), r"count\.txt:59: is the last of 59 lines, an odd number"),
        (lambda rows: rows.clear(), r"count\.txt: is empty"),
        (lambda rows: rows.__setitem__(5, rows[5][:3]), r"count\.txt:6: has 3 columns, expected 4"),
        (
            lambda rows: rows.__setitem__(5, (*rows[5], "more")),
            r"count\.txt:6: has 5 columns.*a tab inside the resp",
        ),
        (lambda rows: rows.__setitem__(5, ("", "", "", "")), r"count\.txt:6: has no image"),
        (
            lambda rows: rows.__setitem__(6, (*rows[6][:2], "Y", "no")),
            r'count\.txt:7: has the ground truth "Y"',
        ),
        (
            lambda rows: rows.insert(0, rows.pop()),
            r'count\.txt:2: is about "0000.jpg", the line before it about "0029',
        ),
        (lambda rows: rows.__setitem__(9, rows[8]), r'count\.txt:10: asks "Question Yes of 4.*a second time'),
        (
            lambda rows: rows.extend(rows[:2]),
            r'count\.txt:61: asks "Question Yes of 0.*" of "0000.jpg" a second',
        ),
        (
            lambda rows: rows.__setitem__(4, (*rows[4][:3], "yes\n")),
            r"count\.txt:6: has 1 column, expected 4",
        ),
        (lambda rows: rows.__setitem__(4, (*rows[4][:3], "yes\rno")), r"count\.txt:5: has a carriage return"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_its_line(tmp_path, spoil, message):
    rows = answers(30, lambda k, truth: truth)
    spoil(rows)
    if len(rows) == 60 and rows[4][3] == "yes\n":
        rows.pop()  # so that the count of lines is even
    write(tmp_path, "count", rows)
    with pytest.raises(ValueError, match=message):
        unisim.score_mme(tmp_path)


def test_what_cannot_be_read_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        unisim.score_mme(tmp_path / "none")
    with pytest.raises(ValueError, match="holds none of the 14 answer files"):
        unisim.score_mme(tmp_path)
    (tmp_path / "count.txt").write_bytes(b"a\tb\tYes\t\xff\n" * 2)
    with pytest.raises(ValueError, match=r"count\.txt:1: is not UTF-8"):
        unisim.score_mme(tmp_path)
    with pytest.raises(ValueError, match="is no folder"):
        unisim.score_mme(tmp_path / "count.txt")


def test_leaderboards_have_16_lists_and_equal_scores_share_a_rank(tmp_path):
    full(tmp_path / "yes", lambda k, truth: "yes")
    full(tmp_path / "no", lambda k, truth: "no")
    full(tmp_path / "right", lambda k, truth: truth)
    partial = full(tmp_path / "partial", lambda k, truth: "" if k % 2 else truth)
    (partial / "OCR.txt").unlink()
    boards = unisim.mme_leaderboards({name: tmp_path / name for name in ("yes", "no", "partial", "right")})
    assert [b.name for b in boards] == ["perception", "cognition", *SUBTASKS]
    ranks = {b.name: [(p.rank, p.model) for p in b.places] for b in boards}
    assert ranks["perception"] == ranks["OCR"] == [(1, "right"), (2, "yes"), (2, "no")]
    assert ranks["cognition"] == [(1, "right"), (2, "partial"), (3, "yes"), (3, "no")]
    assert {b.name: b.absent for b in boards if b.absent} == {"perception": ["partial"], "OCR": ["partial"]}
    scores = {name: unisim.score_mme(tmp_path / name) for name in ("yes", "no")}
    assert [p.rank for p in unisim.mme_leaderboards(scores)[0].places] == [1, 1]


def test_published_scores_are_attainable_and_impossible_ones_are_found():
    for row in BOARD.values():
        assert all(
            unisim.mme_attainable(printed, images)
            for printed, images in zip(row, SUBTASKS.values(), strict=False)
        )
        assert sum(row[:10]) == pytest.approx(row[14], abs=0.015) and sum(row[10:14]) == pytest.approx(
            row[15], abs=0.015
        )
    assert not unisim.mme_attainable(165.80, 30) and not unisim.mme_attainable(160.80, 30)
    assert not unisim.mme_attainable(136.13, 200)
    assert (
        unisim.mme_attainable(167, 30, decimals=0)
        and not unisim.mme_attainable(166, 30, decimals=0)
        and not unisim.mme_attainable(200.5, 30)
    )


@pytest.mark.parametrize("images", [1, 2, 3, 5, 20])
def test_attainable_is_what_some_answers_give(images):
    reached = {
        round(100 * (2 * both + one) / (2 * images) + 100 * both / images, 6)
        for both in range(images + 1)
        for one in range(images - both + 1)
    }
    steps = {round(100 * m / (2 * images), 6) for m in range(4 * images + 1)}
    for score in steps:
        assert unisim.mme_attainable(score, images, decimals=6) == (score in reached), score
    assert steps - reached


@pytest.mark.usefixtures("own_world")
def test_the_command_prints_subtasks_and_totals(run):
    full(Path("answers/mine"), lambda k, truth: "yes" if k else "neither")
    Path("answers/mine/OCR.txt").unlink()
    code, out, err = run("score", "mme", "answers/mine", "--json")
    found, same = json.loads(out), unisim.score_mme("answers/mine")
    assert code == 0 and "OCR" in err
    assert list(found["subtasks"]) == [name for name in SUBTASKS if name != "OCR"] and found["missing"] == [
        "OCR"
    ]
    assert (found["perception"], found["cognition"]) == (same.perception, same.cognition)
    assert found["total"] == same.perception + same.cognition
    for subtask in same.subtasks:
        for key in (
            "acc",
            "acc_plus",
            "score",
            "other",
            "tp",
            "fn",
            "tn",
            "fp",
            "precision",
            "recall",
            "questions",
        ):
            assert found["subtasks"][subtask.name][key] == getattr(subtask, key)
    code, out, _ = run("score", "mme", "answers/mine")
    assert code == 0 and "perception" in out and "commonsense_reasoning" in out


@pytest.mark.usefixtures("own_world")
def test_several_folders_make_leaderboards_and_a_bad_one_is_named(run):
    full(Path("yes"), lambda k, truth: "yes")
    full(Path("right"), lambda k, truth: truth)
    Path("bad").mkdir()
    Path("bad/count.txt").write_text("a\tb\tYes\tyes\n")
    code, out, err = run("score", "mme", "yes", "bad", "right", "--json")
    found = json.loads(out)
    assert code == 3 and "bad/count.txt:1" in err and found["failed"][0]["file"] == "bad"
    assert [m["model"] for m in found["models"]] == ["yes", "right"] and len(found["leaderboards"]) == 16
    assert found["leaderboards"][0]["places"][0] == {"rank": 1, "model": "right", "score": 2000.0}
    code, out, _ = run("score", "mme", "yes", "right")
    assert code == 0 and out.index("right") < out.index("yes") and "OCR" in out
    assert run("score", "mme", "bad")[0] == 1


@pytest.mark.usefixtures("own_world")
def test_the_page_has_sixteen_leaderboards_and_what_is_missing(run):
    for name in ("yes", "right", "part<b>"):
        full(Path(name), lambda k, truth, name=name: truth if name != "yes" else "yes")
    Path("part<b>/OCR.txt").unlink()
    Path("bad").mkdir()
    Path("bad/count.txt").write_text("a\tb\tYes\tyes\n")
    asked = ["score", "mme", "yes", "bad", "right", "part<b>", "--report", "page.html"]
    code, out, _ = run(*asked, "--json")
    page = Path("page.html").read_text("utf-8")
    text = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert code == 3 and json.loads(out)["report"] == "page.html"
    headings = re.findall(r"<h3>(.*?)</h3>", text)
    assert headings == ["perception", "cognition", *SUBTASKS]
    assert '<td>right</td><td class="number">1</td><td class="number">2000.00</td>' in text
    assert '<td>part&lt;b&gt;</td><td class="number"></td><td class="number">no file</td>' in text
    assert "no file for OCR" in text and "bad/count.txt:1" in text and "part<b>" not in text
    assert not re.search(r"(?i)https?:|@import|src\s*=|href\s*=|url\(", text)
    assert run(*asked)[1].splitlines()[-1] == "page.html" and Path("page.html").read_text("utf-8") == page
    code, out, _ = run("score", "mme", "yes", "--report", "one.html", "--json")
    assert code == 0 and "<h1>MME: yes</h1>" in Path("one.html").read_text("utf-8")
    code, out, err = run("score", "mme", "yes", "--report", "nowhere/page.html")
    assert code == 1 and out == "" and "nowhere/page.html" in err
