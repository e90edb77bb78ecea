"""The package's annotations hold, by mypy's strictest reading."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_mypy_has_nothing_to_say_about_the_package(tmp_path):
    cache = os.environ.get("MYPY_CACHE_DIR", str(tmp_path))
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "python/unisim"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
