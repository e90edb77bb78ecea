"""unisim.score_pope and `unisim score pope`."""

import json
import random
from pathlib import Path

import pytest

import unisim

pytest_plugins = ["command_line"]


@pytest.mark.parametrize(
    "reply, read",
    [
        ("Yes", "yes"),
        ("No", "no"),
        ("no, there is none", "no"),
        ("There is not a dog. Yes.", "no"),
        ("Yes. There is not a cat.", "yes"),  # the first sentence alone
        ("There is, no, dog", "no"),
        ("NO", "yes"),
        ("Not a dog", "yes"),
        ("nothing", "yes"),
        ("I do not know", "no"),
        ("no!", "yes"),
        ("a\nno", "yes"),  # words are parted by spaces alone
        ("", "yes"),
        (".no", "yes"),
        ("é no", "no"),
    ],
)
def test_a_reply_is_no_if_its_first_sentence_has_the_word(reply, read):
    assert unisim.parse_pope(reply) == read


def direct(reply):
    words = reply.split(".")[0].replace(",", "").split(" ")
    return "no" if {"No", "no", "not"} & set(words) else "yes"


def write(file, rows):
    Path(file).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_scores_are_those_of_a_direct_computation(tmp_path):
    generator = random.Random(1)
    rows = []
    for k in range(300):
        reply = " ".join(generator.choices(["no", "No", "not", "yes", "dog.", "there,", "is"], k=2))
        label = generator.choice(["yes", "no"])
        rows.append({"question_id": k, "response": reply, "label": label, "category": ["a", "b"][k % 2]})
    found = unisim.score_pope(write(tmp_path / "a.jsonl", rows))
    for part, chosen in ((found, rows), (found.categories[0], rows[::2]), (found.categories[1], rows[1::2])):
        read = [(direct(row["response"]), row["label"]) for row in chosen]
        tp, fp, tn, fn = (read.count(p) for p in (("yes", "yes"), ("yes", "no"), ("no", "no"), ("no", "yes")))
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        assert (part.tp, part.fp, part.tn, part.fn, part.questions) == (tp, fp, tn, fn, len(chosen))
        assert (part.precision, part.recall) == (precision, recall)
        assert part.f1 == pytest.approx(2 * precision * recall / (precision + recall), rel=1e-14)
        assert (part.accuracy, part.yes_ratio) == ((tp + tn) / len(chosen), (tp + fp) / len(chosen))
    assert [part.category for part in found.categories] == ["a", "b"]
    bare = [{key: row[key] for key in ("question_id", "response")} for row in rows]
    generator.shuffle(bare)
    labels = write(tmp_path / "labels.jsonl", [row | {"text": "Is there a dog?"} for row in rows])
    joined = unisim.score_pope(write(tmp_path / "b.jsonl", bare), labels=labels)
    assert (joined.tp, joined.fp, joined.tn, joined.fn) == (found.tp, found.fp, found.tn, found.fn)


def test_yes_throughout_has_a_recall_of_1_and_no_throughout_an_f1_of_0(tmp_path):
    for reply, f1, ratio in (("Yes", 2 / 3, 1.0), ("No", 0.0, 0.0)):
        rows = [{"text": reply, "label": label} for label in ("Yes", "no")]
        found = unisim.score_pope(write(tmp_path / "a.jsonl", rows))
        assert (found.f1, found.yes_ratio, found.accuracy) == (pytest.approx(f1), ratio, 0.5)


@pytest.mark.parametrize(
    "rows, labels, message",
    [
        ([{"label": "yes"}], None, r"a\.jsonl:1: has no reply"),
        ([{"answer": "yes"}], None, r'a\.jsonl:1: has no text "label"'),
        ([{"answer": "yes", "label": "maybe"}], None, r'a\.jsonl:1: has the label "maybe"'),
        ([], None, "holds no records"),
        ([{"answer": "a", "question_id": 1}], [], r"a\.jsonl:1: answers question_id 1, which is not in"),
        ([{"answer": "a", "question_id": 1}], [1, 2], r"a\.jsonl: has no answer to question_id 2 of"),
        ([{"answer": "a", "question_id": 1}] * 2, [1], r"a\.jsonl:2: answers question_id 1.*answered before"),
        ([{"answer": "a", "question_id": 1}], [1, 1], r"l\.jsonl:2: has question_id 1 a second time"),
        ([{"answer": "a"}], [1], r"a\.jsonl:1: has no question_id"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_its_line(tmp_path, rows, labels, message):
    given = {}
    if labels is not None:
        given["labels"] = write(tmp_path / "l.jsonl", [{"question_id": k, "label": "yes"} for k in labels])
    with pytest.raises(ValueError, match=message):
        unisim.score_pope(write(tmp_path / "a.jsonl", rows), **given)


@pytest.mark.usefixtures("own_world")
def test_the_command_prints_the_measures(run):
    write(
        "a.jsonl",
        [{"answer": "yes", "label": "yes", "category": "popular"}, {"answer": "no", "label": "yes"}],
    )
    code, out, _ = run("score", "pope", "a.jsonl", "--json")
    found = json.loads(out)
    assert code == 0 and (found["accuracy"], found["precision"], found["recall"]) == (0.5, 1.0, 0.5)
    assert found["categories"]["popular"]["questions"] == 1
    code, out, _ = run("score", "pope", "a.jsonl")
    assert code == 0 and "popular" in out and "yes_ratio" in out
