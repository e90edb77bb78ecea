"""Us beside the peers: the same work, the same process, interleaved rounds; ratios and medians, accuracy beside speed.

The machine may be shared and noisy, so no absolute time is worth quoting: each round times both sides one after the
other, and the figure is the median of the rounds' ratios with its quartiles.
"""

import argparse
import dataclasses
import datetime
import json
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

import evaluation_peers
import metric_peers
import peers
import vlm_peers

GROUPS = peers.GROUPS | metric_peers.GROUPS | evaluation_peers.GROUPS | vlm_peers.GROUPS
SEPARATE = ["vlm"]  # minutes and gigabytes: run by its name alone
PEERS = ["torch", "pillow", "numpy", "tokenizers", "transformers", "lpips", "scikit-image", "scikit-learn"]


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(row, rounds):
    """One row: ours and theirs timed in turn, the order swapped every round; a warm-up round is not counted."""
    row.ours(), row.theirs()
    pairs = []
    for k in range(rounds):
        if k % 2:
            theirs, ours = seconds(row.theirs), seconds(row.ours)
        else:
            ours, theirs = seconds(row.ours), seconds(row.theirs)
        pairs.append((ours, theirs))
    ratios = [theirs / ours for ours, theirs in pairs]
    low, middle, high = statistics.quantiles(ratios, n=4)
    return {
        "group": row.group,
        "work": row.work,
        "peer": row.peer,
        "speedup": statistics.median(ratios),
        "speedup_quartiles": [low, high],
        "ours_ms": 1e3 * statistics.median(ours for ours, _ in pairs),
        "peer_ms": 1e3 * statistics.median(theirs for _, theirs in pairs),
        "difference": row.difference(),
        "rounds": rounds,
    }


def line_of(row, rounds):
    return dataclasses.asdict(row) if isinstance(row, peers.Fact) else measure(row, row.rounds or rounds)


def machine():
    cpu = next(
        (line.split(":", 1)[1].strip() for line in cpu_lines() if line.startswith("model name")),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "system": platform.platform(),
        "python": platform.python_version(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "versions": {name: version(name) for name in ("unisim-perceptual", *PEERS)},
    }


def cpu_lines():
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def print_row(row):
    if "said" in row:
        print(f"{row['group']:<9} {row['work']:<46} {row['said']}", flush=True)
        return
    low, high = row["speedup_quartiles"]
    print(
        f"{row['group']:<9} {row['work']:<46} {row['peer']:<33} {row['speedup']:6.2f}x [{low:.2f}, {high:.2f}]   "
        f"{row['difference']}",
        flush=True,
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("groups", nargs="*", help=f"some of: {' '.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    for group in given.groups:
        if group not in GROUPS:
            parser.error(f"{group} is none of {' '.join(GROUPS)}")
    print(f"{'group':<9} {'work':<46} {'peer':<33} {'speed':>7} [quartiles]     accuracy\n" + "-" * 137)
    rows = []
    for group in given.groups or [name for name in GROUPS if name not in SEPARATE]:
        for row in GROUPS[group]():
            rows.append(line_of(row, given.rounds))
            print_row(rows[-1])
    print("\nspeed: the peer's time over ours, median of the rounds; above 1 we are faster")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")
        print(f"every number: {given.json}", file=sys.stderr)


if __name__ == "__main__":
    main()
