"""Runs one of the readers of untrusted files as a process of its own, and turns its end into bytes or an error."""

import subprocess
import sys


def output_of(
    script: str,
    *arguments: str,
    data: bytes = b"",
    said_by: str,
    what: str,
    seconds: int,
) -> bytes:
    """What the script wrote to stdout, given `data` on stdin.

    The script sets its own limits on memory, and ends with 0, or with its reason as the last line of stderr.

    Raises
    ------
    ValueError
        `said_by`, then the reason; or that reading `what` took more than so many seconds.
    """
    command = [sys.executable, "-P", script, *arguments]
    try:
        child = subprocess.run(command, input=data, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"{said_by}: reading {what} took more than {seconds} s") from None
    if child.returncode != 0:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"{said_by}: {lines[-1] if lines else f'the reader ended with {child.returncode}'}")
    return child.stdout
