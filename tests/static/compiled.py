"""What nvcc and nvdisasm say of every kernel in a source file: registers, memory, bounds, instructions."""

import functools
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
INCLUDES = [ROOT / "cuda" / "nvidia", ROOT / "cuda", ROOT / "src"]
FLAGS = [
    "-std=c++20", "-O3", "--expt-relaxed-constexpr", "-Werror", "all-warnings", "-Xcompiler=-Wall,-Wextra",
    "-Xptxas", "-v",
]  # fmt: skip
NO_LOCAL_MEMORY = ["-Xptxas", "--warn-on-spills,--warn-on-local-memory-usage"]

# The instructions that limits speak of: column, and how nvdisasm writes them.
INSTRUCTIONS = {
    "hmma": r"HMMA\.16816\.",
    "imma": r"IMMA\.16832\.",
    "ldgsts": r"LDGSTS\.\S*\b128\b",
    "ldsm": r"LDSM\.\S*\bM88\b",
    "ldsm_trans": r"LDSM\.\S*\bMT88\b",
    "ldg128": r"LDG\.\S*\b128\b",
    "stg128": r"STG\.\S*\b128\b",
}
FORBIDDEN = r"(LDL|STL)\b"


class CompileError(Exception):
    """nvcc refused a source, or said something that is not understood."""


@dataclass
class Kernel:
    """One kernel as compiled for one architecture; bytes and counts."""

    name: str
    registers: int
    shared: int
    stack: int
    spills: int
    bound: int  # threads of __launch_bounds__, or 0 without
    dynamic: bool  # whether it uses dynamic shared memory
    instructions: dict | None = None  # None: nvdisasm is not there
    forbidden: list = field(default_factory=list)


def nvcc():
    return shutil.which("nvcc")


def nvdisasm():
    """The program of the wheel nvidia-cuda-nvdisasm, or a toolkit's, or None."""
    wheels = sorted(Path(sys.prefix).glob("lib/python*/site-packages/nvidia/cu*/bin/nvdisasm"))
    return str(wheels[-1]) if wheels else shutil.which("nvdisasm")


