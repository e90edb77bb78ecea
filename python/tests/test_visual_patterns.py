"""Two models by visual pattern: their files, the correlation, `unisim score mmvp-vlm --against`, the page."""

import json
import re
from pathlib import Path

import pytest

import unisim
from test_mmvp_vlm import FIGURE_6, FIGURE_6_PATTERNS, PUBLISHED
from unisim import benchmark_report, question_sheet
from unisim.visual_patterns import NAMES, compare_patterns, of_mmvp_vlm, read_patterns

pytest_plugins = ["command_line"]

FOLDERS = [
    "Orientation", "Presence", "State", "Quantity", "Spatial", "Color", "Structural Character", "Text",
    "Camera Perspective",
]  # fmt: skip


def write_similarities(file, model):
    """The benchmark's 135 pairs, as many right by pattern as a published model has."""
    rows, number = [], 0
    for percent in PUBLISHED[model][0]:
        for k in range(15):
            number += 1
            rows.append(f"{number},{'1,0,0,1' if k < round(percent * 15 / 100) else '0,1,1,0'}\n")
    Path(file).write_text("pair,i1t1,i2t1,i1t2,i2t2\n" + "".join(rows))
    return Path(file)


def write_few(file, right):
    """Two pairs a pattern."""
    rows = [
        (pattern, "1,0,0,1" if k < count else "0,1,1,0") for pattern, count in right.items() for k in range(2)
    ]
    lines = (f"{number},{pattern},{numbers}\n" for number, (pattern, numbers) in enumerate(rows, 1))
    Path(file).write_text("pair,pattern,i1t1,i2t1,i1t2,i2t2\n" + "".join(lines))
    return Path(file)


def write_percent(file, percent):
    Path(file).write_text(
        "pattern,accuracy\n" + "".join(f"{name},{value}\n" for name, value in percent.items())
    )
    return Path(file)


def figure_6(model):
    return dict(zip(FIGURE_6_PATTERNS, FIGURE_6[model], strict=True))


@pytest.fixture
def clip(own_world):
    return write_similarities("clip.csv", "OpenAI ViT-L-14 224")


def test_the_folders_of_mmvp_vlm_are_the_tags_of_mmvp():
    assert [names[0] for names in NAMES.values()] == FOLDERS
    assert question_sheet.PATTERNS == tuple(NAMES) and set(NAMES) == set(FIGURE_6_PATTERNS)


@pytest.mark.parametrize(
    "other, r, low, high",  # by scipy.stats.pearsonr and its confidence_interval
    [
        ("SigLIP ViT-SO-14 224", 0.7514167466373951, 0.17425278437147246, 0.9443015833326323),
        ("LLaVA-1.5", 0.880745147985677, 0.5218860681817596, 0.9747273892813314),
        ("GPT-4V", 0.32767387353890776, -0.4300286654123111, 0.814539333533761),
    ],
)
def test_the_correlation_of_published_models_is_scipys(clip, run, other, r, low, high):
    if other in FIGURE_6:
        write_percent("other.csv", figure_6(other))
    else:
        write_similarities("other.csv", other)
    code, out, _ = run("score", "mmvp-vlm", clip, "--against", "other.csv", "--json")
    found = json.loads(out)
    assert code == 0 and list(found["correlation"]) == ["r", "interval", "patterns"]
    assert found["correlation"]["patterns"] == FOLDERS
    assert found["correlation"]["r"] == pytest.approx(r, abs=1e-12)
    assert found["correlation"]["interval"] == pytest.approx([low, high], abs=1e-12)
    assert found["against"]["file"] == "other.csv" and found["report"] is None
    assert [p["pattern"] for p in found["against"]["patterns"]] == FOLDERS
    code, out, _ = run("score", "mmvp-vlm", clip, "--against", "other.csv")
    assert code == 0 and f"r {r:.3f}, 95 % interval {low:.3f} to {high:.3f}, 9 patterns" in out


