"""Executes the PTX that nvcc writes for a kernel file: the second runner of docs/cuda.md.

module = compile("cuda/layer_norm.cu")
memory = Memory()
out = memory.new((3, 64), np.float32)
module.launch(memory, "normalize<float>", 3, 256, 0, [rows(x, 3, 64, 64), rows(out, 3, 64, 64)])
memory.get(out)
"""

import fcntl
import functools
import hashlib
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

from . import ops_convert, ops_float, ops_integer, ops_memory, ops_warp
from .block import Block, compile_kernel
from .machine import Machine
from .memory import Memory
from .parse import BITS, PtxError, parse

__all__ = ["Memory", "Module", "PtxError", "compile", "rows"]
assert (
    ops_convert and ops_float and ops_integer and ops_memory and ops_warp
)  # they register their instructions

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "-std=c++20",
    "-O3",
    "-ptx",
    "-arch=sm_90",
    "--expt-relaxed-constexpr",
    "-Icuda/nvidia",
    "-Icuda",
    "-Isrc",
]
GRID_LIMITS = (2**31 - 1, 65535, 65535)


def rows(pointer, count, width, stride):
    """A unisim::Rows as a kernel's argument."""
    return struct.pack("<Qqqq", pointer, count, width, stride)


def nvcc():
    found = shutil.which("nvcc") or shutil.which("nvcc", path="/usr/local/cuda/bin")
    if not found:
        pytest.skip("there is no nvcc: the PTX of the kernels cannot be written, so nothing is run")
    return found


@functools.cache
def fingerprint():
    """Of the compiler, the flags and every header a kernel may include."""
    version = subprocess.run([nvcc(), "--version"], capture_output=True, check=True).stdout
    text = hashlib.sha256(version + " ".join(FLAGS).encode())
    for folder in ("cuda", "src"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".h", ".cuh"):
                text.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return text.hexdigest()


@functools.cache
def compile(source):
    """The module of a file such as "cuda/layer_norm.cu"; its PTX is kept under build/ptx."""
    key = hashlib.sha256(fingerprint().encode() + (ROOT / source).read_bytes()).hexdigest()[:16]
    kept = ROOT / "build" / "ptx" / f"{Path(source).stem}-{key}.ptx"
    kept.parent.mkdir(parents=True, exist_ok=True)
    with kept.with_suffix(".lock").open("w") as lock:  # test processes side by side compile it once
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            part = kept.with_suffix(".part")
            command = [nvcc(), *FLAGS, source, "-o", part]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
            if done.returncode:
                raise PtxError(f"nvcc refuses {source}:\n{done.stderr}")
            part.replace(kept)
    return Module(kept.read_text(), source)


def demangled(names):
    tool = (
        shutil.which("c++filt")
        or shutil.which("cu++filt", path="/usr/local/cuda/bin")
        or pytest.skip("no c++filt")
    )
    done = subprocess.run([tool], input="\n".join(names), capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def short_name(text):
    """ "void unisim::(anonymous namespace)::f<float>(float const*)" to "f<float>"."""
    text = text.replace("(anonymous namespace)", "").replace("<unnamed>", "").replace("::::", "::")
    depth, end = 0, len(text)
    for k, c in enumerate(text):
        depth += (c == "<") - (c == ">")
        if c == "(" and depth == 0:
            end = k
            break
    plain = re.sub(r"\b(\d+)(u|l|ul)\b", r"\1", text[:end])  # 64u: a number is a number
    return re.sub(r"^(void )?(unisim::)?(::)?", "", plain)


class Module:
    """PTX text, ready to launch its kernels."""

    def __init__(self, text, source="PTX"):
        self.text, self.source = text, source

    @functools.cached_property
    def program(self):
        return parse(self.text)

    @functools.cached_property
    def names(self):
        """Short demangled name to the kernel's own."""
        mangled = list(self.program.kernels)
        return dict(zip(map(short_name, demangled(mangled)), mangled, strict=True)) if mangled else {}

    def kernel(self, name):
        found = [own for short, own in self.names.items() if short == name]
        found = found or [
            own for short, own in self.names.items() if re.match(re.escape(name) + r"(?!\w)", short)
        ]
        if len(found) != 1:
            raise PtxError(
                f"{self.source}: {len(found)} kernels are called {name}; there are {sorted(self.names)}"
            )
        return self.program.kernels[found[0]].read()

    def edited(self, pattern, replacement, count=0):
        """With a fault: the regular expression replaced everywhere, or `count` times. It must be there."""
        text, changes = re.subn(pattern, replacement, self.text, count=count)
        if not changes or text == self.text:
            raise LookupError(f"{self.source}: nothing to replace for {pattern}")
        return Module(text, self.source)

    def launch(self, memory, name, grid, block, shared_bytes, args):
        grid, block = three(grid), three(block)
        kernel = self.kernel(name)
        if (
            np.prod(block) > 1024
            or min(grid + block) < 1
            or any(g > top for g, top in zip(grid, GRID_LIMITS, strict=True))
        ):
            raise PtxError(f"{name}: a grid of {grid} with blocks of {block}")
        if len(args) != len(kernel.params):
            raise PtxError(f"{name}: {len(args)} arguments for {len(kernel.params)} parameters")
        data = [argument(p, value) for p, value in zip(kernel.params, args, strict=True)]
        with np.errstate(all="ignore"):
            machine = Machine(self.program, kernel, memory, grid, block, shared_bytes, data)
            running = Block(compile_kernel(kernel, machine), machine)
            for z, y, x in np.ndindex(grid[::-1]):
                machine.begin(x, y, z)
                try:
                    running.execute()
                except PtxError as fault:
                    raise PtxError(f"{self.source}, {name}, block {(x, y, z)}: {fault}") from None


def three(size):
    size = (size,) if isinstance(size, int | np.integer) else tuple(size)
    return tuple(int(n) for n in size) + (1,) * (3 - len(size))


def argument(param, value):
    """The bytes of a parameter: a struct as bytes, numbers by the parameter's type."""
    if isinstance(value, bytes):
        data = value
    elif param.kind in ("f32", "f64"):
        data = struct.pack("<f" if param.kind == "f32" else "<d", value)
    else:
        data = (int(value) % (1 << BITS[param.kind])).to_bytes(BITS[param.kind] // 8, "little")
    if len(data) != param.size:
        raise PtxError(f"{len(data)} bytes for the parameter {param.name}, which has {param.size}")
    return data