def output_of(command):
    """What the command printed on both streams; CompileError with it if it failed."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise CompileError(done.stdout.strip() or f"{command[0]} ended with {done.returncode}")
    return done.stdout


@functools.cache
def tools():
    return output_of([nvcc(), "--version"]) + (output_of([nvdisasm(), "--version"]) if nvdisasm() else "")


def sources_of(path, seen=None):
    """The file and what it includes from our folders, each once."""
    seen = [] if seen is None else seen
    if path in seen:
        return seen
    seen.append(path)
    for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
        for folder in [path.parent, *INCLUDES]:
            if (folder / name).is_file():
                sources_of((folder / name).resolve(), seen)
                break
    return seen


def flags(arch, local_memory):
    return [*FLAGS, *([] if local_memory else NO_LOCAL_MEMORY), f"-arch={arch}"]


def cache_key(source, options):
    digest = hashlib.sha256("\0".join([tools(), *options, Path(__file__).read_text()]).encode())
    for path in sources_of(source.resolve()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:32]


def demangled(names):
    """Mangled name -> short name: no namespace, no return type, no parameters unless two would be called alike."""
    full = output_of(["c++filt", *names]).splitlines()
    full = [re.sub(r"\(anonymous namespace\)::|\bunisim::", "", name) for name in full]
    full = [re.sub(r"^void ", "", name) for name in full]
    short = [name[: end_of_name(name)] for name in full]
    count = Counter(short)
    return {
        mangled: whole if count[name] > 1 else name
        for mangled, whole, name in zip(names, full, short, strict=True)
    }


def end_of_name(declaration):
    """Where the parameters begin: the first parenthesis outside template arguments."""
    depth = 0
    for k, letter in enumerate(declaration):
        depth += (letter == "<") - (letter == ">")
        if letter == "(" and depth == 0:
            return k
    return len(declaration)


def parse_ptxas(text):
    """Mangled name -> (registers, static shared memory, stack frame, spills)."""
    found = {}
    for part in re.split(r"Compiling entry function '", text)[1:]:
        name = part[: part.index("'")]
        properties = re.search(
            rf"Function properties for {re.escape(name)}\s+(\d+) bytes stack frame, (\d+) bytes spill stores, "
            r"(\d+) bytes spill loads", part)  # fmt: skip
        used = re.search(r"Used (\d+) registers", part)
        if not properties or not used:
            raise CompileError(f"ptxas -v is not understood for {name}:\n{part}")
        shared = re.search(r"(\d+) bytes smem", part)
        stack, stores, loads = map(int, properties.groups())
        found[name] = (int(used[1]), int(shared[1]) if shared else 0, stack, stores + loads)
    return found


def parse_ptx(text):
    """Mangled name -> (threads of its launch bound or 0, whether it uses dynamic shared memory)."""
    dynamic = re.findall(r"^\.extern \.shared .*?(\w+)\[\];", text, re.MULTILINE)
    found = {}
    for part in re.split(r"\.entry\s+", text)[1:]:
        name = re.match(r"\w+", part)[0]
        bound = re.search(r"\.maxntid\s+(\d+)(?:,\s*(\d+))?(?:,\s*(\d+))?", part)
        threads = 0
        if bound:
            threads = int(bound[1]) * int(bound[2] or 1) * int(bound[3] or 1)
        found[name] = (threads, any(re.search(rf"\b{re.escape(symbol)}\b", part) for symbol in dynamic))
    return found


def parse_sass(text):
    """Mangled name -> (counts of INSTRUCTIONS, the forbidden ones there)."""
    found = {}
    for part in re.split(r"^\s*\.section\s+\.text\.", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"\w+", part)[0]
        codes = re.findall(r"^\s*/\*[0-9a-f]+\*/\s+(?:@!?U?P\w+\s+)?([A-Z][\w.]*)", part, re.MULTILINE)
        counts = {
            column: sum(bool(re.match(p, code)) for code in codes) for column, p in INSTRUCTIONS.items()
        }
        found[name] = (counts, sorted({code for code in codes if re.match(FORBIDDEN, code)}))
    return found


def compile_kernels(source, arch, cache, local_memory):
    """Every kernel of the source for the architecture, from the cache where neither sources nor tools changed. Without
    `local_memory` a spill is a CompileError."""
    options = flags(arch, local_memory)
    stored = cache / f"{source.stem}-{arch}-{cache_key(source, options)}.json"
    if stored.is_file():
        return [Kernel(**kernel) for kernel in json.loads(stored.read_text())]
    with tempfile.TemporaryDirectory() as work:
        cubin = Path(work) / "kernels.cubin"
        said = output_of([
            nvcc(), *options, *(f"-I{folder}" for folder in INCLUDES), "-cubin", "--keep",
            f"--keep-dir={work}", str(source), "-o", str(cubin),
        ])  # fmt: skip
        resources = parse_ptxas(said)
        bounds = parse_ptx((Path(work) / f"{source.stem}.ptx").read_text())
        sass = parse_sass(output_of([nvdisasm(), "-c", str(cubin)])) if nvdisasm() and resources else {}
    names = demangled(sorted(resources)) if resources else {}
    kernels = [
        Kernel(names[mangled], *numbers, *bounds[mangled], *sass.get(mangled, (None, [])))
        for mangled, numbers in resources.items()
    ]
    kernels.sort(key=lambda kernel: kernel.name)
    cache.mkdir(parents=True, exist_ok=True)
    part = stored.with_suffix(f".{Path(work).name}")
    part.write_text(json.dumps([asdict(kernel) for kernel in kernels], indent=1))
    part.replace(stored)
    return kernels
