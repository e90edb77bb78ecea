"""scripts/mutants tells a fault that a test catches from one that none does, and from one that could not be tried."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("UNISIM_BUILD", ROOT / "build"))
KERNEL = "layer_norm"
FILE = f"cuda/{KERNEL}.cu"
GUARD = "if (n.x.rows == 0) return;"  # the first statement of its launcher
FAULTS = {
    "killed": (GUARD, "return;"),
    "harmless": (f"// {KERNEL}:", f"// {KERNEL}, in other words:"),
    "absent": ("a text that is nowhere", ""),
    "twice": ("n.eps", "0"),
    "unchanged": (GUARD, GUARD),
    "uncompilable": (GUARD, "if (n.x.rows"),
    "crashing": (GUARD, "__builtin_trap();"),
    "endless": (GUARD, 'while (n.x.rows >= 0) asm volatile("");'),
}

pytestmark = pytest.mark.skipif(
    not (BUILD / "tests" / f"{KERNEL}_cuda_test").is_file(),
    reason=f"no emulated tests in {BUILD}: NO fault was tried",
)


def try_faults(tmp_path, *names, least=1, seconds=60, extra=""):
    lines = [f"{KERNEL} | {FILE} | {name} | `{FAULTS[name][0]}` | `{FAULTS[name][1]}`" for name in names]
    (tmp_path / "mutants.txt").write_text("# a comment\n\n" + "\n".join(lines) + "\n" + extra)
    return subprocess.run(
        [sys.executable, ROOT / "tests" / "mutants.py", "--mutants", tmp_path / "mutants.txt", "--build", BUILD,
         "--least", str(least), "--seeds", "1", "--seconds", str(seconds), KERNEL],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip


def test_a_fault_that_a_test_catches_is_killed_by_name_and_value(tmp_path):
    done = try_faults(tmp_path, "killed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "killed   layer_norm: killed" in done.stdout
    assert "value: " in done.stdout
    assert "1 faults: 1 killed, 0 survived, 0 could not be tried; 0 errors" in done.stdout


def test_a_change_that_breaks_nothing_survives_and_is_an_error(tmp_path):
    done = try_faults(tmp_path, "harmless")
    assert done.returncode == 1
    assert "survived layer_norm: harmless" in done.stdout


def test_a_fault_that_cannot_be_tried_is_an_error_and_no_kill(tmp_path):
    done = try_faults(
        tmp_path, "absent", "twice", "unchanged", "uncompilable", "crashing", "endless", seconds=25
    )
    assert done.returncode == 1
    for name, says in {
        "absent": "does not apply: `a text that is nowhere` stands 0 times",
        "twice": "does not apply: `n.eps` stands 2 times",
        "unchanged": "the new text is the old one",
        "uncompilable": "does not compile",
        "crashing": "crashed",
        "endless": "took longer than",
    }.items():
        assert f"error    layer_norm: {name}\n         {says}" in done.stdout
    assert "6 faults: 0 killed, 0 survived, 6 could not be tried; 0 errors" in done.stdout


def test_fewer_faults_than_asked_are_an_error(tmp_path):
    done = try_faults(tmp_path, "absent", least=5)
    assert done.returncode == 1
    assert "layer_norm has 1 faults, at least 5 are asked" in done.stdout


def test_a_line_of_another_form_is_named(tmp_path):
    done = try_faults(tmp_path, "absent", extra="layer_norm | no more\n")
    assert done.returncode == 1
    assert "mutants.txt:4: not `kernel | file" in done.stderr


def test_a_kernel_that_is_no_more_is_named(tmp_path):
    done = try_faults(tmp_path, "absent", extra="gone | cuda/gone.cu | anything | `a` | `b`\n")
    assert done.returncode == 1
    assert "there is no emulated object of a file cuda/gone" in done.stdout
