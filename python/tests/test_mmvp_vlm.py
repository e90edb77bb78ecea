"""unisim.score_mmvp_vlm, unisim.mmvp_vlm and `unisim score mmvp-vlm`: the rule of MMVP-VLM."""

import json
from pathlib import Path

import pytest

import unisim
from test_encoder_texts import clip_folder
from unisim.mmvp_vlm import mmvp_vlm, pattern_correlation, read_statements

pytest_plugins = ["command_line"]

# Pair accuracy in percent (paper, table 1), nine patterns and the average; pairs right of 135.
PUBLISHED = {
    "OpenAI ViT-L-14 224": ([13.3, 13.3, 20.0, 20.0, 13.3, 53.3, 20.0, 6.7, 13.3], 19.3, 26),
    "OpenAI ViT-L-14 336": ([0.0, 20.0, 40.0, 20.0, 6.7, 20.0, 33.3, 6.7, 33.3], 20.0, 27),
    "SigLIP ViT-SO-14 224": ([26.7, 20.0, 53.3, 40.0, 20.0, 66.7, 40.0, 20.0, 53.3], 37.8, 51),
    "SigLIP ViT-SO-14 384": ([20.0, 26.7, 60.0, 33.3, 13.3, 66.7, 33.3, 26.7, 53.3], 37.0, 50),
    "DFN ViT-H-14 224": ([20.0, 26.7, 73.3, 26.7, 26.7, 66.7, 46.7, 13.3, 53.3], 39.3, 53),
    "DFN ViT-H-14 378": ([13.3, 20.0, 53.3, 33.3, 26.7, 66.7, 40.0, 20.0, 40.0], 34.8, 47),
    "MetaCLIP ViT-L-14 224": ([13.3, 6.7, 66.7, 6.7, 33.3, 46.7, 20.0, 6.7, 13.3], 23.7, 32),
    "MetaCLIP ViT-H-14 224": ([6.7, 13.3, 60.0, 13.3, 6.7, 53.3, 26.7, 13.3, 33.3], 25.2, 34),
    "EVA01 ViT-g-14 224": ([6.7, 26.7, 40.0, 6.7, 13.3, 66.7, 13.3, 13.3, 20.0], 23.0, 31),
    "EVA02 ViT-bigE-14+ 224": ([13.3, 20.0, 66.7, 26.7, 26.7, 66.7, 26.7, 20.0, 33.3], 33.3, 45),
}
# Per-pattern accuracy, read off figure 6.
FIGURE_6 = {
    "CLIP": [46.7, 33.3, 22.2, 22.2, 20.0, 15.6, 11.1, 8.9, 6.7],
    "InstructBLIP": [23.1, 40.0, 35.3, 0, 19.4, 18.2, 13.0, 0, 0],
    "LLaVA-1.5": [69.2, 26.7, 23.5, 16.7, 33.3, 18.2, 26.1, 0, 0],
    "Gemini": [69.2, 53.3, 33.3, 27.3, 44.4, 27.3, 39.1, 50.0, 16.7],
    "GPT-4V": [69.2, 33.3, 41.2, 16.7, 50.0, 27.3, 43.5, 75.0, 8.3],
}
FIGURE_6_PATTERNS = [
    "color",
    "state",
    "structure",
    "viewpoint",
    "presence",
    "count",
    "position",
    "text",
    "orientation",
]


@pytest.mark.parametrize("model", PUBLISHED)
def test_published_averages_are_the_pairs_right_of_135(model):
    percent, average, right = PUBLISHED[model]
    counts = [round(p * 15 / 100) for p in percent]
    rows = [
        (str(p), *((1.0, 0.0, 0.0, 1.0) if k < count else (0.0, 1.0, 1.0, 0.0)))
        for p, count in enumerate(counts)
        for k in range(15)
    ]
    found = unisim.score_mmvp_vlm(rows)
    assert (found.right, found.pairs) == (right, 135)
    assert round(found.average, 1) == average == round(100 * right / 135, 1)
    assert [round(p.accuracy, 1) for p in found.patterns] == percent


