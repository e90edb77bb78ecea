"""unisim.score_mmie, its judge's prompts and `unisim score mmie`: the rules of MMIE."""

import hashlib
import json
import math
import os
import random
import re
from pathlib import Path

import pytest

import unisim
from unisim import mmie

pytest_plugins = ["command_line"]

# Percent: SA, PBL, MSR and the average, as published.
PUBLISHED = {
    "MiniGPT-5": (47.63, 55.12, 42.17, 50.92), "EMU-2": (39.65, 46.12, 50.75, 45.33),
    "GILL": (46.72, 57.57, 39.33, 51.58), "Anole": (48.95, 59.05, 51.72, 55.22),
    "GPT-4o + Openjourney": (53.05, 71.40, 53.67, 63.65), "GPT-4o + SD3": (53.00, 71.20, 53.67, 63.52),
    "GPT-4o + SDXL": (56.12, 73.25, 53.67, 65.47), "GPT-4o + Flux": (54.97, 68.80, 53.67, 62.63),
    "Gemini-1.5 + Openjourney": (48.08, 67.93, 60.05, 61.57), "Gemini-1.5 + SD3": (47.48, 68.70, 60.05, 61.87),
    "Gemini-1.5 + SDXL": (49.43, 71.85, 60.05, 64.15), "Gemini-1.5 + Flux": (47.07, 68.33, 60.05, 61.55),
    "LLaVA-34b + Openjourney": (54.12, 73.47, 47.28, 63.93), "LLaVA-34b + SD3": (54.72, 72.55, 47.28, 63.57),
    "LLaVA-34b + SDXL": (55.97, 74.60, 47.28, 65.05), "LLaVA-34b + Flux": (54.23, 71.32, 47.28, 62.73),
    "Qwen-VL-70b + Openjourney": (52.73, 71.63, 55.63, 64.05), "Qwen-VL-70b + SD3": (54.98, 71.87, 55.63, 64.75),
    "Qwen-VL-70b + SDXL": (52.58, 73.57, 55.63, 65.12), "Qwen-VL-70b + Flux": (54.23, 69.47, 55.63, 63.18),
}  # fmt: skip
SHARED = Path(os.environ.get("UNISIM_TEST_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
RUBRICS = SHARED / "prompts" / "mmie-rubrics.md"


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_averages_are_weighted_by_the_categories_sizes(model):
    *parts, average = PUBLISHED[model]
    assert unisim.mmie_weighted_average(*parts) == pytest.approx(
        average, abs=0.015
    )  # parts are printed to 0.01


def test_the_papers_comparisons_are_ratios_of_its_averages():
    average = {model: row[3] for model, row in PUBLISHED.items()}
    for other, gain in (("MiniGPT-5", 8.4), ("GILL", 7.0), ("EMU-2", 21.8)):
        assert 100 * (average["Anole"] / average[other] - 1) == pytest.approx(gain, abs=0.06)
    for category, gain in enumerate((14.6, 26.3, 16.1)):
        interleaved, integrated = (
            max(row[category] for model, row in PUBLISHED.items() if ("+" in model) == with_images)
            for with_images in (False, True)
        )
        assert 100 * (integrated / interleaved - 1) == pytest.approx(gain, abs=0.06)


@pytest.mark.parametrize(
    "reply, score",
    [
        ("### Feedback\nGood.\n### Score\n4", 4),
        ("### Score: 5/6", 5),
        ("### Score (0-6)\n4", 0),  # the first number
        ("### Score\n4.5", 4),  # half to even
        ("### Score\n5.5", 6),
        ("### Score\n0.5", 0),
        ("### Score\n6.5", 6),
        ("### Score\n6.51", None),
        ("### Score\n7", None),
        ("### Score\n-1", None),
        ("### Score\n-0.4", 0),
        ("### Score - 3", 3),
        ("### Score\n4.", 4),
        ("### Score\n4e9", 4),
        ("### Score\nnone\n### Score\n3", 3),
        ("4\n### Score\n", None),
        ("### score\n4", None),
        ("Score: 4", None),
        ("### Score " + "9" * 400, None),
        ("", None),
    ],
)
def test_a_score_is_read_as_the_authors_tool_reads_it(reply, score):
    assert unisim.parse_mmie_score(reply) == score


def direct(reply):
    """The rule in Python's own words."""
    found = re.search(r"### Score.*?(-?\d+(\.\d+)?)", reply, re.DOTALL)
    score = round(float(found[1])) if found else -1
    return score if 0 <= score <= 6 else None


def test_random_replies_are_read_as_the_definition_reads_them():
    generator = random.Random(5)
    for _ in range(20000):
        reply = (
            "### Score" * generator.randrange(2)
            + "".join(generator.choices("0123456.5-\n #S", k=6))
            + "### Score"
        )
        reply += "".join(generator.choices("01234567.5- \n", k=generator.randrange(7)))
        assert unisim.parse_mmie_score(reply) == direct(reply), reply


RECORDS = [
    {"id": "SA_1", "field": "literature", "score": 4},
    {"id": "SA_2", "field": "literature", "score": 5.5, "error": "picture misread"},
    {"id": "SA_3", "field": "art", "score": None},
    {"id": "PBL_1", "field": "art", "reply": "### Feedback\nx\n### Score\n3"},
    {"id": "PBL_2", "reply": "no score", "error": "picture misread"},
    {"id": "MSR_1", "score": 7},
    {"id": "MSR_SA_2", "score": 1},  # the first of SA, PBL, MSR that it contains: SA
    {"id": "MSR_3", "score": 6},
]


def check(found):
    groups = {g.name: (g.kept, g.dropped, g.mean) for g in found.categories}
    assert groups == {"SA": (3, 1, 3.5), "PBL": (1, 1, 3.0), "MSR": (1, 1, 6.0)}
    assert (found.all.kept, found.all.dropped, found.all.mean) == (5, 3, 3.9)
    assert [(g.name, g.kept, g.dropped, g.mean) for g in found.fields] == [
        ("literature", 2, 0, 4.75),
        ("art", 1, 1, 3.0),
    ]
    percent = {g.name: g.percent for g in found.categories}
    assert percent["SA"] == pytest.approx(100 * 3.5 / 6, rel=1e-15) and percent["MSR"] == 100.0
    assert found.weighted == pytest.approx((5005 * 3.5 + 11482 * 3 + 3616 * 6) / (20103 * 6) * 100, rel=1e-14)
    assert found.errors == {"SA": {"picture misread": 1}, "PBL": {"picture misread": 1}}


def test_scores_are_means_over_the_samples_kept(tmp_path):
    lines, array, table = (tmp_path / f"scores.{end}" for end in ("jsonl", "json", "csv"))
    lines.write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    array.write_text(json.dumps(RECORDS, indent=1))
    check(unisim.score_mmie(lines))
    check(unisim.score_mmie(str(array)))
    scores = [r.get("score") if "score" in r else unisim.parse_mmie_score(r["reply"]) for r in RECORDS]
    table.write_text(
        "id,field,error,score\n"
        + "".join(
            f"{r['id']},{r.get('field', '')},{r.get('error', '')},{'' if s is None else s}\n"
            for r, s in zip(RECORDS, scores, strict=True)
        )
    )
    check(unisim.score_mmie(table))


def test_a_mean_has_three_decimals_and_its_percentage_all(tmp_path):
    (tmp_path / "s.csv").write_text("id,score\nSA1,1\nSA2,2\nSA3,2\n")
    found = unisim.score_mmie(tmp_path / "s.csv")
    assert found.all.mean == 1.667 and found.all.percent == 100 * (5 / 3) / 6
    assert found.weighted is None and [g.name for g in found.categories] == ["SA"]


def test_criteria_have_means_of_their_own(tmp_path):
    (tmp_path / "s.csv").write_text(
        "id,criterion,score\nSA1,text,1\nSA1,image,0.5\nSA2,text,2\nPBL1,text,0\nPBL1,image,\nPBL1,,4\n"
    )
    found = unisim.score_mmie(tmp_path / "s.csv")
    assert [(g.category, g.name, g.kept, g.dropped, g.mean) for g in found.criteria] == [
        ("SA", "text", 2, 0, 1.5), ("SA", "image", 1, 0, 0.5), ("PBL", "text", 1, 0, 0.0), ("PBL", "image", 0, 1, None),
    ]  # fmt: skip
    assert (found.all.kept, found.all.mean) == (1, 4.0) and [g.name for g in found.categories] == ["PBL"]


@pytest.mark.parametrize(
    "name, text, message",
    [
        ("s.csv", "id,score\nSA1,1\nXY,2\n", r's\.csv:3: has the id "XY", expected one with SA, PBL or MSR'),
        ("s.csv", "id,score\nSA1,1\nSA1,2\n", r's\.csv:3: has the id "SA1" a second time'),
        (
            "s.csv",
            "id,criterion,score\nSA1,a,1\nSA1,a,2\n",
            r's\.csv:3: has the id "SA1", criterion "a", a second',
        ),
        ("s.csv", "id,score\nSA1,four\n", r's\.csv:2: score is "four"'),
        ("s.csv", "id,points\nSA1,4\n", r"s\.csv:1: has neither a column"),
        ("s.jsonl", '{"id": "SA1"}\n', r's\.jsonl:1: has neither "score" nor "reply"'),
        (
            "s.jsonl",
            '{"id": "SA1", "score": "4"}\n',
            r's\.jsonl:1: has the score "\\"4\\"", expected a number',
        ),
        ("s.jsonl", '{"id": 4, "score": 4}\n', r's\.jsonl:1: has "id" "4", expected a text'),
        (
            "s.json",
            '[{"id": "SA1", "score": 4}, {"id": "sa", "score": 4}]',
            r's\.json, item 2: has the id "sa"',
        ),
        ("s.jsonl", "", "holds no records"),
    ],
)
def test_a_file_that_is_not_as_it_should_be_is_refused_with_its_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        unisim.score_mmie(tmp_path / name)


def own_rubrics(folder):
    file = folder / "own.json"
    file.write_text(json.dumps({name: f"Judge {name} {{question}}." for name in ("SA", "PBL", "MSR")}))
    return file


def test_a_prompt_is_rubric_question_and_answer_as_they_are(tmp_path):
    rubrics = mmie.read_rubrics(own_rubrics(tmp_path))
    assert rubrics.differ == ("SA", "PBL", "MSR")
    head = "Judge PBL {question}.### Question\nWhy {answer}?\n### Answer\nSo {question}\n"
    assert rubrics.prompt("PBL_3", "Why {answer}?", "So {question}") == head + "### Feedback\n"
    asked = rubrics.prompt("MSR_3", "q", "a", "42")
    assert asked == (
        "Judge MSR {question}.### Question\nq\n### Answer\na\n"
        "### Correct Answer\nThe correct answer to this question should be: 42\n### Feedback\n"
    )
    with pytest.raises(ValueError, match="needs the correct answer"):
        rubrics.prompt("MSR_3", "q", "a")
    with pytest.raises(ValueError, match="none of SA, PBL, MSR"):
        rubrics.prompt("msr", "q", "a")


def test_rubrics_are_read_and_one_that_is_missing_is_named(tmp_path):
    for name, text in (
        ("r.json", '{"SA": "x", "MSR": ""}'),
        ("r.md", "## SA\n\n```text\nx\n```\n"),
        ("r.py", "x = 'SA'"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=r"has no rubric for .*PBL, MSR"):
            mmie.read_rubrics(tmp_path / name)
    (tmp_path / "r.py").write_text("x = (")
    with pytest.raises(ValueError, match=r"r\.py: "):
        mmie.read_rubrics(tmp_path / "r.py")
    blocks = "".join(
        f"## {name}: 1\n\n```text\nJudge {name}\n'### Score\n'.\n```\n" for name in ("SA", "PBL", "MSR")
    )
    (tmp_path / "r.md").write_text(blocks)
    assert mmie.read_rubrics(tmp_path / "r.md").texts["PBL"] == "Judge PBL\n'### Score\n'."


@pytest.mark.skipif(not RUBRICS.exists(), reason="the rubrics are not ours to ship")
def test_the_published_rubrics_are_known_by_their_hashes(tmp_path):
    found = mmie.read_rubrics(RUBRICS)
    assert found.differ == ()
    assert {name: hashlib.sha256(t.encode()).hexdigest() for name, t in found.texts.items()} == mmie.PUBLISHED
    as_code = "".join(
        f"def {n.lower()}(question):\n  return f{(t + '### Question').replace('{', '{{')!r}\n"
        for n, t in found.texts.items()
    )
    (tmp_path / "prompts.py").write_text(as_code)
    assert mmie.read_rubrics(tmp_path / "prompts.py").texts == found.texts
    changed = tmp_path / "changed.md"
    changed.write_text(RUBRICS.read_text().replace("’", "'", 1))
    assert len(mmie.read_rubrics(changed).differ) == 1


def test_agreement_is_that_of_the_samples_that_both_have(tmp_path):
    judge, people = tmp_path / "judge.csv", tmp_path / "people.csv"
    x, y = [1, 2, 4, 6, 3], [2, 2, 5, 4, 3]
    judge.write_text("id,score\n" + "".join(f"SA{k},{v}\n" for k, v in enumerate(x)) + "SA7,\nSA8,3\n")
    people.write_text("id,score\nSA7,3\n" + "".join(f"SA{k},{v}\n" for k, v in enumerate(y)))
    found = mmie.agreement(judge, people)
    assert (found["n"], found["dropped"]) == (5, 1)
    dot, xx, yy = (sum(a * b for a, b in zip(p, q, strict=True)) for p, q in ((x, y), (x, x), (y, y)))
    assert found["cosine"] == pytest.approx(dot / math.sqrt(xx * yy), rel=1e-12)
    assert found["mse"] == pytest.approx(6 / 5) and found["mae"] == pytest.approx(4 / 5)
    assert found["constant_cosine"] == pytest.approx(sum(y) / math.sqrt(5 * yy), rel=1e-12)
    low, high = found["pearson_interval"]
    assert low < found["pearson"] < high
    people.write_text("id,score\nSA99,3\n")
    with pytest.raises(ValueError, match="no sample has a score both in"):
        mmie.agreement(judge, people)


@pytest.mark.usefixtures("own_world")
def test_the_command_prints_categories_and_agreement(run):
    Path("s.jsonl").write_text("".join(json.dumps(record) + "\n" for record in RECORDS))
    code, out, _ = run("score", "mmie", "s.jsonl", "--json")
    found, same = json.loads(out), unisim.score_mmie("s.jsonl")
    assert code == 0 and list(found["categories"]) == ["SA", "PBL", "MSR"]
    assert found["categories"]["SA"] == {
        "mean": 3.5,
        "percent": same.categories[0].percent,
        "kept": 3,
        "dropped": 1,
    }
    assert found["weighted"] == same.weighted and found["fields"]["literature"]["mean"] == 4.75
    Path("p.csv").write_text("id,score\nSA_1,4\nSA_2,5\nPBL_1,2\nMSR_3,6\nSA_3,1\n")
    code, out, _ = run("score", "mmie", "s.jsonl", "--people", "p.csv", "--json")
    assert code == 0 and json.loads(out)["agreement"] == mmie.agreement("s.jsonl", "p.csv")
    code, out, _ = run("score", "mmie", "s.jsonl", "--people", "p.csv")
    assert code == 0 and "weighted average" in out and "constant_cosine" in out and "picture misread" in out
