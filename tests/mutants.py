"""Breaks every kernel on purpose, one line at a time, and demands that its test fails.

tests/mutants.txt holds one fault a line:

    kernel | file | what it breaks | `old text` | `new text`

`test of KERNEL: NAME` there says that NAME_cuda_test tests the kernel, where that is not KERNEL_cuda_test.

The old text must stand exactly once in the file. The kernel is compiled with the fault by the very command that built its
emulated object, linked into its emulated test in place of that object, and run: with two seeds, then with all eight. A
failed assertion (a wrong value, or a finding of the watched device) kills the fault. One that survives means a missing
test; one that does not apply, does not compile, crashes or takes too long is an error.
"""

import argparse
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
LEAST = 5  # faults for each kernel file
LINE = re.compile(r"(\S+) \| (\S+) \| (.+?) \| `(.*?)` \| `(.*?)`")
TEST_OF = re.compile(r"test of (\S+): (\S+)")


class Refused(Exception):
    """A fault that could not be tried, or a test that could not be built or run."""


@dataclass(frozen=True)
class Mutant:
    kernel: str
    file: str
    claim: str
    old: str
    new: str


@dataclass(frozen=True)
class Outcome:
    verdict: str  # killed, survived or error
    by: str  # the test case and what failed in it, or what went wrong


