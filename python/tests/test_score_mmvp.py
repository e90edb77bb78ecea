"""unisim.score_mmvp and `unisim score mmvp`: the rule of MMVP."""

import csv
import json
from pathlib import Path

import pytest

import unisim

pytest_plugins = ["command_line"]

OPTIONS = "(a) Open (b) Closed"


def write_questions(file, labels, header="Index,Question,Options,Correct Answer", more=lambda k: ()):
    with open(file, "w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(header.split(","))
        for k, label in enumerate(labels):
            writer.writerow(
                [k + 1, f"Is the door of pair {k // 2} open, or closed?", OPTIONS, label, *more(k)]
            )
    return file


def write_answers(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.mark.parametrize(
    "response, option",
    [
        ("(a)", 0),
        ("(b) Closed", 1),
        ("A", 0),
        ("B.", 1),
        (" b) closed ", 1),
        ("a: Open", 0),
        ("(A) because it is, not (b)", 0),  # its beginning decides
        ("The answer is (b).", 1),
        ("It is (a) or (b)", None),
        ("A door that is closed", None),  # an article
        ("Be sure", None),
        ("closed.", 1),
        ("Open", 0),
        ("The door is open", None),
        ("", None),
        ("1", None),
    ],
)
def test_an_option_is_read_by_rule(response, option):
    assert unisim.mmvp_option(response, OPTIONS) == option


def test_numbers_stand_for_letters_too():
    options = "(1) Open (2) Closed"
    assert [unisim.mmvp_option(r, options) for r in ("1", "(2) Closed", "2.", "open", "a", "12")] == [
        0,
        1,
        1,
        0,
        None,
        None,
    ]
    with pytest.raises(ValueError, match="expected"):
        unisim.mmvp_option("a", "Open or closed")


def test_accuracy_is_per_question_and_per_pair(tmp_path):
    questions = write_questions(tmp_path / "Questions.csv", ["(a)", "(b)"] * 3)
    responses = ["(a)", "(b)", "a", "a", "the door", "B"]
    answers = write_answers(
        tmp_path / "answers.jsonl", [{"question_id": k + 1, "response": r} for k, r in enumerate(responses)]
    )
    found = unisim.score_mmvp(answers, questions)
    assert (found.rule, found.right, found.questions, found.right_pairs, found.pairs) == (
        "option",
        4,
        6,
        1,
        3,
    )
    assert (found.question_accuracy, found.pair_accuracy, found.unparsable) == (4 / 6, 1 / 3, 1)
    assert found.patterns == []


def test_a_verdict_is_yes_alone_in_any_case(tmp_path):
    questions = write_questions(tmp_path / "Questions.csv", ["(a)", "(b)"] * 3)
    verdicts = ["yes", "YES", "Yes.", "yes", "no", "yes\n"]
    answers = write_answers(
        tmp_path / "answers.jsonl",
        [
            {"question_id": k + 1, "verdict": v, "response": "?"}
            for k, v in reversed(list(enumerate(verdicts)))
        ],
    )
    found = unisim.score_mmvp(answers, questions)
    assert (found.rule, found.right, found.right_pairs, found.unparsable) == ("verdict", 3, 1, 2)


def test_patterns_come_from_a_column_or_from_a_table_beside(tmp_path):
    tags = ["color", "color", "text", "text", "color", "color"]
    header = "Index,Question,Options,Correct Answer,Pattern"
    tagged = write_questions(tmp_path / "tagged.csv", ["(a)", "(b)"] * 3, header, lambda k: (tags[k],))
    plain = write_questions(tmp_path / "plain.csv", ["(a)", "(b)"] * 3)
    beside = tmp_path / "patterns.csv"
    beside.write_text("Index,Pattern\n" + "".join(f"{k + 1},{tag}\n" for k, tag in enumerate(tags)))
    answers = write_answers(
        tmp_path / "a.jsonl", [{"question_id": k + 1, "response": r} for k, r in enumerate("ABABAA")]
    )
    for found in (unisim.score_mmvp(answers, tagged), unisim.score_mmvp(answers, plain, patterns=beside)):
        assert [(p.pattern, p.questions, p.right, p.accuracy) for p in found.patterns] == [
            ("color", 4, 3, 0.75), ("text", 2, 2, 1.0)
        ]  # fmt: skip
    beside.write_text("Index,Pattern\n1,color\n1,text\n")
    with pytest.raises(ValueError, match=r"patterns\.csv:3: has Index 1 a second time"):
        unisim.score_mmvp(answers, plain, patterns=beside)


def test_corrected_labels_are_worth_two_pairs(tmp_path):
    labels = ["(a)", "(b)"] * 150
    questions = write_questions(tmp_path / "Questions.csv", labels)
    rows = [{"question_id": k + 1, "answer": label, "response": label} for k, label in enumerate(labels)]
    for at in (99, 100, 279, 280):
        rows[at - 1]["response"] = {"(a)": "(b)", "(b)": "(a)"}[labels[at - 1]]
    answers = write_answers(tmp_path / "answers.jsonl", rows)
    plain, corrected = (unisim.score_mmvp(answers, questions, corrected=c) for c in (False, True))
    assert (plain.right_pairs, plain.right, corrected.right_pairs, corrected.corrected) == (
        148,
        296,
        150,
        True,
    )
    few = write_questions(tmp_path / "few.csv", ["(a)", "(b)"])
    with pytest.raises(ValueError, match="few.csv: has 2 questions"):
        unisim.score_mmvp(answers, few, corrected=True)


GOOD = [{"question_id": 1, "response": "a"}, {"question_id": 2, "response": "b"}]


@pytest.mark.parametrize(
    "rows, message",
    [
        (GOOD[:1], r"answers\.jsonl: has no answer to question_id 2 of .*Questions\.csv"),
        (
            [*GOOD, GOOD[0]],
            r"answers\.jsonl:3: answers question_id 1 a second time, after .*answers\.jsonl:1",
        ),
        (
            [GOOD[0], {"question_id": 3, "response": "a"}],
            r"answers\.jsonl:2: has question_id 3, .* has 1 to 2",
        ),
        ([GOOD[0], {"question_id": 0, "response": "a"}], r"answers\.jsonl:2: has question_id 0"),
        (
            [GOOD[0], {"question_id": "2", "response": "a"}],
            r"answers\.jsonl:2: has no question_id, expected a whole",
        ),
        ([GOOD[0], {"question_id": 2, "response": 3}], r'answers\.jsonl:2: has no text "response"'),
        ([GOOD[0], {"question_id": 2, "verdict": "yes"}], r'answers\.jsonl:2: has "verdict", unlike'),
        ([GOOD[0] | {"answer": "(b)"}, GOOD[1]], r"answers\.jsonl:1: has the answer .* counted from 1"),
    ],
)
def test_answers_that_do_not_fit_the_questions_are_named(tmp_path, rows, message):
    questions = write_questions(tmp_path / "Questions.csv", ["(a)", "(b)"])
    with pytest.raises(ValueError, match=message):
        unisim.score_mmvp(write_answers(tmp_path / "answers.jsonl", rows), questions)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            "Index,Question,Options,Correct Answer\n1,q,(a) x (b) y,(a)\n",
            "has 1 questions, expected an even number",
        ),
        ("Index,Question,Options,Correct Answer\n2,q,(a) x (b) y,(a)\n", r":2: has Index 2, expected 1"),
        ("Index,Question,Options,Correct Answer\n1,q,x or y,(a)\n", r":2: has Options"),
        (
            "Index,Question,Options,Correct Answer\n1,q,(a) x (b) y,a\n",
            r':2: has Correct Answer "a", expected \(a\)',
        ),
        ("Index,Question,Options\n1,q,(a) x (b) y\n", r':1: has no column "Correct Answer"'),
    ],
)
def test_questions_that_are_no_mmvp_are_refused(tmp_path, text, message):
    (tmp_path / "Questions.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        unisim.score_mmvp(write_answers(tmp_path / "answers.jsonl", GOOD), tmp_path / "Questions.csv")


@pytest.mark.usefixtures("own_world")
def test_the_command_reads_answers_or_the_folder_that_holds_them(run):
    Path("mine").mkdir()
    questions = write_questions(Path("mine/Questions.csv"), ["(a)", "(b)"] * 2)
    answers = write_answers(
        Path("mine/answers.jsonl"), [{"question_id": k + 1, "response": r} for k, r in enumerate("ABA?")]
    )
    code, out, _ = run("score", "mmvp", answers, "--questions", questions, "--json")
    found = json.loads(out)
    assert code == 0 and (found["pair_accuracy"], found["question_accuracy"]) == (0.5, 0.75)
    assert found["unparsable"] == 1 and found["file"] == "mine/answers.jsonl"
    assert json.loads(run("score", "mmvp", "mine", "--json")[1]) == found
    code, out, _ = run("score", "mmvp", "mine")
    assert code == 0 and "0.5" in out and "1 answers could not be read" in out
    assert run("score", "mmvp", answers)[0] == 2
    Path("mine/more.jsonl").write_text("")
    code, _, err = run("score", "mmvp", "mine")
    assert code == 1 and "answers.jsonl, more.jsonl" in err
