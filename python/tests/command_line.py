"""Fixtures of the command line's tests: a world of their own, pictures, models, a way to run a command."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_models
import unisim
from unisim.cli.app import main

# As this process found it, for children elsewhere.
PACKAGE = os.path.abspath(Path(unisim.__file__).parents[1])


@pytest.fixture
def own_world(tmp_path, monkeypatch):
    """A cache, a Hugging Face cache and a working directory of the test's own."""
    monkeypatch.setenv("UNISIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("UNISIM_TRACEBACK", raising=False)
    monkeypatch.setenv("PYTHONPATH", PACKAGE)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    yield
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


@pytest.fixture(scope="session")
def models(tmp_path_factory):
    """Two encoders that disagree."""
    root = tmp_path_factory.mktemp("models")
    return [str(tiny_models.dinov2_folder(root / f"tiny{seed}", seed)) for seed in (1, 2)]


def make_picture(file, seed, size=(40, 32)):
    """A PNG of smooth random colours."""
    file = Path(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    Image.fromarray(pixels).resize(size).save(file, "PNG")
    return str(file)


@pytest.fixture
def picture():
    """make_picture, as a fixture."""
    return make_picture


@pytest.fixture
def photos(picture):
    """Four pictures, one in a sub-folder, and files that are none."""
    for seed, name in enumerate(["b.png", "B.PNG", "a/z.png", "é.png"]):
        picture(f"photos/{name}", seed)
    Path("photos/notes.txt").write_text("no picture")
    picture("photos/.hidden.png", 9)
    picture("photos/.git/x.png", 9)
    return ["B.PNG", "a/z.png", "b.png", "é.png"]


@pytest.fixture
def run(capfd):
    """Run a command in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        capfd.readouterr()
        code = main([str(a) for a in arguments])
        return (code, *capfd.readouterr())

    return run


@pytest.fixture
def shell():
    """Run a command in a process of its own."""

    def shell(*arguments, **options):
        command = [sys.executable, "-m", "unisim", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, **options)

    return shell