def test_without_another_model_nothing_is_compared(clip, run):
    found = json.loads(run("score", "mmvp-vlm", clip, "--json")[1])
    assert "correlation" not in found and "against" not in found and found["report"] is None


def test_patterns_are_matched_by_each_of_their_names(clip, run):
    named = {"Text": 0, "camera_perspective": 16.7, "Quantity and Count": 18.2, "POSITION": 26.1, "color": 69.2,
             "Structural and Physical  Characteristics": 23.5, "state": 26.7, "presence": 33.3, "orientation": 0}  # fmt: skip
    write_percent("other.csv", named)
    found = json.loads(run("score", "mmvp-vlm", clip, "--against", "other.csv", "--json")[1])
    assert {p["pattern"]: p["accuracy"] for p in found["against"]["patterns"]} == {
        "Orientation": 0, "Presence": 33.3, "State": 26.7, "Quantity": 18.2, "Spatial": 26.1, "Color": 69.2,
        "Structural Character": 23.5, "Text": 0, "Camera Perspective": 16.7,
    }  # fmt: skip
    assert found["correlation"]["r"] == pytest.approx(0.880745147985677, abs=1e-12)


def test_own_patterns_need_no_known_name(own_world, run):
    mine = write_few("mine.csv", {"fur": 2, "glass": 1, "smoke": 0, "water": 1})
    write_percent("other.csv", {"Water": 50, "smoke": 25, "glass": 25, "fur": 75})
    found = json.loads(run("score", "mmvp-vlm", mine, "--against", "other.csv", "--json")[1])
    assert found["correlation"]["r"] == pytest.approx(0.8528028654224418, abs=1e-12)
    assert found["correlation"]["interval"] == pytest.approx(
        [-0.6003043975548158, 0.9968521576955949], abs=1e-12
    )
    assert [p["accuracy"] for p in found["against"]["patterns"]] == [75, 25, 25, 50]
    assert found["against"]["average"] == 43.75


def test_what_score_prints_as_json_can_be_compared(clip, run):
    Path("vlm.json").write_text(run("score", "mmvp-vlm", clip, "--json")[1])
    found = read_patterns("vlm.json")
    assert found.percent == read_patterns(clip).percent and found.counts["Color"] == (8, 15)
    assert (found.of, found.chance, found.mean) == ("pairs", 25.0, 100 * 26 / 135)

    tags = [tag for tag in NAMES for _ in range(2)]
    rows = [f"{k + 1},Open?,(a) Yes (b) No,({'ab'[k % 2]}),{tag}\n" for k, tag in enumerate(tags)]
    Path("Questions.csv").write_text("Index,Question,Options,Correct Answer,Pattern\n" + "".join(rows))
    replies = ["a" if k < 9 or k % 2 else "b" for k in range(18)]
    Path("answers.jsonl").write_text(
        "".join(
            json.dumps({"question_id": k + 1, "response": reply}) + "\n" for k, reply in enumerate(replies)
        )
    )
    code, out, _ = run("score", "mmvp", "answers.jsonl", "--questions", "Questions.csv", "--json")
    Path("mmvp.json").write_text(out)
    found = read_patterns("mmvp.json")
    assert code == 0 and (found.of, found.chance) == ("questions", 50.0)
    assert found.percent == {tag: 50.0 if k < 5 else 0.0 for k, tag in enumerate(NAMES)} | {"structure": 0.0}
    assert run("score", "mmvp-vlm", clip, "--against", "mmvp.json", "--json")[0] == 0


