"""cosine_rows from its PTX."""

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import FLOAT, KINDS, padded, wrong


def cosines(module, kind, a, b, stride, shift=0):
    memory, (count, width) = Memory(), a.shape
    x, y = memory.put(padded(a, stride), shift), memory.put(padded(b, stride))
    out = memory.new(count, np.float32)
    aligned = shift == 0 and stride * kind.size % 16 == 0
    args = [rows(x, count, width, stride), rows(y, count, width, stride), out, aligned]
    module.launch(memory, f"cosine_of_rows<{kind}>", -(-count // 8), 256, 0, args)
    return memory.get(out)


def definition(x, y):
    squares = (x * x).sum(axis=1) * (y * y).sum(axis=1)
    return np.divide((x * y).sum(axis=1), np.sqrt(squares), where=squares > 0, out=np.zeros(len(x)))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "count, width, stride, shift",
    [(1, 1, 1, 0), (9, 37, 41, 0), (3, 264, 272, 0), (2, 1032, 1032, 0), (2, 40, 40, 1)],
)
def test_rows_are_compared_one_by_one(kind, count, width, stride, shift):
    a, b = kind.random((count, width), 1), kind.random((count, width), 2)
    if count > 2:
        b[1] = a[1]
        b[2] = 0
    out = cosines(compile("cuda/cosine_rows.cu"), kind, a, b, stride, shift * kind.size)
    assert not wrong(out, definition(kind.values(a), kind.values(b)), 1e-6)
    if count > 2:
        assert out[1] == 1 and out[2] == 0


FAULTS = {
    "sums handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.up"),
    "another square": (r"sqrt\.rn\.f64", "abs.f64"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_wrong_numbers(fault):
    a, b = FLOAT.random((3, 160), 1), FLOAT.random((3, 160), 2)
    out = cosines(compile("cuda/cosine_rows.cu").edited(*FAULTS[fault]), FLOAT, a, b, 160)
    assert wrong(out, definition(a.astype(float), b.astype(float)), 1e-6)
