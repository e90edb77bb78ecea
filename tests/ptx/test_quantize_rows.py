"""quantize_rows from its PTX."""

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import FLOAT, KINDS, padded


def quantized(module, kind, x, stride, out_stride, shift=0):
    count, width = x.shape
    memory, pack = Memory(), 16 // kind.size
    source = memory.put(padded(x, stride), shift)
    out = memory.new((count, out_stride), np.int8)
    scale, residual = memory.new(count, np.float32), memory.new(count, np.float32)
    aligned = not shift and stride % pack == 0 and out_stride % pack == 0
    args = [rows(source, count, width, stride), rows(out, count, width, out_stride), scale, residual, aligned]
    module.launch(memory, f"quantize<{kind}>", -(-count // 8), 256, 0, args)
    result = memory.get(out)
    assert (result[:, width:] == -1).all()
    return result[:, :width], memory.get(scale), memory.get(residual)


def definition(values):
    scale = (np.abs(values).max(axis=1) / 127).astype(np.float32)
    divided = np.divide(
        values.astype(np.float32),
        scale[:, None],
        where=scale[:, None] > 0,
        out=np.zeros(values.shape, np.float32),
    )
    q = np.clip(np.rint(divided), -127, 127).astype(np.int8)
    missed = np.sqrt(((values - scale[:, None].astype(float) * q) ** 2).sum(axis=1))
    return q, scale, missed


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("count, width, stride, out_stride, shift", [
    (9, 264, 264, 264, 0), (1, 1, 1, 1, 0), (3, 37, 41, 39, 0), (2, 40, 40, 40, 1), (2, 300, 304, 304, 0),
])  # fmt: skip
def test_rows_become_bytes_and_the_residual_is_an_upper_bound(kind, count, width, stride, out_stride, shift):
    x = kind.random((count, width), 1, scale=0.1)
    x[count - 1, :] = 0
    q, scale, residual = quantized(
        compile("cuda/quantize_rows.cu"), kind, x, stride, out_stride, shift * kind.size
    )
    want_q, want_scale, missed = definition(kind.values(x))
    assert (q == want_q).all() and (scale == want_scale).all()
    assert (residual >= missed).all() and (residual <= missed * (1 + 3e-7) + 1e-40).all()


FAULTS = {
    "the largest handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.down"),
    "rounded towards zero": (r"cvt\.rni\.s32\.f32", "cvt.rzi.s32.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_wrong_bytes(fault):
    x = FLOAT.random((2, 264), 1)
    q, *_ = quantized(compile("cuda/quantize_rows.cu").edited(*FAULTS[fault]), FLOAT, x, 264, 264)
    assert not (q == definition(x.astype(float))[0]).all()
