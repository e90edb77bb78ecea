"""l2_normalize from its PTX."""

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import FLOAT, KINDS, padded, wrong


def normalized(module, kind, x, stride, shift=0):
    """(out, flag, its gaps) of the kernel."""
    count, width = x.shape
    memory = Memory()
    source = memory.put(padded(x, stride), shift)
    out, flag = memory.new((count, stride), kind.dtype), memory.put(np.zeros(1, np.int32))
    aligned = shift == 0 and stride * kind.size % 16 == 0
    args = [rows(source, count, width, stride), rows(out, count, width, stride), flag, aligned]
    module.launch(memory, f"normalize_rows<{kind}>", -(-count // 8), 256, 0, args)
    result = memory.get(out)
    assert (result[:, width:].view(np.uint8) == 0xFF).all()
    return kind.values(result[:, :width]), memory.get(flag)[0]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "count, width, stride, elements",
    [(1, 1, 1, 0), (9, 7, 9, 0), (3, 264, 264, 0), (8, 131, 136, 0), (2, 40, 40, 1)],
)
def test_rows_are_divided_by_their_lengths(kind, count, width, stride, elements):
    x = kind.random((count, width), 3)
    out, flag = normalized(compile("cuda/l2_normalize.cu"), kind, x, stride, elements * kind.size)
    values = kind.values(x)
    want = values / np.sqrt((values**2).sum(axis=1, keepdims=True))
    # the length's own error, and one rounding to what is stored
    assert not wrong(out, want, (kind.rounding + 4e-7) * np.abs(want) + 2.0**-25) and flag == 0


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_rows_that_are_zero_or_not_finite_are_flagged(kind):
    module = compile("cuda/l2_normalize.cu")
    for bad in (np.inf, np.nan):
        assert normalized(module, kind, kind.bits(np.array([[1.0, bad]])), 2)[1] == 1
    out, flag = normalized(module, kind, kind.bits(np.array([[3.0, 4.0], [0.0, 0.0]])), 2)
    assert flag == 1 and not wrong(out, [[0.6, 0.8], [0, 0]], kind.rounding)


FAULTS = {
    "a sum handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.down"),
    "no square root": (r"sqrt\.rn\.f32", "abs.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_wrong_numbers(fault):
    module = compile("cuda/l2_normalize.cu")
    x = FLOAT.random((3, 264), 3)
    want = x / np.sqrt((x.astype(float) ** 2).sum(axis=1, keepdims=True))
    assert not wrong(normalized(module, FLOAT, x, 264)[0], want, 1e-6)
    assert wrong(normalized(module.edited(*FAULTS[fault]), FLOAT, x, 264)[0], want, 1e-6)
