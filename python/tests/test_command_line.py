"""The command line itself: help, mistakes, signals, what is here and what can be got."""

import json
import os
import signal
import subprocess
import sys

import pytest

import tiny_models
import unisim
from unisim import get
from unisim.cli import names
from unisim.cli.app import main

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


def test_help_and_mistakes_load_no_torch():
    code = (
        "import sys; from unisim.cli.app import main\n"
        "for line in (['--help'], ['embed', '--help'], ['get', 'nope'], ['nope'], ['models'], ['compare', 'ssim', 'a'],\n"
        "             ['embed', 'm', 'missing', '-o', 'x.npy']): main(line)\n"
        "heavy = {'torch', 'transformers', 'plotly', 'jinja2', 'PIL', 'unisim._core'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["models", "get", "compare", "embed", "mine", "doctor"])
def test_every_help_ends_in_an_example(run, command):
    code, out, err = run(command, "--help")
    assert code == 0 and err == ""
    assert (
        out.rstrip().splitlines()[-1].strip().startswith("unisim ")
        or f"unisim {command}" in out.split("Example:")[1]
    )


def test_no_command_prints_the_help_and_is_a_usage_error(run):
    code, out, _ = run()
    assert code == 2 and "Commands" in out


def test_version_names_what_numbers_depend_on(run):
    code, out, _ = run("--version")
    assert code == 0 and out.startswith(f"unisim {unisim.__version__}\n")
    assert "torch 2." in out and "CUDA kernels" in out and "codecs" in out


@pytest.mark.parametrize(
    "line, words",
    [
        ("nope", "No such command 'nope'"),
        ("compare ssim a.png", "one image alone"),
        ("compare", "Missing argument 'METRIC'"),
        ("embed m photos", "Missing option '-o'"),
        ("embed m photos -o rows.csv", "ends in .npy"),
        ("embed m,layer=x photos -o r.npy", "layer takes a whole number, not 'x'"),
        ("embed m,depth=1 photos -o r.npy", "unknown option 'depth'; known are layer, pool"),
        ("embed m,layer=1,layer=2 photos -o r.npy", "layer is given twice"),
        ("embed ,layer=1 photos -o r.npy", "names nothing"),
        ("embed m photos -o r.npy --batch-size 0", "--batch-size"),
        ("mine photos --alike a --apart b -o p.csv --alike-above 2", "--alike-above"),
        ("mine photos --alike a -o p.csv", "Missing option '--apart'"),
        ("models --colour", "No such option"),
        ("models --color pink", "--color"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(run, line, words):
    code, out, err = run(*line.split())
    assert (code, out) == (2, "")
    assert words in err and err.startswith("unisim: error: ") and err.count("\n") == 1


def test_options_follow_a_name_that_may_hold_commas():
    assert names.split("F,layer=9,pool=mean") == ("F", {"layer": 9, "pool": "mean"})
    assert names.split("a,b/c,d") == ("a,b/c,d", {})
    assert names.split("encoder:/x, y/z,pool=cls") == ("encoder:/x, y/z", {"pool": "cls"})


def test_an_unforeseen_error_is_one_line_unless_asked(run, monkeypatch):
    def broken(*arguments):
        raise TypeError("oops")

    monkeypatch.setattr(get, "get", broken)
    code, _, err = run("get", "lpips-alex")
    assert (code, err) == (1, "unisim: error: TypeError: oops (UNISIM_TRACEBACK=1 shows where)\n")
    monkeypatch.setenv("UNISIM_TRACEBACK", "1")
    with pytest.raises(TypeError):
        main(["get", "lpips-alex"])


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_says_so_by_its_exit_code(run, monkeypatch, number, code):
    monkeypatch.setattr("unisim.cli.app._ended_by", signal.SIGINT)
    monkeypatch.setattr(get, "get", lambda *arguments: os.kill(os.getpid(), number))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    try:
        assert run("get", "lpips-alex")[::2] == (code, "unisim: interrupted\n")
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("line", [["models"], ["models", "--json"]])
def test_a_closed_pipe_ends_a_command_quietly(tmp_path, line):
    for number in range(200):  # a table longer than a stream's buffer
        tiny_models.dinov2_folder(tmp_path / f"models/model-{number:03}", 1)
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "unisim", *line],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=os.environ | {"UNISIM_CACHE": str(tmp_path)},
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_models_lists_what_is_here_and_what_can_be_got(run, tmp_path):
    code, out, _ = run("models", "--json")
    assert code == 0
    listed = json.loads(out)
    assert listed["unisim"] == unisim.__version__ and listed["models"] == []
    assert [m["name"] for m in listed["available"]] == ["lpips-alex", "lpips-vgg", "dinov2-vits14-saliency"]
    assert all(m["terms"] and m["size"] > 0 for m in listed["available"])
    tiny_models.dinov2_folder(tmp_path / "cache/models/mine", 1)
    snapshot = tiny_models.dinov2_folder(tmp_path / "hub/models--org--dino/snapshots/abc123", 1)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs/main").write_text("abc123")
    (tmp_path / "cache/models/broken").mkdir()
    (tmp_path / "cache/models/broken/config.json").write_text("{")
    (tmp_path / "cache/models/broken/model.safetensors").write_text("x")
    listed = json.loads(run("models", "--json")[1])
    assert [(m["name"], m["family"], m["dim"]) for m in listed["models"]] == [
        ("mine", "dinov2", 16),
        ("org/dino", "dinov2", 16),
    ]
    assert listed["models"][1]["path"] == str(snapshot)
    assert "org/dino" in run("models")[1]


def test_get_of_an_unknown_name_is_an_error_that_lists_the_known(run):
    code, out, err = run("get", "lpips-squeeze")
    assert (code, out) == (1, "") and "known are lpips-alex" in err


def test_get_of_what_is_there_prints_its_folder(run, tmp_path):
    folder = tiny_models.dinov2_folder(tmp_path / "cache/models/lpips-alex", 1)
    code, out, err = run("get", "lpips-alex")
    assert (code, out) == (0, f"{folder}\n") and "already at" in err
    code, out, err = run("get", "lpips-alex", "--json", "--quiet")
    assert (
        json.loads(out) == {"unisim": unisim.__version__, "name": "lpips-alex", "path": str(folder)}
        and err == ""
    )
