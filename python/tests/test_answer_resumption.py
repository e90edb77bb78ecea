"""`unisim answer`, cut off and given again: the same bytes, and never the answers of another run."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tiny_vlms
from benchmark_folders import files_of, folder_of_model, mme_folder, mmie_folder, mmvp_folder

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture(scope="module")
def vlm(tmp_path_factory):
    return folder_of_model(tmp_path_factory.mktemp("vlm"))


def commands(vlm):
    """A command for each benchmark, and its output."""
    folder, rubrics = mmie_folder("mmie")
    return {
        "mmvp": (["answer", vlm, "mmvp", mmvp_folder("mmvp"), "--max-new-tokens", 24], "out.jsonl"),
        "mme": (["answer", vlm, "mme", mme_folder("mme"), "--max-new-tokens", 24], "out"),
        "mmie": (["answer", vlm, "mmie", folder, "--rubrics", rubrics, "--max-new-tokens", 24], "out.jsonl"),
    }


@pytest.mark.parametrize("benchmark", ["mmvp", "mme", "mmie"])
def test_a_run_that_was_killed_goes_on_and_ends_in_the_same_bytes(run, vlm, benchmark):
    command, name = commands(vlm)[benchmark]
    Path("whole").mkdir()
    Path("killed").mkdir()
    code, out, _ = run(*command, "-o", f"whole/{name}", "--json")
    assert code == 0
    part = Path("killed", f"{name}.part")
    rng = random.Random(benchmark)
    killed = 0
    for stop in (1, 2):  # behind so many lines of answers, then at any moment of the next question
        child = subprocess.Popen(
            [sys.executable, "-m", "unisim", *map(str, command), "-o", f"killed/{name}"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        until = time.monotonic() + 120
        while child.poll() is None and time.monotonic() < until:
            if part.exists() and part.read_bytes().count(b"\n") > stop:
                time.sleep(rng.uniform(0, 0.05))
                break
        child.send_signal(signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        if not part.exists():
            break
        kept = part.read_bytes().count(b"\n") - 1
        with open(part, "ab") as stream:
            stream.write(b'{"id": "1", "key')  # as a write that was cut off leaves it
    assert killed, "every run ended before it could be killed"
    code, out, _ = run(*command, "-o", f"killed/{name}", "--json")
    result = json.loads(out)
    assert code == 0 and kept > 0 and result["asked"] == result["questions"] - kept
    assert files_of(f"killed/{name}") == files_of(f"whole/{name}")
    assert os.listdir("killed") == [name]


def test_answers_of_another_run_are_refused_and_stay(run, vlm, tmp_path):
    folder = mmvp_folder("mmvp")
    (folder / "MMVP Images" / "6.jpg").rename("6.jpg")  # so that the answers stay
    command = ["answer", vlm, "mmvp", folder, "-o", "a.jsonl", "--max-new-tokens", 3]
    assert run(*command)[0] == 3
    kept = Path("a.jsonl.part").read_bytes()
    code, _, err = run(*command[:-1], 4)
    assert code == 1 and "another max_new_tokens (3 there, 4 here)" in err and "delete it" in err
    other = tiny_vlms.make("interleave", tmp_path / "interleave", seed=5).folder
    code, _, err = run("answer", other, *command[2:])
    assert code == 1 and "another model;" in err
    shutil.copytree(vlm, "copy")
    template = Path("copy/chat_template.jinja")
    template.write_text(template.read_text() + "{# another #}")
    code, _, err = run("answer", "copy", *command[2:])
    assert code == 1 and "another model;" in err
    table = folder / "Questions.csv"
    table.write_text(table.read_text().replace("door", "gate"))
    code, _, err = run(*command)
    assert code == 1 and "another questions;" in err
    assert Path("a.jsonl.part").read_bytes() == kept
    Path("a.jsonl.part").write_bytes(b"{}\n{}\n")
    code, _, err = run(*command)
    assert code == 1 and "a.jsonl.part:1: not what a run" in err


def test_a_picture_that_changed_is_asked_about_anew(run, vlm):
    folder = mmvp_folder("mmvp")
    six = folder / "MMVP Images" / "6.jpg"
    six.rename("6.jpg")
    command = ["answer", vlm, "mmvp", folder, "-o", "a.jsonl", "--max-new-tokens", 8, "--json"]
    code, _, err = run(*command)
    assert code == 3 and "6.jpg: No such file" in err and "a.jsonl.part keeps the answers" in err
    tiny_vlms.pictures(1, seed=77)[0].save(folder / "MMVP Images" / "2.jpg")
    Path("6.jpg").rename(six)
    code, out, _ = run(*command)
    assert code == 0 and json.loads(out)["asked"] == 2
    again = Path("a.jsonl").read_bytes()
    assert run(*command)[0] == 0 and Path("a.jsonl").read_bytes() == again
