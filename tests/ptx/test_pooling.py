"""pool_row and pool_mean from their PTX."""

import struct

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import BF16, FLOAT, KINDS, beside, refused, wrong


def pooled(module, kind, x, *, index=None, first=None, stride=None, shift=0):
    """The row at index[i] of item i; with `first` the mean from that row on."""
    items, tokens, width = x.shape
    stride, pack, memory = stride or width, 16 // kind.size, Memory()
    source, out = memory.put(x, shift), memory.new((items, stride), kind.dtype)
    pooling = struct.pack("<Qqqq", source, items, tokens, width) + rows(out, items, width, stride)
    aligned = not shift and width % pack == 0
    if first is None:
        chosen = 0 if index is None else memory.put(np.array(index, np.int64))
        args = [pooling, chosen, aligned and stride % pack == 0]
        module.launch(memory, f"copy_rows<{kind}>", -(-items // 8), 256, 0, args)
    else:
        module.launch(
            memory, f"mean_rows<{kind}>", items * -(-width // (32 * pack)), 256, 0, [pooling, first, aligned]
        )
    result = memory.get(out)
    assert (result[:, width:].view(np.uint8) == 0xFF).all()
    return result[:, :width]


SHAPES = [(1, 1, 1, 1, 0), (9, 3, 40, 48, 0), (2, 17, 37, 41, 0), (2, 5, 264, 264, 0), (3, 4, 40, 40, 1)]


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("items, tokens, width, stride, shift", SHAPES)
def test_rows_are_copied_from_their_index(kind, items, tokens, width, stride, shift):
    x, module = kind.random((items, tokens, width), 1), compile("cuda/pooling.cu")
    index = [(3 * i + 1) % tokens for i in range(items)]
    out = pooled(module, kind, x, index=index, stride=stride, shift=shift * kind.size)
    assert (out == x[np.arange(items), index]).all()
    assert (pooled(module, kind, x, stride=stride, shift=shift * kind.size) == x[:, 0]).all()


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("items, tokens, width, stride, shift", SHAPES)
def test_rows_from_one_on_are_averaged(kind, items, tokens, width, stride, shift):
    x = kind.random((items, tokens, width), 1)
    for first in {0, tokens - 1}:
        out = pooled(compile("cuda/pooling.cu"), kind, x, first=first, stride=stride, shift=shift * kind.size)
        want = kind.values(x)[:, first:].mean(axis=1)
        assert not wrong(kind.values(out), want, kind.rounding * np.abs(want) + 1e-6)


FAULTS = {
    "a warp's sum left out": beside(r"st\.shared\.v4", 16),
    "multiplied by the count": (r"div\.rn\.f32", "mul.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", [FLOAT, BF16], ids=str)
def test_a_fault_in_the_ptx_is_seen(fault, kind):
    x = kind.random((2, 17, 40), 1)
    want = kind.values(x)[:, 1:].mean(axis=1)
    module = compile("cuda/pooling.cu").edited(*FAULTS[fault])
    assert refused(lambda: wrong(kind.values(pooled(module, kind, x, first=1)), want, 0.01))
