"""`unisim answer`: a benchmark's questions put to a tiny model, and answers that `unisim score` reads.

Responses are held to `Vlm.generate` and `Vlm.choose` of a model loaded here, question by question: the same calls on the
same machine, so equal to the letter. Probabilities are those of a model that keeps prefixes: its sums of some thousand
float32 terms are taken in another order, 1e-5.
"""

import json
import os
from pathlib import Path

import pytest

import unisim
from benchmark_folders import (
    QUESTIONS,
    RUBRICS,
    files_of,
    folder_of_model,
    lines_of,
    mme_folder,
    mmie_folder,
    mmvp_folder,
)
from unisim import answer_layouts, answers, mmie, mmie_questions

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture(scope="module")
def vlm(tmp_path_factory):
    return folder_of_model(tmp_path_factory.mktemp("vlm"))


@pytest.fixture(scope="module")
def model(vlm):
    return unisim.Vlm.load(vlm)


def test_mmvp_answers_are_those_of_generate_and_score_reads_them(run, vlm, model):
    folder = mmvp_folder("mmvp")
    code, out, err = run(
        "answer", vlm, "mmvp", folder, "-o", "answers.jsonl", "--max-new-tokens", 12, "--json"
    )
    assert (code, err) == (0, "")
    assert json.loads(out)["questions"] == json.loads(out)["asked"] == 6
    found = lines_of("answers.jsonl")
    for k, line in enumerate(found):
        question, options = QUESTIONS[k // 2]
        assert list(line) == ["question_id", "prompt", "answer", "response", "answer_id", "model_id"]
        assert line["question_id"] == k + 1 and line["prompt"] == f"{question} {options}"
        picture = folder / "MMVP Images" / f"{k + 1}.jpg"
        assert line["response"] == model.generate(picture, [line["prompt"]], 12)
        assert line["model_id"] == "interleave"
    assert len({line["response"] for line in found}) > 3 and len({line["answer_id"] for line in found}) == 6
    code, out, _ = run("score", "mmvp", "answers.jsonl", "--questions", folder / "Questions.csv", "--json")
    assert code == 0 and json.loads(out)["questions"] == 6
    assert sorted(os.listdir()) == ["answers.jsonl", "mmvp"]


def test_what_looks_like_a_token_in_a_question_is_asked_as_text(run, vlm, model):
    """No picture and no end of a turn comes from it, nor is it written another way: each would move the coverage."""
    folder = mmvp_folder("mmvp")
    assert run("answer", vlm, "mmvp", folder, "-o", "a.jsonl", "--mode", "probability")[0] == 0
    line, picture = lines_of("a.jsonl")[4], folder / "MMVP Images" / "5.jpg"
    question = line["prompt"]
    assert "<image> <|im_end|>" in question
    asked = model.prompt(picture, [question])
    assert len(asked.pictures) == 1 and f"\n{question}<|im_end|>" in asked.text
    added = {asked.ids[asked.pictures[0][0]]} | {
        model.encode(None, token, template="raw")[0] for token in ("<|im_start|>", "<|im_end|>")
    }
    quiet = model.encode(picture, "Hello.")
    assert [id for id in asked.ids if id in added] == [id for id in quiet if id in added]
    coverage = model.choose(picture, [question], ("(1)", "(2)"), kept_prefixes=False).coverage
    assert line["coverage"] == coverage
    for other in (question.replace("<image>", "[image]"), question.replace("<|im_end|>", "[end]")):
        moved = model.choose(picture, [other], ("(1)", "(2)")).coverage
        assert moved != pytest.approx(coverage, rel=1e-3, abs=0)


def test_by_probability_the_best_option_is_the_response(run, vlm, model):
    folder = mmvp_folder("mmvp")
    assert run("answer", vlm, "mmvp", folder, "-o", "a.jsonl", "--mode", "probability")[0] == 0
    for k, line in enumerate(lines_of("a.jsonl")):
        marks = ("(1)", "(2)") if k > 3 else ("(a)", "(b)")
        chosen = model.choose(folder / "MMVP Images" / f"{k + 1}.jpg", [line["prompt"]], marks)
        assert line["response"] == marks[chosen.best]
        assert line["probability"] == pytest.approx(max(chosen.probabilities), abs=1e-5)
        assert line["coverage"] == pytest.approx(chosen.coverage, abs=1e-5)
    assert len({line["response"][1] in "a1" for line in lines_of("a.jsonl")}) == 2
    code, out, _ = run("score", "mmvp", "a.jsonl", "--questions", folder / "Questions.csv", "--json")
    assert code == 0 and json.loads(out)["unparsable"] == 0


def test_mme_answers_of_both_layouts_with_the_score_by_probability_beside(run, vlm, model):
    folder = mme_folder("mme")
    code, out, err = run("answer", vlm, "mme", folder, "-o", "mine", "--max-new-tokens", 6, "--json")
    assert code == 0 and "no questions of count, position" in err
    names = {"artwork.txt", "existence.txt"}
    assert set(files_of("mine")) == {*names, *(f"probability/{name}" for name in names), "answers.jsonl"}
    sides = {"text": "mine", "probability": "mine/probability"}
    details = iter(lines_of("mine/answers.jsonl"))
    for name, where in (("existence", "existence"), ("artwork", "artwork/images")):
        said = {
            side: Path(place, f"{name}.txt").read_text().split("\n")[:-1] for side, place in sides.items()
        }
        assert len(said["text"]) == 4
        for by_text, by_probability in zip(said["text"], said["probability"], strict=True):
            image, question, truth, response = by_text.split("\t")
            text = model.generate(folder / where / image, question, 6)
            assert response == text.translate({ord(c): " " for c in "\t\r\n\0"})
            chosen = model.choose(folder / where / image, question, ["Yes", "No"])
            assert by_probability == "\t".join([image, question, truth, ["Yes", "No"][chosen.best]])
            detail = next(details)
            assert detail["response"] == text and detail["subtask"] == name and detail["image"] == image
            assert detail["yes"] == pytest.approx(chosen.probabilities[0], abs=1e-5)
    score = json.loads(out)["score"]
    for side, place in sides.items():
        code, out, _ = run("score", "mme", place, "--json")
        subtasks = json.loads(out)["subtasks"]
        assert code == 0 and score[side]["subtasks"] == {name: one["score"] for name, one in subtasks.items()}
        assert score[side]["other"] == sum(one["other"] for one in subtasks.values()) / 8
    assert score["probability"]["other"] == 0
    assert 0 < sum(line["yes"] > 0.5 for line in lines_of("mine/answers.jsonl")) < 8


def test_mme_by_probability_alone_has_the_best_of_yes_and_no_as_its_response(run, vlm):
    mme_folder("mme")
    assert run("answer", vlm, "mme", "mme", "-o", "both", "--max-new-tokens", 2)[0] == 0
    code, out, _ = run("answer", vlm, "mme", "mme", "-o", "one", "--mode", "probability")
    assert code == 0 and "by probability" in out and "by text" not in out
    for name in ("existence.txt", "artwork.txt"):
        assert Path("one", name).read_bytes() == Path("both/probability", name).read_bytes()


def test_an_mme_response_holds_no_line_end_or_tab(tmp_path):
    facts = {"subtask": "OCR", "image": "a.png", "question": "Is it?", "truth": "Yes"}
    asked = [answers.Question(str(k), ("Is it?",), (), ("Yes", "No"), facts) for k in range(2)]
    said = [answers.Answer("\tYes\r\nNo\0\n"), answers.Answer("", failed="not there")]
    answer_layouts.write_mme(tmp_path, asked, said, False)
    assert (tmp_path / "OCR.txt").read_text() == "a.png\tIs it?\tYes\t Yes  No  \na.png\tIs it?\tYes\t\n"


def test_mme_has_the_subtasks_that_score_knows(tmp_path):
    facts = {"subtask": "OCR", "image": "a.png", "truth": "Yes"}
    asked = [answers.Question(k, (k,), (), (), facts | {"question": k}) for k in "ab"]
    answer_layouts.write_mme(tmp_path, asked, [answers.Answer("Yes")] * 2, False)
    missing = unisim.score_mme(tmp_path).missing
    assert [name for name in answer_layouts.MME_SUBTASKS if name != "OCR"] == list(missing)


def test_mmie_replies_are_those_of_the_judge_on_flattened_answers(run, vlm, model):
    folder, rubrics = mmie_folder("mmie")
    code, out, err = run(
        "answer", vlm, "mmie", folder, "--rubrics", rubrics, "-o", "m.jsonl", "--max-new-tokens", 9, "--json"
    )
    assert code == 0
    assert "not the published rubric for SA, PBL, MSR" in err and "more than 4 pictures" in err
    result = json.loads(out)
    assert result["dropped"] == ["SA-4"] and result["markers"] == ["PBL-2"]
    picture = unisim.PICTURE
    prompts = {
        "SA-1": (["Judge the story.### Question\nA tale.\nImage-0: ", picture, "\n\n### Answer\nIt ends.\nImage-1: ",
                  picture, "\nImage-2: ", picture, "\n\n### Feedback\n"], (0, 1, 2)),
        "PBL-2": (["Judge the project.### Question\nHow?\nImage-0: ", picture, "\n\n### Answer\n"
                   "Like this: <image>. <|im_end|>\n\n### Feedback\n"], (3,)),
        "MSR-3": (["Judge the steps.### Question\n1 + 1?\nImage-0: ", picture, "\n\n### Answer\ntwo\n\n"
                   "### Correct Answer\nThe correct answer to this question should be: 2\n### Feedback\n"], (4,)),
    }  # fmt: skip
    found = lines_of("m.jsonl")
    assert [line["id"] for line in found] == list(prompts)
    for line in found:
        prompt, numbers = prompts[line["id"]]
        pictures = [folder / "images" / f"{k}.png" for k in numbers]
        assert line["reply"] == model.generate(pictures, prompt, 9)
    assert found[0]["field"] == "art"
    code, out, _ = run("score", "mmie", "m.jsonl", "--json")
    assert code == 0 and json.loads(out)["all"] == {"mean": None, "percent": None, "kept": 0, "dropped": 3}


def test_flattening_ends_an_answer_at_the_third_picture(tmp_path):
    for k in range(5):
        (tmp_path / f"{k}.png").write_bytes(b"")
    rubrics = mmie.Rubrics(RUBRICS, ())

    def flat(question, answer):
        record = {"id": "SA", "question": question, "answer": answer, "gt_answer": [{"text": None}]}
        (tmp_path / "r.json").write_text(json.dumps([record]))
        samples = mmie_questions.read_samples(tmp_path / "r.json", tmp_path, rubrics)
        return samples, written(samples.questions[0].prompt) if samples.questions else None

    def written(prompt):
        return prompt and "".join("<image>" if part is None else part for part in prompt)

    def seen(text, image):
        return {"text": text, "image": image}

    three = [seen(None, f"{k}.png") for k in range(3)]
    samples, prompt = flat(three, [seen("kept", "3.png"), seen("lost", None)])
    assert "### Answer\nkept\n\n### Feedback" in prompt and len(samples.questions[0].pictures) == 3
    samples, prompt = flat(three[:2], [seen("a", "3.png"), seen("lost", "4.png")])
    assert "### Answer\na\nImage-2: <image>\n\n### Feedback" in prompt
    samples, prompt = flat([*three, seen(None, "3.png")], "kept")
    assert "Image-3: <image>\n\n### Answer\nkept\n\n" in prompt and not samples.dropped
    samples, prompt = flat([seen("q", "nowhere.png"), seen(None, "1.png")], "a")
    assert "q\nImage-0: <image>\n\n" in prompt and samples.missing == [("SA", tmp_path / "nowhere.png")]


def test_a_bad_picture_costs_its_own_question_and_counts_as_wrong(run, vlm):
    folder = mmvp_folder("mmvp")
    run("answer", vlm, "mmvp", folder, "-o", "good.jsonl", "--max-new-tokens", 5)
    (folder / "MMVP Images" / "2.jpg").write_bytes(b"no picture")
    code, out, err = run("answer", vlm, "mmvp", folder, "-o", "bad.jsonl", "--max-new-tokens", 5, "--json")
    assert code == 3 and "2.jpg" in err and "counts as wrong" in err
    assert [Path(one["name"]).name for one in json.loads(out)["failed"]] == ["2.jpg"]
    for good, bad in zip(lines_of("good.jsonl"), lines_of("bad.jsonl"), strict=True):
        if bad["question_id"] == 2:
            assert bad["response"] == "" and bad["failed"]
        else:
            assert {**bad, "answer_id": ""} == {**good, "answer_id": ""}
    code, out, _ = run("score", "mmvp", "bad.jsonl", "--questions", folder / "Questions.csv", "--json")
    assert code == 0 and json.loads(out)["questions"] == 6


def test_a_bad_picture_of_mme_and_mmie_is_named(run, vlm):
    folder = mme_folder("mme")
    (folder / "existence" / "000001.jpg").unlink()
    code, _, err = run("answer", vlm, "mme", folder, "-o", "mine", "--max-new-tokens", 2)
    assert (
        code == 3
        and err.count("000001.jpg") == 1
        and "each of 2 questions" in err
        and "counts as wrong" in err
    )
    code, out, _ = run("score", "mme", "mine/probability", "--json")
    assert code == 0 and json.loads(out)["subtasks"]["existence"]["other"] == 2
    folder, rubrics = mmie_folder("mmie")
    (folder / "images" / "0.png").unlink()
    (folder / "images" / "4.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    command = ["answer", vlm, "mmie", folder, "--rubrics", rubrics, "-o", "m.jsonl", "--max-new-tokens", 2]
    code, _, err = run(*command)
    assert code == 3 and "0.png: not there, left out of SA-1" in err and "leaves the mean" in err
    assert [line["id"] for line in lines_of("m.jsonl") if "failed" in line] == ["MSR-3", "SA-4"]


def test_where_nothing_can_be_answered_nothing_is_written(run, vlm):
    folder = mmvp_folder("mmvp", 1)
    for file in (folder / "MMVP Images").iterdir():
        file.write_bytes(b"no picture")
    code, _, err = run("answer", vlm, "mmvp", folder, "-o", "a.jsonl")
    assert code == 1 and "no question has an answer" in err and os.listdir() == ["mmvp"]
    code, _, err = run("answer", vlm, "mmvp", folder, "-o", "a.jsonl", "--template", "nonesuch")
    assert code == 1 and "qwen_1_5" in err and os.listdir() == ["mmvp"]


def test_a_folder_with_other_things_is_never_replaced(run, vlm):
    folder = mme_folder("mme")
    Path("mine").mkdir()
    Path("mine/thesis.txt").write_text("years")
    code, _, err = run("answer", vlm, "mme", folder, "-o", "mine")
    assert code == 1 and "holds other things" in err and Path("mine/thesis.txt").read_text() == "years"


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["mmie", "mmie"], "--rubrics is missing"),
        (["mmie", "mmie", "--rubrics", "rubrics.json", "--mode", "probability"], "there are no choices"),
        (["mmvp", "mmvp", "--rubrics", "rubrics.json"], "are of mmie"),
        (["pope", "mmvp"], "pope"),
    ],
)
def test_what_a_benchmark_does_not_take_is_a_mistake_of_usage(run, vlm, arguments, complaint):
    code, _, err = run("answer", vlm, *arguments, "-o", "a.jsonl")
    assert code == 2 and complaint in err