@pytest.mark.parametrize(
    "text, message",
    [
        ("pattern,accuracy\ncolor,1\nstate,2\ntext,3\nglass,4\n",
         r"only clip\.csv has 'Orientation', .*; only other\.csv has 'glass': the same patterns are expected"),
        ("pattern,accuracy\ncolor,x\n", r"other\.csv:2: accuracy is 'x', expected percent, 0 to 100"),
        ("pattern,accuracy\ncolor,nan\n", r"other\.csv:2: accuracy is 'nan'"),
        ("pattern,accuracy\ncolor,100.5\n", r"other\.csv:2: accuracy is '100\.5'"),
        ("pattern,accuracy\ncolor,-1\n", r"other\.csv:2: accuracy is '-1'"),
        ("pattern,accuracy\ncolor,1\ncolor,2\n", r"other\.csv:3: has the pattern 'color'"),
        ("pattern,accuracy\ncolor,1\nColor and Appearance,2\n", "'color' and 'Color and Appearance' are the same"),
        ("pattern,accuracy\ncolor\n", r"other\.csv:2: another number of columns"),
        ("pattern,accuracy\ncolor,0.5\nstate,1\n", r"other\.csv: no accuracy is above 1: shares, it seems"),
        ("pattern,accuracy\n", r"other\.csv: has no pattern"),
        ("name,accuracy\ncolor,1\n", r"other\.csv: has no column 'pattern'"),
        ("name,score\ncolor,1\n", r"other\.csv: expected the columns pair,.* or pattern,accuracy"),
        ("pair,pattern,i1t1,i2t1,i1t2\n1,a,1,0,0\n", r'other\.csv:1: has no column "i2t2"'),
        ("", r"other\.csv: expected the columns"),
        ('{"patterns": []}', r"other\.csv: has no patterns; `unisim score mmvp` wants --patterns"),
        ('{"pattern": []}', r"other\.csv: not what `unisim score mmvp --json` prints: 'patterns'"),
        ('{"patterns": [{"pattern": "a", "right": 3, "pairs": 2}]}', r"'a' has 3 right of 2 pairs"),
        ('{"patterns": [{"pattern": "a", "right": 1.5, "pairs": 2}]}', "expected a text and whole numbers"),
        ('{"patterns": [{"pattern": "a", "right": 1, "pairs": 2}, {"pattern": "a", "right": 1, "pairs": 2}]}',
         "has a pattern a second time"),
        ('{"patterns": [', r"other\.csv: not what `unisim score mmvp --json` prints"),
        ("pattern,accuracy\n" + "".join(f"{tag},40\n" for tag in NAMES),
         r"other\.csv: 40 % in every pattern, which correlates with nothing"),
    ],
)  # fmt: skip
def test_another_model_that_cannot_be_compared_is_refused_by_name(clip, run, text, message):
    Path("other.csv").write_text(text)
    code, out, err = run(
        "score", "mmvp-vlm", clip, "--against", "other.csv", "--report", "page.html", "--json"
    )
    assert code == 1 and out == "" and re.search(message, err), err
    assert sorted(path.name for path in Path().iterdir()) == ["clip.csv", "other.csv"]


def test_fewer_than_four_patterns_have_no_correlation(own_world, run):
    write_few("mine.csv", {"a": 2, "b": 1, "c": 0})
    write_percent("other.csv", {"a": 10, "b": 20, "c": 30})
    code, _, err = run("score", "mmvp-vlm", "mine.csv", "--against", "other.csv")
    assert code == 1 and "3 patterns, expected at least 4" in err
    assert (
        run("score", "mmvp-vlm", "mine.csv", "--report", "page.html")[0] == 0
    )  # alone it is a page all the same


# ---- the page ---------------------------------------------------------------------------------------------


def shown(page):
    """(what a reader sees outside of the charts, the charts' data): the page without the library that draws them."""
    scripts = re.findall(r"<script[^>]*>.*?</script>", page, re.DOTALL)
    assert sum("plotly.js v" in script for script in scripts) == 1  # once, however many charts
    charts = "".join(script for script in scripts if "plotly.js v" not in script)
    text = re.sub(r"<script[^>]*>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(?i)https?:|@import|src\s*=|href\s*=|url\(", text + charts)
    assert charts.count("Plotly.newPlot(") == charts.count('"showSendToCloud": false') > 0
    return text, charts


