"""bias_activation and gated_activation from their PTX."""

import math

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import BF16, FLOAT, KINDS, padded, refused, wrong

ACTIVATIONS = {
    0: lambda x: x / 2 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    1: lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    2: lambda x: x / (1 + np.exp(-1.702 * x)),
    3: lambda x: x / (1 + np.exp(-x)),
    4: lambda x: np.maximum(x, 0),
}


def activated(module, kind, activation, x, bias, stride, *, gated=False, shift=0, blocks=None):
    """(out, the definition) with a grid of `blocks` rows of blocks."""
    count, wide = x.shape
    width = wide // 2 if gated else wide
    memory, pack = Memory(), 16 // kind.size
    source = memory.put(padded(x, stride), shift)
    out = memory.new((count, stride), kind.dtype)
    added = memory.put(bias) if bias is not None else 0
    aligned = not shift and stride % pack == 0 and (not gated or width % pack == 0)
    across, down = -(-width // (32 * pack)), blocks or -(-count // 8)
    name = f"{'gate' if gated else 'activate'}_rows<{kind}, (unisim::Activation){activation}>"
    args = [rows(source, count, wide, stride), added, rows(out, count, width, stride), aligned]
    module.launch(memory, name, (across, down), 256, 0, args)
    result = memory.get(out)
    assert (result[:, width:].view(np.uint8) == 0xFF).all()
    s = kind.values(x) + (kind.values(bias) if bias is not None else 0)
    want = ACTIVATIONS[activation](s[:, :width]) * (s[:, width:] if gated else 1)
    return kind.values(result[:, :width]), want


def tolerance(kind, want):
    """One rounding to what is stored, and what the fast exponential and division lose."""
    return kind.rounding * np.abs(want) + 2e-6 * (1 + np.abs(want))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_bias_is_added_and_the_activation_taken(kind, activation):
    module = compile("cuda/bias_activation.cu")
    for count, width, stride, shift in [(9, 40, 40, 0), (2, 133, 137, 0), (3, 40, 40, kind.size)]:
        x, bias = kind.random((count, width), 1, scale=3), kind.random(width, 2)
        out, want = activated(module, kind, activation, x, bias, stride, shift=shift)
        assert not wrong(out, want, tolerance(kind, want))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_first_half_gates_the_second(kind, activation):
    module = compile("cuda/bias_activation.cu")
    for count, width, stride in [(9, 40, 80), (2, 13, 28)]:
        x, bias = kind.random((count, 2 * width), 1), kind.random(2 * width, 2)
        out, want = activated(module, kind, activation, x, bias, stride, gated=True)
        assert not wrong(out, want, tolerance(kind, want))


def test_rows_are_taken_by_turns_and_no_bias_is_none():
    out, want = activated(
        compile("cuda/bias_activation.cu"), BF16, 3, BF16.random((37, 8), 1), None, 8, blocks=2
    )
    assert not wrong(out, want, tolerance(BF16, want))


FAULTS = {
    "words swapped": (r"(ld\.global\.v4\.[uf]32 \t)\{(%[rf]\d+), (%[rf]\d+), ", r"\1{\3, \2, "),
    "another approximation": (r"ex2\.approx(\.ftz)?\.f32", "rcp.approx.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_is_seen(fault):
    module = compile("cuda/bias_activation.cu").edited(*FAULTS[fault])

    def differs():
        out, want = activated(module, FLOAT, 3, FLOAT.random((4, 64), 1), FLOAT.random(64, 2), 64)
        return wrong(out, want, tolerance(FLOAT, want))

    assert refused(differs)
