"""unit_rows from its PTX."""

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import KINDS, beside, padded, refused


def divided(module, number, kind, x, squares, stride, out_stride, aligned):
    count, width = x.shape
    memory = Memory()
    source, lengths = memory.put(padded(x, stride)), memory.put(squares)
    out = memory.new((count, out_stride), kind.dtype)
    name = f"divide_rows<{number}, {kind}>"
    args = [rows(source, count, width, stride), lengths, rows(out, count, width, out_stride), aligned]
    module.launch(memory, name, -(-count // 8), 256, 0, args)
    result = memory.get(out)
    assert (result[:, width:].view(np.uint8) == 0xFF).all()
    return result[:, :width]


@pytest.mark.parametrize("number, dtype", [("float", np.float32), ("double", np.float64)])
@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "count, width, stride, aligned",
    [(9, 72, 72, True), (2, 37, 41, False), (3, 133, 136, True), (1, 1, 1, False)],
)
def test_rows_are_divided_by_their_lengths_and_rounded(number, dtype, kind, count, width, stride, aligned):
    x = np.random.default_rng(1).normal(size=(count, width)).astype(dtype)
    x[count - 1] *= count > 1
    squares = (x.astype(np.float64) ** 2).sum(axis=1)
    out = divided(compile("cuda/unit_rows.cu"), number, kind, x, squares, stride, stride, aligned)
    scale = np.divide(1, np.sqrt(squares), where=squares > 0, out=np.zeros(count))
    want = kind.bits((x.astype(np.float64) * scale[:, None]).astype(np.float32))
    assert (out == want).all()  # nothing is approximate: the same bits


FAULTS = {
    "the root forgotten": (r"sqrt\.rn\.f64", "abs.f64"),
    "vectors beside their place": beside(r"ld\.global\.v4", 8),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_is_seen(fault):
    x = np.random.default_rng(1).normal(size=(2, 64)).astype(np.float32)
    squares = (x.astype(np.float64) ** 2).sum(axis=1)
    module = compile("cuda/unit_rows.cu").edited(*FAULTS[fault])
    want = x / np.sqrt(squares)[:, None]
    assert refused(
        lambda: not np.allclose(divided(module, "float", KINDS[0], x, squares, 64, 64, True), want)
    )
