"""The one JSON file of scripts/gpu_check: rewritten after every step, so that whatever was measured is kept."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

OK, FAILED, INCOMPLETE, ABSENT = "ok", "failed", "incomplete", "absent"


class Report:
    """Steps and their rows. Each step gets the time that is left, at most its own limit."""

    def __init__(self, path, emulated, seconds):
        self.path, self.started, self.seconds = path, time.monotonic(), seconds
        self.content = {"emulated": emulated, "complete": False, "ok": False, "limit_s": seconds, "steps": []}
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def left(self):
        return self.seconds - (time.monotonic() - self.started)

    def write(self):
        self.content["seconds"] = round(time.monotonic() - self.started, 1)
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.content, indent=1) + "\n")
        part.replace(self.path)

    def step(self, name, limit, run):
        """run(seconds) gives (status, rows, what there is to say)."""
        begin, seconds = time.monotonic(), min(limit, self.left())
        print(f"== {name} (at most {max(seconds, 0):.0f} s)", flush=True)
        if seconds < 1:
            status, rows, said = INCOMPLETE, [], "no time was left"
        else:
            try:
                status, rows, said = run(seconds)
            except Exception as error:  # noqa: BLE001 (a step that breaks must not take the others' results along)
                status, rows, said = FAILED, [], f"{type(error).__name__}: {error}"
        self.content["steps"].append({
            "name": name, "status": status, "seconds": round(time.monotonic() - begin, 1), "limit_s": round(seconds),
            "said": said, "rows": rows,
        })  # fmt: skip
        self.write()
        print(f"   {status}{f': {said}' if said else ''}", flush=True)
        return status

    def finish(self, needed):
        """Well is: nothing failed, and the steps that must be whole are."""
        status = {step["name"]: step["status"] for step in self.content["steps"]}
        self.content["complete"] = INCOMPLETE not in status.values()
        self.content["ok"] = FAILED not in status.values() and all(status.get(name) == OK for name in needed)
        self.write()
        return self.content["ok"]


def run(command, seconds, cwd, env=None):
    """(exit code, output) of a command; None for a code if it was stopped at its limit. Its children end with it."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            list(map(str, command)), cwd=cwd, env=os.environ | (env or {}), stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, text=True,
        )  # fmt: skip
        try:
            code = process.wait(max(seconds, 0.1))
        except (subprocess.TimeoutExpired, KeyboardInterrupt) as stopped:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if isinstance(stopped, KeyboardInterrupt):
                raise
            code = None
        output.seek(0)
        return code, output.read()


def last_lines(text, count=8):
    return "\n".join(text.strip().splitlines()[-count:])


def json_rows(output):
    """The lines that are JSON; a program prints a row as soon as it has it."""
    rows = []
    for line in output.splitlines():
        if line.startswith("{"):
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:
                print(f"not a row: {line[:200]}", file=sys.stderr)
    return rows


def rows_step(command, cwd, env=None):
    """A step that runs a program which prints rows of JSON."""

    def step(seconds):
        code, output = run(command, seconds, cwd, env)
        rows = json_rows(output)
        wrong = [row for row in rows if not row.get("ok", True)]
        if wrong:
            return FAILED, rows, "; ".join(f"{row['group']} {row['work']} {row['who']}" for row in wrong)
        if code is None:
            return INCOMPLETE, rows, f"stopped after {seconds:.0f} s with {len(rows)} rows"
        if code or not rows:
            return FAILED, rows, f"exit code {code}: {last_lines(output)}"
        skipped = [row for row in rows if "skipped" in row]
        return OK, rows, f"{len(rows)} rows" + (f", {len(skipped)} of them skipped" if skipped else "")

    return step