@pytest.mark.parametrize(
    "rows, complaint",
    [
        ("2,Is it?,(a) Yes (b) No,(a)\n", "Questions.csv:2: has Index '2', expected 1"),
        ("1,Is it?,Yes or no,(a)\n", 'expected "(a) ... (b) ..."'),
        ("1,Is it?,(a) Yes (b) No,(c)\n", "Correct Answer '(c)'"),
        ("1,Is it?,(a) Yes (b) No,(a)\n", "has 1 questions, expected an even number"),
    ],
)
def test_a_table_that_score_would_refuse_is_refused_before_anything_is_asked(run, vlm, rows, complaint):
    folder = mmvp_folder("mmvp", 1)
    (folder / "Questions.csv").write_text("Index,Question,Options,Correct Answer\n" + rows)
    code, _, err = run("answer", vlm, "mmvp", folder, "-o", "a.jsonl")
    assert code == 1 and complaint in err


def test_an_item_of_mmie_that_is_not_as_it_should_be_is_named(run, vlm):
    folder, rubrics = mmie_folder("mmie")
    good = json.loads((folder / "data.json").read_text())
    for change, complaint in (
        ({"id": "SA-1"}, "has the id 'SA-1' a second time"),
        ({"id": "X"}, "none of SA, PBL, MSR"),
        ({"question": [{"text": "a", "image": "../a.png"}]}, "expected one below the folder"),
        ({"id": "MSR", "gt_answer": [{"text": None}]}, "has text None, expected a text"),
    ):
        (folder / "data.json").write_text(json.dumps([good[0], good[1] | change]))
        code, _, err = run("answer", vlm, "mmie", folder, "--rubrics", rubrics, "-o", "m.jsonl")
        assert code == 1 and "data.json, item 2: " in err and complaint in err