def bars(charts):
    """How many models have bars, one a pattern."""
    return len(re.findall(r'"y":\["Orientation",[^\]]*"Camera Perspective"\],"type":"bar"', charts))


def test_the_page_holds_the_numbers_and_nothing_from_elsewhere(clip, run):
    write_percent("llava.csv", figure_6("LLaVA-1.5"))
    asked = ["score", "mmvp-vlm", clip, "--against", "llava.csv", "--report", "page.html"]
    code, out, _ = run(*asked)
    page = Path("page.html").read_text("utf-8")
    text, charts = shown(page)
    assert code == 0 and out.splitlines()[-1] == "page.html"
    assert "<h1>Visual patterns: clip and llava</h1>" in text
    assert "Pearson's r is 0.881, 95 % interval 0.52 to 0.97, n = 9 patterns" in text.replace("&#39;", "'")
    assert '<td>Color</td><td class="number">53.3 %</td><td class="number">30.1 to 75.2 %</td>' in text
    assert '8 of 15</td><td class="number">69.2 %</td>' in text and "19.3 %" in text
    assert bars(charts) == 2 and "chance 25 %, clip" in charts
    assert (
        '"text":["Orientation","Presence","State","Quantity","Spatial","Color"' in charts
    )  # a label a point
    assert run(*asked)[0] == 0 and Path("page.html").read_text("utf-8") == page


def test_alone_the_page_has_bars_and_chance(clip, run):
    code, out, _ = run("score", "mmvp-vlm", clip, "--report", "page.html", "--json")
    text, charts = shown(Path("page.html").read_text("utf-8"))
    assert code == 0 and json.loads(out)["report"] == "page.html"
    assert bars(charts) == 1 and '"name":"chance 25 %"' in charts and '"x0":25.0' in charts
    assert "<h1>MMVP-VLM: clip</h1>" in text and "Pearson" not in text


def test_patterns_on_one_point_share_its_label(clip):
    mine = of_mmvp_vlm("clip.csv", unisim.score_mmvp_vlm(clip))
    other = read_patterns(write_similarities("siglip.csv", "SigLIP ViT-SO-14 224"))
    _, charts = shown(benchmark_report.patterns_page(mine, compare_patterns(mine, other)))
    assert '"Presence, Spatial"' in charts and '"Quantity, Structural Character"' in charts
    assert bars(charts) == 2 and '"name":"chance 25 %"' in charts


def test_models_of_one_name_go_by_their_paths_and_names_are_escaped(own_world, run):
    hostile = "<img src=x onerror=alert(2)>"
    for folder in ("a", "b"):
        Path(folder).mkdir()
    right = {"fur": 2, "glass": 1, "smoke": 0, hostile: 1}
    write_few("a/same.csv", right)
    write_few("b/same.csv", right | {"fur": 1})
    assert run("score", "mmvp-vlm", "a/same.csv", "--against", "b/same.csv", "--report", "page.html")[0] == 0
    page = Path("page.html").read_text("utf-8")
    assert "Visual patterns: a/same.csv and b/same.csv" in page and hostile not in page


def test_a_page_is_written_whole_or_not_at_all(clip, run):
    Path("page.html").write_text("old")
    code, _, err = run("score", "mmvp-vlm", clip, "--against", "missing.csv", "--report", "page.html")
    assert code == 1 and "missing.csv" in err and Path("page.html").read_text() == "old"
    for out in ("nowhere/page.html", "."):
        code, stdout, err = run("score", "mmvp-vlm", clip, "--report", out)
        assert code == 1 and stdout == "" and out in err
    assert sorted(path.name for path in Path().iterdir()) == ["clip.csv", "page.html"]


def test_labels_beside_each_other_do_not_cover_each_other():
    sides = benchmark_report._label_sides(
        [(20, 27), (20, 23.5), (20, 70), (60, 23.5)], ["State", "Structure", "Text", "Color"]
    )
    assert sides[0] == "top center" and sides[1] != "top center" and sides[2:] == ["top center", "top center"]