def read_mutants(path):
    """The faults, and the test of each kernel whose test is not called as it is."""
    mutants, test_of = [], {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        if other := TEST_OF.fullmatch(line.strip()):
            test_of[other[1]] = other[2]
            continue
        match = LINE.fullmatch(line.strip())
        if not match:
            raise Refused(
                f"{path}:{number}: not `kernel | file | claim | old | new` with the texts in backticks"
            )
        mutants.append(Mutant(*match.groups()))
    return mutants, test_of


# ---- building -----------------------------------------------------------------------------------------------


def run(command, cwd, seconds, env=None):
    """The finished process; Refused if it takes longer."""
    try:
        return subprocess.run(
            command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            timeout=seconds, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused(f"took longer than {seconds} s: {Path(command[0]).name}") from None


def last_lines(text, count=12):
    return "\n".join(text.strip().splitlines()[-count:])


class Build:
    """The build folder's own commands: how each emulated kernel was compiled and each test linked."""

    def __init__(self, folder, test_of):
        self.folder, self.tests = folder.resolve(), test_of
        database = self.folder / "compile_commands.json"
        if not database.is_file():
            raise Refused(f"{database} is not there: build first (scripts/setup test)")
        self.compile, self.sources = {}, {}
        for entry in json.loads(database.read_text()):
            source = Path(entry["file"])
            words = shlex.split(entry["command"])
            if source.parent == ROOT / "cuda" and any("simt" in word for word in words):
                self.compile[source.stem], self.sources[source.stem] = words, source

    def compile_command(self, kernel):
        if kernel not in self.compile:
            raise Refused(f"no emulated object of {kernel} in {self.folder}/compile_commands.json")
        return self.compile[kernel]

    def object_of(self, kernel):
        """As the link command writes it: relative to the build folder."""
        words = self.compile_command(kernel)
        return os.path.relpath(self.folder / words[words.index("-o") + 1], self.folder)

    def link_command(self, kernel):
        test = self.tests.get(kernel, kernel)
        target = f"tests/{test}_cuda_test"
        said = run(["ninja", "-C", self.folder, "-t", "commands", "-s", target], self.folder, 60)
        if said.returncode:
            raise Refused(f"no target {target}: {last_lines(said.stdout, 3)}")
        for part in said.stdout.split("&&"):
            words = shlex.split(part)
            if (
                "-o" in words
                and any(word.endswith(f"{test}_test.cpp.o") for word in words)
                and "-c" not in words
            ):
                return words
        raise Refused(f"ninja names no link command of {target}")

    def program_of(self, kernel):
        words = self.link_command(kernel)
        program = self.folder / words[words.index("-o") + 1]
        if not program.is_file():
            raise Refused(f"{program} is not built")
        return program


def broken_sources(mutant, own, folder):
    """A copy of the kernels' headers and of `own`, the kernel's file, with the fault in it; the copy of `own`."""
    for name in ("cuda", "src"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
        for source in (ROOT / name).iterdir():
            if source.suffix in (".h", ".cuh") or source == own:
                shutil.copyfile(source, folder / name / source.name)
    path = folder / mutant.file
    if not path.is_file():
        raise Refused(f"{mutant.file} is no header of cuda/ or src/, nor cuda/{own.name}")
    text = path.read_text()
    if text.count(mutant.old) != 1 or not mutant.old:
        raise Refused(
            f"does not apply: `{mutant.old}` stands {text.count(mutant.old)} times in {mutant.file}"
        )
    if mutant.old == mutant.new:
        raise Refused("the new text is the old one")
    path.write_text(text.replace(mutant.old, mutant.new))
    return folder / "cuda" / own.name


def compile_mutant(build, mutant, folder):
    """The kernel's object with the fault in it."""
    words = list(build.compile_command(mutant.kernel))
    own = build.sources[mutant.kernel]
    source = broken_sources(mutant, own, folder)
    made = folder / f"{mutant.kernel}.o"
    words[words.index("-o") + 1] = str(made)
    moved = {str(own): str(source)}
    for name in ("cuda", "src"):
        moved[f"-I{ROOT / name}"] = f"-I{folder / name}"
    # A fault may leave a name unused: what the compiler warns of is not the question here.
    done = run([moved.get(word, word) for word in words if word != "-Werror"], build.folder, 300)
    if done.returncode:
        raise Refused(f"does not compile:\n{last_lines(done.stdout)}")
    return made


def link_mutant(build, mutant, made, program):
    words, original = build.link_command(mutant.kernel), build.object_of(mutant.kernel)
    words[words.index("-o") + 1] = str(program)
    if original in words:
        words[words.index(original)] = str(made)
    else:  # the kernels are in an archive: ours comes first, so that it is taken
        archives = [k for k, word in enumerate(words) if word.endswith(".a")]
        if not archives:
            raise Refused(f"the link command holds neither {original} nor an archive")
        words.insert(archives[0], str(made))
    done = run(words, build.folder, 120)
    if done.returncode:
        raise Refused(f"does not link:\n{last_lines(done.stdout)}")


# ---- running ------------------------------------------------------------------------------------------------


def first_failure(report):
    """The first failed assertion of Catch2's XML report: the test case, and the value or finding."""
    root = ElementTree.fromstring(report)
    for case in root.iter("TestCase"):
        name = case.get("name")
        for fatal in case.iter("FatalErrorCondition"):
            raise Refused(f"crashed in `{name}`: {fatal.text.strip()}")
        for failed in case.iter("Exception"):
            return f"`{name}`: exception: {' '.join(failed.text.split())[:160]}"
        for expression in case.iter("Expression"):
            if expression.get("success") == "false":
                return f"`{name}`: {how_it_failed(expression)}"
        for failed in case.iter("Failure"):
            return f"`{name}`: {' '.join((failed.text or '').split())[:160]}"
    raise Refused("the test failed, but its report names no failed assertion")


def how_it_failed(expression):
    original, expanded = (" ".join(expression.findtext(tag, "").split()) for tag in ("Original", "Expanded"))
    if re.fullmatch(r'(simt::report\(\)|found) == ""', original):
        return f"finding: {expanded.strip(chr(34))[:160]}"
    return f"value: {original} with {expanded}"[:200]


def run_test(program, seeds, seconds):
    """None if the test passes, else what failed first."""
    env = os.environ | {"UNISIM_SEEDS": str(seeds)}
    report = program.with_suffix(".xml")  # a file: a test may print on its own
    report.unlink(missing_ok=True)
    done = run([str(program), "--abort", "--reporter", "xml", "--out", str(report)], program.parent, seconds, env)
    if done.returncode == 0:
        return None
    if done.returncode < 0 or not report.is_file():
        raise Refused(f"crashed with {done.returncode}: {last_lines(done.stdout, 3)}")
    try:
        return first_failure(report.read_text(errors="replace"))
    except ElementTree.ParseError as error:
        raise Refused(f"crashed: its report ends early ({error})") from None


def digest(*paths):
    return hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in paths)).hexdigest()[
        :24
    ]


def attempt(build, mutant, folder, given):
    """Tries one fault. An outcome is kept by the contents of object and test, so that only changes are run again."""
    made = compile_mutant(build, mutant, folder)
    kept = folder / f"outcome-{digest(made, build.program_of(mutant.kernel))}.json"
    if kept.is_file():
        return Outcome(**json.loads(kept.read_text()))
    program = folder / "broken_test"
    link_mutant(build, mutant, made, program)
    outcome = Outcome("survived", f"{build.program_of(mutant.kernel).name} passes with {given.seeds} seeds")
    for seeds in (min(2, given.seeds), given.seeds):
        if failure := run_test(program, seeds, given.seconds):
            outcome = Outcome("killed", failure)
            break
    program.unlink()
    for old in folder.glob("outcome-*.json"):
        old.unlink()
    if outcome.verdict == "killed":  # more seeds may yet kill the others
        kept.write_text(json.dumps(vars(outcome)))
    return outcome


def try_mutant(build, mutant, given):
    name = hashlib.sha256(
        f"{mutant.kernel}\x00{mutant.file}\x00{mutant.old}\x00{mutant.new}".encode()
    ).hexdigest()[:16]
    folder = build.folder / "mutants" / f"{mutant.kernel}-{name}"
    try:
        return attempt(build, mutant, folder, given)
    except Refused as error:
        return Outcome("error", str(error))


def sound(build, kernel, given):
    """None if the unbroken test passes, else what is wrong with it."""
    try:
        failure = run_test(build.program_of(kernel), min(2, given.seeds), given.seconds)
    except Refused as error:
        failure = str(error)
    return failure


# ---- the whole ----------------------------------------------------------------------------------------------


def kernel_files():
    """The stems of the files that hold a kernel."""
    return sorted(path.stem for path in (ROOT / "cuda").glob("*.cu") if "__global__" in path.read_text())


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kernels", nargs="*", help="stems of cuda/*.cu; none: all")
    parser.add_argument("--mutants", type=Path, default=ROOT / "tests" / "mutants.txt")
    parser.add_argument("--build", type=Path, default=ROOT / "build")
    parser.add_argument("--least", type=int, default=LEAST, help="faults that each kernel file must have")
    parser.add_argument("--each", type=int, default=0, help="only so many faults of each kernel; 0: all")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=120, help="limit of one run of a test")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


def spread(mutants, count):
    """`count` of them, evenly from the first to the last."""
    if len(mutants) <= count:
        return mutants
    return [mutants[k * len(mutants) // count] for k in range(count)]


def main():
    given = arguments()
    try:
        mutants, test_of = read_mutants(given.mutants)
        build = Build(given.build, test_of)
    except Refused as error:
        print(f"mutants: {error}", file=sys.stderr)
        return 1
    kernels = given.kernels or sorted({*kernel_files(), *(m.kernel for m in mutants)})
    chosen = [m for m in mutants if m.kernel in kernels]
    unknown = sorted({m.kernel for m in mutants} - set(build.compile))
    errors = [f"there is no emulated object of a file cuda/{k}" for k in unknown]
    count = Counter(m.kernel for m in chosen)
    errors += [
        f"{k} has {count[k]} faults, at least {given.least} are asked"
        for k in kernels
        if count[k] < given.least
    ]
    if given.each:
        chosen = [m for k in kernels for m in spread([m for m in chosen if m.kernel == k], given.each)]
    with ThreadPoolExecutor(given.jobs) as pool:
        tested = [k for k in kernels if count[k]]
        broken = dict(zip(tested, pool.map(lambda k: sound(build, k, given), tested), strict=True))
        errors += [
            f"the test of {k} fails without any fault: {failure}" for k, failure in broken.items() if failure
        ]
        chosen = [m for m in chosen if not broken[m.kernel]]
        outcomes = Counter()
        for mutant, outcome in zip(
            chosen, pool.map(lambda m: try_mutant(build, m, given), chosen), strict=True
        ):
            print(f"{outcome.verdict:<8} {mutant.kernel}: {mutant.claim}\n         {outcome.by}", flush=True)
            outcomes[outcome.verdict] += 1
    for error in errors:
        print(f"ERROR    {error}")
    print(
        f"{len(chosen)} faults: {outcomes['killed']} killed, {outcomes['survived']} survived, "
        f"{outcomes['error']} could not be tried; {len(errors)} errors"
    )
    return 0 if chosen and not errors and outcomes["killed"] == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
