"""interleaved_mof from its PTX."""

import numpy as np
import pytest

from .run import Memory, compile
from .stored import refused


def interleaved(module, a, b, unit, size, shift=0):
    """Tokens of bytes, moved in units of `size` bytes."""
    memory, (tokens, width) = Memory(), a.shape
    x, y, out = memory.put(a, shift), memory.put(b), memory.new((2 * tokens, width), np.uint8)
    module.launch(memory, f"take_turns<{unit}>", -(-tokens // 8), 256, 0, [x, y, tokens, width // size, out])
    return memory.get(out)


def sample(tokens, width):
    draw = np.random.default_rng(1)
    a, b = (draw.integers(0, 256, (tokens, width)).astype(np.uint8) for _ in "ab")
    return a, b, np.stack([a, b], axis=1).reshape(2 * tokens, width)


@pytest.mark.parametrize("unit, size", [("uint4", 16), ("unsigned int", 4), ("unsigned char", 1)])
@pytest.mark.parametrize("tokens, units", [(1, 1), (9, 33), (8, 160), (3, 131)])
def test_tokens_of_any_width_stand_by_turns(unit, size, tokens, units):
    a, b, want = sample(tokens, units * size)
    out = interleaved(compile("cuda/interleaved_mof.cu"), a, b, unit, size, shift=3 if size == 1 else 0)
    assert (out == want).all()


FAULTS = {
    "words swapped": (r"(ld\.global[.\w]*v4\.u32 \t)\{(%r\d+), (%r\d+), ", r"\1{\3, \2, "),
    "one token too many": (r"setp\.ge\.s64", "setp.gt.s64"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_is_seen(fault):
    a, b, want = sample(9, 160)
    module = compile("cuda/interleaved_mof.cu").edited(*FAULTS[fault])
    assert refused(lambda: not (interleaved(module, a, b, "uint4", 16) == want).all())
