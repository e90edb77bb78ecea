"""additive_mof from its PTX, to the bit."""

import numpy as np
import pytest

from .run import Memory, compile
from .stored import BF16, FLOAT, KINDS, beside, refused


def mixed(module, kind, a, b, alpha, shift=0):
    memory, count = Memory(), len(a)
    x, y, out = memory.put(a, shift), memory.put(b), memory.new(count, kind.dtype)
    first = np.float32(alpha)
    args = [x, y, float(first), float(np.float32(1) - first), count, out, shift == 0]
    module.launch(memory, f"mix<{kind}>", -(-count * kind.size // (16 * 256)), 256, 0, args)
    return memory.get(out)


def definition(kind, a, b, alpha):
    x, y = kind.values(a).astype(np.float32), kind.values(b).astype(np.float32)
    first = np.float32(alpha)
    return kind.bits(first * x + (np.float32(1) - first) * y)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("count, shift", [(1, 0), (7, 0), (1024, 0), (2049, 0), (24, 1)])
def test_two_rows_are_mixed_to_the_bit(kind, count, shift):
    a, b = kind.random(count, 1), kind.random(count, 2)
    for alpha in (0.3, 1.0):
        out = mixed(compile("cuda/additive_mof.cu"), kind, a, b, alpha, shift * kind.size)
        assert (out == definition(kind, a, b, alpha)).all()


FAULTS = {
    "fused": (r"add\.rn\.f32 \t(%f\d+), (%f\d+), (%f\d+);", r"fma.rn.f32 \1, \2, \2, \3;"),
    "subtracted": (r"add\.rn\.f32", "sub.rn.f32"),
    "beside its place": beside(r"ld\.global\.v4", 16),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", [FLOAT, BF16], ids=str)
def test_a_fault_in_the_ptx_is_seen(fault, kind):
    a, b = kind.random(64, 1), kind.random(64, 2)
    module = compile("cuda/additive_mof.cu").edited(*FAULTS[fault])
    assert refused(lambda: not (mixed(module, kind, a, b, 0.3) == definition(kind, a, b, 0.3)).all())
