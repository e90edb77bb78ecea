"""No kernel holds an instruction that the runner does not know; no kernel file is without a test."""

from pathlib import Path

import pytest

from .block import compile_kernel
from .machine import Machine
from .run import ROOT, Memory, compile

FILES = sorted(path.name for path in (ROOT / "cuda").glob("*.cu"))


@pytest.mark.parametrize("name", FILES)
def test_every_instruction_of_a_kernel_file_is_known(name):
    module = compile(f"cuda/{name}")
    for kernel in module.program.kernels.values():
        args = [bytes(param.size) for param in kernel.params]
        compile_kernel(
            kernel.read(), Machine(module.program, kernel, Memory(), (1, 1, 1), (32, 1, 1), 0, args)
        )


def test_every_kernel_file_has_a_test_here():
    tests = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    kernels = [name for name in FILES if "__global__" in (ROOT / "cuda" / name).read_text()]
    assert [name for name in kernels if f"cuda/{name}" not in tests] == []