@pytest.mark.parametrize(
    "i1t1, i2t1, i1t2, i2t2, right",
    [
        (0.3, 0.2, 0.2, 0.3, True),
        (0.2, 0.2, 0.2, 0.3, False),  # a tie goes to the second image: wrong for the first statement,
        (0.3, 0.2, 0.3, 0.3, True),  # right for the second
        (0.3, 0.2, 0.4, 0.3, False),
        (0.2, 0.3, 0.2, 0.3, False),
        (-0.2, -0.3, -0.3, -0.2, True),
    ],
)
def test_a_pair_is_right_if_each_statement_takes_its_own_image(i1t1, i2t1, i1t2, i2t2, right):
    assert unisim.score_mmvp_vlm([("x", i1t1, i2t1, i1t2, i2t2)]).average == (100.0 if right else 0.0)


def test_winogrounds_other_scores_stand_beside():
    found = unisim.score_mmvp_vlm(
        [("x", 3, 2, 1, 4), ("x", 3, 2, 4, 5), ("x", 2, 3, 1, 4), ("x", 3, 2, 1, 1)]
    )
    # Image: 1, 2 and 4 (a tie). Text: 1 and 3. Group: 1.
    assert (found.average, found.text, found.group) == (75.0, 50.0, 25.0)


def test_a_table_of_similarities_is_read_in_any_order(tmp_path):
    file = tmp_path / "s.csv"
    file.write_text("pair,pattern,i1t1,i2t1,i1t2,i2t2\n2,Text,0.1,0.2,0,1\n1,Color,0.3,0.2,-1e-3,0.25\n")
    found = unisim.score_mmvp_vlm(file)
    assert [(p.pattern, p.right, p.pairs) for p in found.patterns] == [("Color", 1, 1), ("Text", 0, 1)]
    rows = "".join(f"{k + 1},{1 if k < 20 else 0},0,0,1\n" for k in range(135))
    file.write_text("pair,i1t1,i2t1,i1t2,i2t2\n" + rows)
    found = unisim.score_mmvp_vlm(str(file))
    assert [(p.pattern, p.right) for p in found.patterns][:3] == [
        ("Orientation", 15),
        ("Presence", 5),
        ("State", 0),
    ]
    assert len(found.patterns) == 9 and {p.pairs for p in found.patterns} == {15}


@pytest.mark.parametrize(
    "text, message",
    [
        ("pair,i1t1,i2t1,i1t2,i2t2\n1,1,0,0,1\n", r's\.csv: has 1 pairs and no column "pattern"'),
        (
            "pair,pattern,i1t1,i2t1,i1t2,i2t2\n1,a,1,0,0,1\n1,a,1,0,0,1\n",
            r"s\.csv:3: has pair 1 a second time",
        ),
        (
            "pair,pattern,i1t1,i2t1,i1t2,i2t2\n2,a,1,0,0,1\n",
            r's\.csv:2: pair is "2", expected a whole number from 1 to 1',
        ),
        (
            "pair,pattern,i1t1,i2t1,i1t2,i2t2\n1,a,1,nan,0,1\n",
            r's\.csv:2: i2t1 is "nan", expected a finite number',
        ),
        ("pair,pattern,i1t1,i2t1,i1t2\n1,a,1,0,0\n", r's\.csv:1: has no column "i2t2"'),
    ],
)
def test_a_table_that_is_not_as_it_should_be_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        unisim.score_mmvp_vlm(tmp_path / "s.csv")


def test_no_pairs_and_numbers_that_are_none_are_refused():
    with pytest.raises(ValueError, match="no pairs"):
        unisim.score_mmvp_vlm([])
    with pytest.raises(ValueError, match="pair 1 has the similarity inf"):
        unisim.score_mmvp_vlm([("a", float("inf"), 0, 0, 1)])


@pytest.fixture
def benchmark(tmp_path, picture):
    """MMVP-VLM's layout with two patterns of two pairs."""
    rows = []
    for number in range(1, 9):
        kind = "Color" if number < 5 else "Camera Perspective"
        picture(tmp_path / "bench" / "MLLM_VLM Images" / kind.replace(" ", "_") / f"{number}.jpg", number)
        rows.append(f'{number},{kind},"a thing, of kind {number}"\n')
    (tmp_path / "bench" / "Questions.csv").write_text("Question ID,Type,Statement\n" + "".join(rows))
    return tmp_path / "bench"


