"""The template that a metric asks by; a folder whose own is not known; what the terminal tells of a model that was asked."""

import json
import shutil

import pytest

import tiny_vlms
import unisim
from asked_reference import talkative
from tiny_tasks import pair, pictures, written

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A model, and the same with a template that nobody knows."""
    place = tmp_path_factory.mktemp("template")
    known = talkative(tiny_vlms.make("interleave", place / "known")).folder
    shutil.copytree(known, place / "odd")
    for name in ("chat_template.jinja", "chat_template.json"):
        if (place / "odd" / name).exists():
            (place / "odd" / name).unlink()
    (place / "odd" / "chat_template.jinja").write_text("{{ messages[0].content }} in our own way")
    return known, place / "odd"


@pytest.fixture
def task(tmp_path):
    data = pictures(tmp_path / "data", [f"{k}.png" for k in range(6)])
    items = [pair(f"{k}.png", f"{k + 1}.png", f"{k + 2}.png", k % 2) for k in range(4)]
    return written(tmp_path / "task", data, "img-2afc", items), data


def scores(task, metric):
    return [item.scores for item in unisim.evaluate(unisim.Task.load(*task), metric).items]


def test_a_metric_asks_by_the_template_that_is_named(folders, task):
    known, odd = folders
    by_own = scores(task, unisim.metric(f"vlm:{known}"))
    named = unisim.metric(f"vlm:{known},template=interleave_hf")
    other = unisim.metric(f"vlm:{known},template=qwen_1_5")
    assert named.name.endswith(",template=interleave_hf")
    assert scores(task, named) == by_own != scores(task, other)
    assert len({m.model.sha256 for m in (unisim.metric(f"vlm:{known}"), named, other)}) == 3
    assert scores(task, unisim.by_asking(unisim.Vlm.load(odd), template="interleave_hf")) == by_own


def test_a_folder_whose_template_is_not_known_is_refused_at_once(folders, task, run):
    known, odd = folders
    with pytest.raises(ValueError, match="none that is known; name one of"):
        unisim.metric(f"vlm:{odd}")
    with pytest.raises(ValueError, match='"nonsense" is none of'):
        unisim.metric(f"vlm:{known},template=nonsense")
    with pytest.raises(ValueError, match="raw"):
        unisim.metric(f"vlm:{known},template=raw")
    code, out, err = run("evaluate", task[0], "--data", task[1], "--metric", f"vlm:{odd}", "--no-store")
    assert code not in (0, 3) and out == "" and "name one of" in err
    assert run("evaluate", task[0], "--data", task[1], "--metric", f"vlm:{odd},template=qwen_1_5", "--no-store")[0] == 0
    code, out, _ = run("doctor", odd)
    assert code == 1 and "a question must name one" in " ".join(out.split())
    assert run("doctor", known)[0] == 0


def test_the_terminal_tells_coverage_bias_and_what_is_unparsable(folders, task, run, tmp_path):
    known, _ = folders
    asked = ["evaluate", task[0], "--data", task[1], "--no-store"]
    code, out, err = run(*asked, "--metric", f"vlm:{known}", "--metric", f"vlm:{known},mode=text,swap=no")
    assert code == 0 and "coverage" in out and "bias" in out and "unparsable" in out
    code, out, _ = run(*asked, "--metric", f"vlm:{known}", "--json")
    warns = json.loads(out)["coverage"] < 0.01
    assert ("wanted to say something else" in err) == warns
    silent = tiny_vlms.make("interleave", tmp_path / "silent").folder  # of random weights: letters are hardly likely
    code, out, err = run(*asked, "--metric", f"vlm:{silent}")
    assert code == 0 and "wanted to say something else" in err
    code, out, _ = run(*asked, "--metric", "psnr")
    assert code == 0 and "coverage" not in out
