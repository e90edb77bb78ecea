"""Holds every kernel, as nvcc compiles it, to the limits of tests/static/resources.csv. Needs no GPU.

A row says of one kernel on one architecture: at most so many registers; so much static shared memory; the block and the
dynamic shared memory it is launched with at most (kept by hand; the block must be that of __launch_bounds__ where there is one);
at least so many blocks on a multiprocessor and so many of each instruction. Spills, stack frames and local memory are
never allowed. A kernel without a row and a row without a kernel are errors.
"""

import argparse
import csv
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import compiled
from occupancy import DEVICES, blocks_per_sm

ROOT = compiled.ROOT
KEY = ["file", "kernel", "arch"]
NUMBERS = ["registers", "shared", "block", "dynamic_shared", "blocks_per_sm", *compiled.INSTRUCTIONS]
COMPILE_ONLY = ["sm_120"]


def say(text):
    print(f"gpu_static: {text}", file=sys.stderr, flush=True)


def read_limits(path):
    """(file, kernel, arch) -> column -> number, or None where a field is empty."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames != KEY + NUMBERS:
            raise SystemExit(f"gpu_static: {path}: the columns are {rows.fieldnames}, not {KEY + NUMBERS}")
        limits = {}
        for row in rows:
            key = tuple(row[column] for column in KEY)
            if key in limits:
                raise SystemExit(f"gpu_static: {path}: two rows for {' '.join(key)}")
            limits[key] = {column: int(row[column]) if row[column] else None for column in NUMBERS}
        return limits


def write_limits(path, limits):
    with path.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(KEY + NUMBERS)
        for key in sorted(limits):
            rows.writerow([*key, *("" if limits[key][c] is None else limits[key][c] for c in NUMBERS)])


def measured(kernel, arch, limit):
    """The kernel's row as it is now; what nvcc does not know of the launch is the limit's, where there is one."""
    block = kernel.bound or (limit["block"] if limit else None)
    dynamic = limit["dynamic_shared"] if limit else None if kernel.dynamic else 0
    row = {"registers": kernel.registers, "shared": kernel.shared, "block": block, "dynamic_shared": dynamic}
    row["blocks_per_sm"] = None
    if block is not None and dynamic is not None:
        row["blocks_per_sm"] = blocks_per_sm(DEVICES[arch], kernel.registers, kernel.shared + dynamic, block)
    return row | (kernel.instructions or dict.fromkeys(compiled.INSTRUCTIONS))


def always_forbidden(kernel):
    if kernel.spills:
        yield f"spills {kernel.spills} bytes of registers"
    if kernel.stack:
        yield f"has a stack frame of {kernel.stack} bytes"
    if kernel.forbidden:
        yield f"uses local memory: {', '.join(kernel.forbidden)}"


def faults(kernel, limit, row):
    """What is wrong with a kernel, in words; `row` is what it measures."""
    yield from always_forbidden(kernel)
    if limit["block"] is None:
        yield "its row states no block: write the threads that it is launched with"
    elif kernel.bound and limit["block"] != kernel.bound:
        yield f"its row says a block of {limit['block']}, __launch_bounds__ says {kernel.bound}"
    if limit["dynamic_shared"] is None:
        yield "its row states no dynamic_shared: write the bytes that it is launched with"
    elif kernel.dynamic != (limit["dynamic_shared"] > 0):
        uses = "uses" if kernel.dynamic else "uses no"
        yield f"its row says {limit['dynamic_shared']} bytes of dynamic_shared, but it {uses} dynamic shared memory"
    if limit["shared"] != row["shared"]:
        yield f"takes {row['shared']} bytes of static shared memory, its row says {limit['shared']}"
    if limit["registers"] is None or row["registers"] > limit["registers"]:
        yield f"takes {row['registers']} registers, its limit is {limit['registers']}"
    for column in ["blocks_per_sm", *compiled.INSTRUCTIONS]:
        if row[column] is None:
            continue  # said aloud once: no nvdisasm, or no block above
        if limit[column] is None:
            yield f"its row states no {column} (measured: {row[column]})"
        elif row[column] < limit[column]:
            yield f"has {row[column]} of {column}, its row demands {limit[column]}"


def compile_all(sources, cache, jobs):
    """(source, arch) -> kernels, or the error that the compiler gave."""

    def compiled_or_error(task):
        try:
            return task, compiled.compile_kernels(*task, cache, local_memory=task[1] in COMPILE_ONLY)
        except compiled.CompileError as error:
            return task, error

    tasks = [(source, arch) for source in sources for arch in [*DEVICES, *COMPILE_ONLY]]
    with ThreadPoolExecutor(jobs) as pool:
        return dict(pool.map(compiled_or_error, tasks))


def table_line(name, arch, row, limit):
    registers = f"{row['registers']}/{limit['registers'] if limit else '-'}"
    counts = " ".join(f"{c} {row[c]}" for c in compiled.INSTRUCTIONS if row[c])
    shown = [
        "?" if row[c] is None else row[c] for c in ("shared", "dynamic_shared", "block", "blocks_per_sm")
    ]
    return f"{name:<60} {arch:<7} {registers:>8} {shown[0]:>7} {shown[1]:>8} {shown[2]:>6} {shown[3]:>7}  {counts}"


def rows_of(results, limits):
    """(file, kernel, arch) -> the row as measured."""
    return {
        (source.stem, kernel.name, arch): measured(kernel, arch, limits.get((source.stem, kernel.name, arch)))
        for (source, arch), kernels in results.items()
        if arch in DEVICES and not isinstance(kernels, compiled.CompileError)
        for kernel in kernels
    }


def check(results, rows, limits):
    """Prints the table; (errors, what got better than its limit)."""
    errors, better = [], []
    print(
        f"{'kernel':<60} {'arch':<7} {'regs/max':>8} {'shared':>7} {'dynamic':>8} {'block':>6} {'per SM':>7}"
    )
    for (source, arch), kernels in results.items():
        if isinstance(kernels, compiled.CompileError):
            errors.append(f"{source.name} does not compile for {arch}:\n{kernels}")
            continue
        for kernel in kernels:
            name = f"{source.stem}: {kernel.name}"
            if arch in COMPILE_ONLY:
                if kernel.spills:
                    say(f"{name}, {arch}: spills {kernel.spills} bytes (compiled only: no limit)")
                continue
            key = (source.stem, kernel.name, arch)
            limit, row = limits.get(key), rows[key]
            print(table_line(name, arch, row, limit))
            if limit is None:
                errors.append(
                    f"{name}, {arch}: has no row: see it and run scripts/gpu_static --write {source.stem}"
                )
            else:
                errors += [f"{name}, {arch}: {fault}" for fault in faults(kernel, limit, row)]
                if row["registers"] < (limit["registers"] or 0):
                    better.append(name)
    return errors, better


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kernels", nargs="*", help="stems of cuda/*.cu; none: all")
    parser.add_argument("--write", action="store_true", help="make the present numbers the limits")
    parser.add_argument("--limits", type=Path, default=ROOT / "tests" / "static" / "resources.csv")
    parser.add_argument("--sources", type=Path, default=ROOT / "cuda", help="the folder of the .cu files")
    parser.add_argument("--cache", type=Path, default=ROOT / "build" / "static")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def main():
    given = arguments()
    if not compiled.nvcc():
        say("skipped: nvcc is not on the PATH, so NOTHING was checked")
        return 0
    if not compiled.nvdisasm():
        say(
            "nvdisasm is not there (pip install -r scripts/requirements/test.txt): instructions are NOT checked"
        )
        if given.write:
            say("--write needs nvdisasm")
            return 1
    sources = sorted(given.sources.glob("*.cu"))
    if missing := set(given.kernels) - {source.stem for source in sources}:
        say(f"no {', '.join(sorted(missing))}.cu in {given.sources}")
        return 1
    limits = read_limits(given.limits)
    if given.kernels:
        sources = [source for source in sources if source.stem in given.kernels]
    covered = {key: row for key, row in limits.items() if not given.kernels or key[0] in given.kernels}

    results = compile_all(sources, given.cache, given.jobs)
    rows = rows_of(results, covered)
    broken = {
        source.stem for (source, _), kernels in results.items() if isinstance(kernels, compiled.CompileError)
    }
    if given.write:
        kept = {key: row for key, row in limits.items() if key not in covered or key[0] in broken}
        write_limits(given.limits, kept | rows)
        say(f"wrote {len(rows)} rows to {given.limits}")
        covered = rows
    errors, better = check(results, rows, covered)
    errors += [
        f"{key[0]}: {key[1]}, {key[2]}: the row is stale, there is no such kernel"
        for key in covered
        if key not in rows and key[0] not in broken
    ]
    for name in sorted(set(better)):
        say(f"{name} takes fewer registers than its limit: scripts/gpu_static --write tightens it")
    for error in errors:
        say(f"ERROR {error}")
    print(f"{len(rows)} kernels x architectures, {len(errors)} errors")
    return 1 if errors or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