def test_a_metric_is_asked_for_every_pair_of_the_real_layout(data, tmp_path, benchmark):
    clip_folder(data, tmp_path / "clip")
    metric = unisim.metric(f"encoder:{tmp_path / 'clip'}")
    seen = []
    found = mmvp_vlm(metric, benchmark, progress=lambda done, total: seen.append((done, total)))
    statements = read_statements(benchmark)
    right = {}
    for first, second in zip(statements[::2], statements[1::2], strict=True):
        s = [
            [metric(i.image, unisim.Text(f"a photo of {t.text}")) for i in (first, second)]
            for t in (first, second)
        ]
        right.setdefault(first.pattern, []).append(s[0][0] > s[0][1] and s[1][1] >= s[1][0])
    assert [(p.pattern, p.right, p.pairs) for p in found.patterns] == [
        (k, sum(v), len(v)) for k, v in right.items()
    ]
    assert found.pairs == 4 and seen[-1] == (16, 16)
    (benchmark / "MLLM_VLM Images").rename(benchmark / "MMVP_VLM_Images")
    assert mmvp_vlm(metric, benchmark).right == found.right
    with pytest.raises(ValueError, match="ssim"):
        mmvp_vlm(unisim.metric("ssim"), benchmark)


def test_the_metric_decides_and_a_distance_is_turned_about(benchmark):
    def knows(images, texts):
        return [float(Path(i).stem == t.text.split()[-1]) for i, t in zip(images, texts, strict=True)]

    assert mmvp_vlm(knows, benchmark).average == 100.0
    knows.higher_is_better = False
    assert mmvp_vlm(knows, benchmark).average == 0.0
    assert mmvp_vlm(lambda images, texts: [0.0] * len(images), benchmark).average == 0.0


@pytest.mark.parametrize(
    "change, error, message",
    [
        (
            lambda t: t.replace("\n8,", "\n9,"),
            ValueError,
            r"Questions\.csv:9: has the Question ID '9', expected 8",
        ),
        (
            lambda t: t.replace("4,Color", "4,Text"),
            ValueError,
            r":5: has the Type 'Text', the other of its pair 'Color'",
        ),
        (
            lambda t: t.replace("8,Camera Perspective", "8,Camera Perspective,x"),
            ValueError,
            r":9: has 4 columns",
        ),
        (lambda t: t.replace("Color", "../x"), ValueError, r":2: has the Type '\.\./x'"),
        (lambda t: t[: t.index("\n8,") + 1], ValueError, "has 7 statements, expected an even number"),
        (lambda t: t.replace("Color", "Text"), FileNotFoundError, "no such picture"),
    ],
)
def test_a_layout_that_is_not_the_benchmarks_is_refused(benchmark, change, error, message):
    table = benchmark / "Questions.csv"
    table.write_text(change(table.read_text()))
    with pytest.raises(error, match=message):
        read_statements(benchmark)


def test_correlations_over_patterns_are_those_of_the_published_chart():
    """Published: LLaVA-1.5 0.87, Gemini 0.72, GPT-4 0.31; InstructBLIP's 0.71 does not follow from the chart."""
    curves = {m: dict(zip(FIGURE_6_PATTERNS, values, strict=True)) for m, values in FIGURE_6.items()}
    for model, r in (("LLaVA-1.5", 0.870), ("InstructBLIP", 0.605), ("Gemini", 0.721), ("GPT-4V", 0.308)):
        found = pattern_correlation(curves["CLIP"], curves[model])
        assert found.r == pytest.approx(r, abs=5e-4)
        assert found.interval[0] < found.r < found.interval[1] and len(found.patterns) == 9
    assert found.interval[0] < 0 < found.interval[1]
    with pytest.raises(ValueError, match="only one side has color"):
        pattern_correlation(curves["CLIP"], {k: v for k, v in curves["Gemini"].items() if k != "color"})


@pytest.mark.usefixtures("own_world")
def test_the_command_scores_a_table_of_similarities(run):
    Path("s.csv").write_text(
        "pair,pattern,i1t1,i2t1,i1t2,i2t2\n1,Text,2,1,1,2\n2,Text,1,2,1,2\n3,Color,2,1,1,2\n"
    )
    code, out, _ = run("score", "mmvp-vlm", "s.csv", "--json")
    found = json.loads(out)
    assert code == 0 and (found["right"], found["pairs"]) == (2, 3) and found["average"] == 200 / 3
    assert found["patterns"][0] == {"pattern": "Text", "pairs": 2, "right": 1, "accuracy": 50.0}
    code, out, _ = run("score", "mmvp-vlm", "s.csv")
    assert code == 0 and "66.7" in out and "Color" in out
