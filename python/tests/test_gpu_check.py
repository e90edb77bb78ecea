"""scripts/gpu_check --emulated: every line of it but the clock; and that no result is lost or glossed over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GPU = ROOT / "benchmarks" / "gpu"
BUILD = Path(os.environ.get("UNISIM_BUILD", ROOT / "build"))
STEPS = ["machine", "build", "tests", "kernels", "sanitizer", "peers", "towers"]
sys.path.insert(0, str(GPU))

import check
import report

needs_build = pytest.mark.skipif(
    not (BUILD / "benchmarks" / "kernels_emulated").is_file(),
    reason=f"no emulated benchmark in {BUILD}: gpu_check was NOT run",
)


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    """What one emulated run leaves, and what it printed."""
    path = tmp_path_factory.mktemp("gpu_check") / "gpu_check.json"
    done = subprocess.run(
        [sys.executable, GPU / "check.py", "--emulated", "--json", path, "--build", BUILD],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return json.loads(path.read_text()), done.stdout


@needs_build
def test_the_emulated_run_is_complete_and_says_that_it_is_emulated(result):
    content, _ = result
    assert content["emulated"] is True
    assert content["ok"] is True
    assert content["complete"] is True
    assert {step["name"]: step["status"] for step in content["steps"]} == dict.fromkeys(STEPS, "ok")
    for key in (
        "device",
        "device_after",
        "host",
        "date",
        "commit",
        "versions",
        "comparison",
        "seconds",
        "limit_s",
    ):
        assert key in content
    assert content["seconds"] < content["limit_s"]


@needs_build
def test_every_kernel_test_and_every_tool_was_run(result):
    steps = {step["name"]: step["rows"] for step in result[0]["steps"]}
    sources = {path.name for path in (BUILD / "tests").glob("*_cuda_test")}
    assert {row["test"] for row in steps["tests"]} == sources
    assert all(row["assertions"] > 0 for row in steps["tests"])
    assert [row["tool"] for row in steps["sanitizer"]] == ["memcheck", "racecheck", "initcheck", "synccheck"]


@needs_build
def test_every_benchmark_stands_beside_a_peer_and_has_no_time(result):
    content, printed = result
    steps = {step["name"]: step["rows"] for step in content["steps"]}
    assert {row["group"] for row in steps["kernels"]} == {"G4", "G5", "G7", "G9"}
    assert {row["group"] for row in steps["towers"]} == {"G1"}
    compared = {row["group"] for row in content["comparison"]}
    assert compared == {"G1", "G4", "G5", "G7", "G9"}
    rows = [row for name in ("kernels", "peers", "towers") for row in steps[name]]
    assert all(row.get("ms") is None for row in rows)
    assert all(row["found"] == row["expected"] for row in rows if "expected" in row)
    assert "no time" in printed


def test_without_a_gpu_it_refuses_and_names_the_other_way(tmp_path):
    if check.device():
        pytest.skip("this machine has a GPU")
    done = subprocess.run(
        [sys.executable, GPU / "check.py", "--json", tmp_path / "none.json"], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "--emulated" in done.stderr


def reported(tmp_path, **steps):
    """The content that a report of these steps leaves on disk, and whether it is well."""
    made = report.Report(tmp_path / "report.json", emulated=True, seconds=5)
    for name, step in steps.items():
        made.step(name, 2, step)
    well = made.finish(needed=["first"])
    return json.loads((tmp_path / "report.json").read_text()), well


def well(_):
    return report.OK, [{"group": "G0", "work": "w", "who": "unisim"}], ""


def test_a_step_that_fails_or_breaks_leaves_the_others_and_is_not_well(tmp_path):
    def broken(_):
        raise KeyError("gone")

    for wrong in (broken, lambda _: (report.FAILED, [], "no")):
        content, good = reported(tmp_path, first=well, second=wrong, third=well)
        assert not good
        assert content["ok"] is False
        assert [step["status"] for step in content["steps"]] == ["ok", "failed", "ok"]


def test_only_the_steps_that_must_be_whole_must_be_there(tmp_path):
    def stopped(_):
        return report.INCOMPLETE, [], ""

    content, good = reported(tmp_path, first=well, second=stopped)
    assert good
    assert content["complete"] is False
    assert not reported(tmp_path, first=stopped, second=well)[1]
    assert not reported(tmp_path, second=well)[1]


def test_a_program_that_takes_too_long_is_ended_with_its_children_and_its_rows_are_kept(tmp_path):
    row = '{"group": "G0", "work": "w", "who": "unisim", "ok": true}'
    script = f"echo '{row}'; sleep 60 & sleep 60"
    status, rows, said = report.rows_step(["bash", "-c", script], tmp_path)(1)
    assert status == report.INCOMPLETE
    assert rows == [json.loads(row)]
    assert "stopped after 1 s" in said


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("exit 0", "exit code 0"),
        ("echo no rows, but words; exit 3", "exit code 3: no rows, but words"),
        ("""echo '{"group": "G4", "work": "pairs", "who": "unisim", "ok": false}'""", "G4 pairs unisim"),
    ],
)
def test_a_program_that_fails_or_says_nothing_or_is_wrong_fails(tmp_path, script, says):
    status, _, said = report.rows_step(["bash", "-c", script], tmp_path)(10)
    assert status == report.FAILED
    assert says in said


def test_a_test_program_that_fails_is_named_with_what_it_said(tmp_path):
    program = tmp_path / "some_gpu_test"
    program.write_text("#!/bin/sh\necho 'value: 3 == 4'\necho 'test cases: 1 | 1 failed'\nexit 1\n")
    program.chmod(0o755)
    status, rows, said = check.summary([check.tried([program], 10, emulated=False)], "tests", 1)
    assert status == report.FAILED
    assert rows[0]["ok"] is False
    assert "some_gpu_test" in said
    assert "3 == 4" in said


def test_a_speedup_is_the_peers_time_over_ours():
    work = {"group": "G7", "work": "copy", "bytes": 3e9}
    kernels = {"name": "kernels", "rows": [work | {"who": "unisim", "ms": 1.0}]}
    peers = {"name": "peers", "rows": [work | {"who": "torch", "ms": 1.5}]}
    row = check.comparison([kernels, peers])[0]
    assert row["speedup"] == 1.5
    assert row["ours"] == "1 ms, 3000 GB/s"
    assert row["theirs"] == "1.5 ms, 2000 GB/s"
