"""On a machine with an NVIDIA GPU: builds, runs the kernels' tests on it, then what torch does of the same work.

Steps: machine, build, tests, sanitizer (compute-sanitizer's four tools, where it is), kernels (their times), peers (torch's),
towers (G1). Everything is in one JSON file, rewritten after each step; exits 1 on any difference, or if build, tests or kernels (emulated:
any step) did not end in time. --emulated runs every
line of it but the clock without a GPU: the emulated device in the place of the real one, one seed, tiny shapes, no times.
"""

import argparse
import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

from report import ABSENT, FAILED, INCOMPLETE, OK, Report, last_lines, rows_step, run

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ["memcheck", "racecheck", "initcheck", "synccheck"]
VERSIONS = ["torch", "torchvision", "transformers", "unisim-perceptual"]
DEVICE = [
    "name", "driver_version", "compute_cap", "memory.total", "power.limit", "clocks.sm", "clocks.mem", "clocks.max.sm",
    "clocks.max.mem", "temperature.gpu",
]  # fmt: skip


# ---- machine ------------------------------------------------------------------------------------------------


def first_line(*command):
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    return next((line.strip() for line in reversed(done.stdout.splitlines()) if line.strip()), None)


def device():
    """What nvidia-smi says of the first GPU, or None without one."""
    said = first_line("nvidia-smi", "--id=0", f"--query-gpu={','.join(DEVICE)}", "--format=csv,noheader")
    fields = [field.strip() for field in said.split(",")] if said else []
    return dict(zip(DEVICE, fields, strict=True)) if len(fields) == len(DEVICE) else None


def installed(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def machine(report, emulated):
    def step(_):
        report.content |= {
            "device": {"name": "emulated"} if emulated else device(),
            "host": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                     "system": platform.platform()},
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": first_line("git", "rev-parse", "HEAD"),
            "changed": bool(first_line("git", "status", "--porcelain", "--untracked-files=no")),
            "versions": {name: installed(name) for name in VERSIONS} | {
                "python": platform.python_version(),
                "nvcc": first_line("nvcc", "--version"),
                "compute-sanitizer": first_line("compute-sanitizer", "--version"),
            },
        }  # fmt: skip
        return OK, [], report.content["device"]["name"]

    return step


# ---- build --------------------------------------------------------------------------------------------------


def architecture(capability):
    """9.0 -> 90a: what is built for a device is what CI's gates saw."""
    digits = capability.replace(".", "")
    return digits + "a" if digits == "90" else digits


def targets_of(build):
    _, said = run(["ninja", "-C", build, "-t", "targets", "all"], 30, ROOT)
    return set(re.findall(r"^([\w/]+): phony", said, re.MULTILINE))


def built(build, emulated):
    """Configures where nothing is, then builds: for the emulated device everything, and what a real one needs of the
    first test, so that its linking is seen without a GPU too."""

    def step(seconds):
        ends = time.monotonic() + seconds
        if not (build / "build.ninja").is_file():
            settings = [f"-DPython_EXECUTABLE={sys.executable}", "-DCMAKE_BUILD_TYPE=Release"]
            if not emulated:
                settings += [
                    "-DUNISIM_CUDA=ON",
                    f"-DUNISIM_CUDA_ARCHITECTURES={architecture(device()['compute_cap'])}",
                ]
            code, said = run(["cmake", "-S", ROOT, "-B", build, "-G", "Ninja", *settings], seconds, ROOT)
            if code != 0:
                return FAILED, [], f"cmake: {last_lines(said)}"
        there = targets_of(build)
        if emulated:
            tests = sorted(name for name in there if re.fullmatch(r"\w+_cuda_test", name))
            wanted = [
                *tests,
                *sorted(there & {"kernels_emulated", "layer_norm_gpu_test", "kernels_on_device"}),
            ]
        else:
            wanted = ["unisim_gpu_tests", "kernels_on_device", "_core"]
        code, said = run(["cmake", "--build", build, "--target", *wanted], ends - time.monotonic(), ROOT)
        status = INCOMPLETE if code is None else FAILED if code else OK
        return status, [{"target": name} for name in wanted], "" if status == OK else last_lines(said, 20)

    return step


# ---- tests --------------------------------------------------------------------------------------------------


def programs(build, emulated):
    return sorted((build / "tests").glob("*_cuda_test" if emulated else "*_gpu_test"))


def tried(command, seconds, emulated):
    """One run of a test program, as a row; ok is None where it was stopped."""
    begin = time.monotonic()
    code, said = run(command, seconds, ROOT, {"UNISIM_SEEDS": "1"} if emulated else None)
    passed = re.search(r"All tests passed \((\d+) assertions? in (\d+) test cases?\)", said)
    row = {
        "test": Path(command[-1]).name,
        "ok": None if code is None else code == 0 and passed is not None,
        "assertions": int(passed[1]) if passed else None,
        "cases": int(passed[2]) if passed else None,
        "seconds": round(time.monotonic() - begin, 2),
    }
    return row if row["ok"] else row | {"said": last_lines(said, 30)}


def summary(rows, what, needed):
    """(status, rows, words) of a list of runs; `needed` runs were asked for."""
    wrong = [row for row in rows if row["ok"] is False]
    done = sum(row["ok"] is not None for row in rows)
    if wrong:
        names = ", ".join(row["test"] for row in wrong)
        return FAILED, rows, f"{len(wrong)} of {needed} {what} failed: {names}\n{wrong[0].get('said', '')}"
    if done < needed or not needed:
        return INCOMPLETE, rows, f"{done} of {needed} {what} were done"
    return OK, rows, f"{done} {what} passed"


