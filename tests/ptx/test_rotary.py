"""rotary from its PTX."""

import struct

import numpy as np
import pytest

from .run import Memory, compile
from .stored import BF16, FLOAT, KINDS, refused, wrong


def turned(module, kind, x, width, first, shift=0):
    """x [items, tokens, heads, room], of which each head uses `width` numbers; (out, the definition)."""
    items, tokens, heads, room = x.shape
    half = width // 2
    angles = np.random.default_rng(4).normal(size=(first + tokens, half))
    cosine, sine = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    memory = Memory()
    place = memory.put(x, shift)
    args = struct.pack(
        "<Qqqqqqqq", place, tokens * heads * room, heads * room, room, items, tokens, heads, width
    )
    args += struct.pack("<QQq", memory.put(cosine), memory.put(sine), first)
    pack = 16 // kind.size
    aligned = shift == 0 and room % pack == 0 and half % pack == 0
    module.launch(memory, f"turn_tokens<{kind}>", -(-items * tokens // 8), 256, 0, [args, aligned])
    c, s = (table[first:, None, :].astype(np.float64) for table in (cosine, sine))
    a, b = kind.values(x)[..., :half], kind.values(x)[..., half:width]
    want = np.concatenate([a * c - b * s, b * c + a * s], axis=-1)
    out = memory.get(place)
    assert (out[..., width:] == x[..., width:]).all()
    return kind.values(out)[..., :width], want


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("items, tokens, heads, width, room, first, shift", [
    (1, 1, 1, 2, 2, 0, 0), (2, 5, 3, 64, 72, 2, 0), (1, 9, 2, 22, 23, 1, 0), (1, 3, 2, 32, 32, 0, 1),
])  # fmt: skip
def test_pairs_are_turned_by_the_angle_of_their_place(kind, items, tokens, heads, width, room, first, shift):
    x = kind.random((items, tokens, heads, room), 1)
    out, want = turned(compile("cuda/rotary.cu"), kind, x, width, first, shift * kind.size)
    assert not wrong(out, want, kind.rounding * np.abs(want) + 1e-6)


FAULTS = {
    "not taken away": (r"(sub|neg)\.f32", lambda found: {"sub": "add.f32", "neg": "mov.f32"}[found[1]]),
    "words swapped": (r"(ld\.global[.\w]*v4\.[uf]32 \t)\{(%[rf]\d+), (%[rf]\d+), ", r"\1{\3, \2, "),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", [FLOAT, BF16], ids=str)
def test_a_fault_in_the_ptx_gives_wrong_numbers(fault, kind):
    module = compile("cuda/rotary.cu").edited(*FAULTS[fault])

    def differs():
        out, want = turned(module, kind, kind.random((1, 3, 2, 64), 1), 64, 1)
        return wrong(out, want, 0.05)

    assert refused(differs)
