"""unisim compare."""

import json
from pathlib import Path

import pytest

import unisim

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


def test_compare_scores_each_image_against_the_first(run, picture):
    a, b, c = (picture(f"{n}.png", s) for n, s in (("a", 1), ("b", 2), ("c", 1)))
    code, out, err = run("compare", "ssim", a, b, c, "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["metric"] == "ssim" and found["higher_is_better"] is True and found["reference"] == a
    assert [s["file"] for s in found["scores"]] == [b, c]
    assert found["scores"][1]["score"] == pytest.approx(1, abs=1e-12)
    assert found["scores"][0]["score"] == unisim.metric("ssim")(a, b)  # the very same double
    code, out, _ = run("compare", "ssim", a, b, c)
    assert out.index("c.png") < out.index("b.png") and "higher is more alike" in out


def test_a_score_without_bound_is_null_in_json(run, picture):
    a = picture("a.png", 1)
    code, out, _ = run("compare", "psnr", a, a, "--json")
    assert code == 0 and json.loads(out)["scores"] == [{"file": a, "score": None}]
    assert "inf" in run("compare", "psnr", a, a)[1]


def test_compare_by_an_encoder_takes_its_options(run, models, picture):
    a, b = picture("a.png", 1), picture("b.png", 2)
    scores = []
    for options in ("", ",layer=1,pool=mean", ",pool=mean,layer=1"):
        code, out, err = run("compare", f"encoder:{models[0]}{options}", a, b, "--json")
        assert code == 0, err
        scores.append(json.loads(out)["scores"][0]["score"])
    assert scores[1] == scores[2] != scores[0]


def test_a_candidate_that_cannot_be_read_is_named_and_the_others_scored(run, picture):
    a, b = picture("a.png", 1), picture("b.png", 2)
    Path("bad.png").write_bytes(b"no picture")
    code, out, err = run("compare", "ssim", a, "missing.png", b, "bad.png", "--json")
    found = json.loads(out)
    assert code == 3 and [s["file"] for s in found["scores"]] == [b]
    assert [f["file"] for f in found["failed"]] == ["missing.png", "bad.png"]
    assert "missing.png" in err and "bad.png" in err


@pytest.mark.parametrize(
    "line, words",
    [
        ("compare no-such-metric a.png b.png", "no-such-metric"),
        ("compare ssim missing.png b.png", "missing.png: No such file"),
        ("compare ssim a.png missing.png", "missing.png"),
        ("compare ssim a.png small.png", "32"),
        ("compare ssim a.png b.png --text red", "ssim"),
        ("compare encoder:missing a.png b.png", "missing"),
        ("compare lpips-alex a.png b.png", "lpips-alex"),
        ("compare ssim tiny.png tiny.png", "11"),
        ("compare ssim . b.png", "."),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_exit_code_1(run, line, words, picture):
    (
        picture("a.png", 1),
        picture("b.png", 2),
        picture("small.png", 3, (20, 16)),
        picture("tiny.png", 1, (1, 1)),
    )
    code, out, err = run(*line.split())
    assert (code, out) == (1, "") and words in err
    assert err.splitlines()[-1].startswith("unisim: error: ") and "Traceback" not in err