def tests(build, emulated):
    """One after another on a device, which they would share; emulated, one on each core."""

    def step(seconds):
        ends, all_programs = time.monotonic() + seconds, programs(build, emulated)

        def one(program):
            left = ends - time.monotonic()
            return tried([program], min(120 if emulated else 60, left), emulated) if left > 1 else None

        with ThreadPoolExecutor((os.cpu_count() or 1) if emulated else 1) as pool:
            rows = [row for row in pool.map(one, all_programs) if row]
        return summary(rows, "tests", len(all_programs))

    return step


def sanitizer(build, emulated):
    """compute-sanitizer's tools over the tests. Emulated, the watched device stands in for it over the first test."""
    program = shutil.which("compute-sanitizer") or shutil.which("/usr/local/cuda/bin/compute-sanitizer")

    def step(seconds):
        if not program and not emulated:
            return ABSENT, [], "compute-sanitizer is not there"
        ends, rows = time.monotonic() + seconds, []
        runs = [
            (tool, test) for tool in TOOLS for test in programs(build, emulated)[: 1 if emulated else None]
        ]
        for tool, test in runs:
            if ends - time.monotonic() > 1:
                before = [] if emulated else [program, "--tool", tool, "--error-exitcode", "99"]
                rows.append(
                    {"tool": tool} | tried([*before, test], min(60, ends - time.monotonic()), emulated)
                )
        return summary(rows, "runs", len(runs))

    return step


# ---- beside torch -------------------------------------------------------------------------------------------


def rates(row):
    """What a row did in a second, in its own unit."""
    if not row.get("ms"):
        return "no time"
    units = (("flop", 1e9, "TFLOP/s"), ("bytes", 1e6, "GB/s"), ("items", 1e-3, "a second"))
    said = [f"{row[key] / row['ms'] / scale:.4g} {unit}" for key, scale, unit in units if row.get(key)]
    return ", ".join([f"{row['ms']:.4g} ms", *said])


def comparison(steps):
    """Ours beside each peer of the same work: speed-up is the peer's time over ours."""
    rows = [row for step in steps if step["name"] in ("kernels", "peers", "towers") for row in step["rows"]]
    ours = {(row["group"], row["work"]): row for row in rows if row["who"] == "unisim" and "ms" in row}
    beside = []
    for row in rows:
        mine = ours.get((row["group"], row["work"]))
        if mine is not None and row["who"] != "unisim":
            timed = mine["ms"] and row.get("ms")
            beside.append({
                "group": row["group"], "work": row["work"], "peer": row["who"],
                "ours": rates(mine), "theirs": row.get("skipped") or row.get("error") or rates(row),
                "speedup": round(row["ms"] / mine["ms"], 3) if timed else None,
            })  # fmt: skip
    return beside


def print_comparison(beside):
    for row in beside:
        speed = f"{row['speedup']:.2f}x" if row["speedup"] else "-"
        print(
            f"{row['group']:<3} {row['work']:<58} {row['peer']:<22} {speed:>8}  {row['ours']} | {row['theirs']}"
        )


# ---- the whole ----------------------------------------------------------------------------------------------


def python_path(build):
    """The extension of this build, where it was built; else the installed one."""
    folder = build / "python"
    return {"PYTHONPATH": str(folder)} if any(folder.glob("unisim/_core*.so")) else {}


def check(given):
    build = given.build or ROOT / ("build" if given.emulated else "build-gpu")
    report = Report(given.json, given.emulated, given.seconds)
    tiny = ["--tiny"] if given.emulated else []
    kernels = build / "benchmarks" / ("kernels_emulated" if given.emulated else "kernels_on_device")
    python = [sys.executable, "-u"]
    where = ["--device", "cpu" if given.emulated else "cuda", *tiny]
    folder = ROOT / "benchmarks" / "gpu"

    def timed(script, seconds):  # the script stops by itself a little before it would be stopped
        return [*python, folder / script, *where, "--seconds", str(seconds * 0.9)]

    slow = 2 if given.emulated else 1  # CI's machines are small and busy
    if given.emulated:
        os.environ.setdefault("OMP_NUM_THREADS", "1")

    report.step("machine", 20, machine(report, given.emulated))
    if report.step("build", 240, built(build, given.emulated)) == OK:
        report.step("tests", 240 if given.emulated else 90, tests(build, given.emulated))
        report.step("kernels", 60 * slow, rows_step([kernels, *tiny], ROOT))
        report.step("sanitizer", 90, sanitizer(build, given.emulated))
    report.step("peers", 75 * slow, lambda s: rows_step(timed("peers.py", s), ROOT)(s))
    report.step("towers", 150 * slow, lambda s: rows_step(timed("towers.py", s), ROOT, python_path(build))(s))
    report.content["device_after"] = {"name": "emulated"} if given.emulated else device()
    report.content["comparison"] = comparison(report.content["steps"])
    print_comparison(report.content["comparison"])
    steps = [step["name"] for step in report.content["steps"]]
    return report.finish(needed=steps if given.emulated else ["build", "tests", "kernels"])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--emulated", action="store_true", help="without a GPU: every line but the clock")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "results" / "gpu_check.json")
    parser.add_argument("--build", type=Path, help="build folder; build-gpu, or build with --emulated")
    parser.add_argument("--seconds", type=float, default=540, help="for everything together")
    given = parser.parse_args()
    if not given.emulated and device() is None:
        print(
            "gpu_check: no NVIDIA GPU here (nvidia-smi names none). --emulated runs all but the clock.",
            file=sys.stderr,
        )
        return 1
    well = check(given)
    print(f"{'ok' if well else 'NOT OK'}: {given.json}")
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
