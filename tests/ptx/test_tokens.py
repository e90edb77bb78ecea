"""assemble_image_tokens and assemble_text_tokens from their PTX."""

import struct

import numpy as np
import pytest

from .run import Memory, compile
from .stored import BF16, KINDS, beside, refused, wrong


def positions_of(tokens, width):
    return np.random.default_rng(9).normal(size=(tokens, width)).astype(np.float32)


def images(module, kind, items, patches, registers, width, *, with_class, shift=0):
    """(tokens, the definition)"""
    tokens = with_class + registers + patches
    x, own = kind.random((items, patches, width), 1), kind.random((with_class + registers, width), 2)
    positions = positions_of(tokens, width)
    memory = Memory()
    source, out = memory.put(x, shift), memory.new((items, tokens, width), kind.dtype)
    first = memory.put(own[:1]) if with_class else 0
    more = memory.put(own[with_class:])
    args = struct.pack(
        "<QQQQqqqqQ", source, first, more, memory.put(positions), items, patches, registers, width, out
    )
    aligned = not shift and width * kind.size % 16 == 0
    module.launch(memory, f"image_tokens<{kind}>", -(-items * tokens // 8), 256, 0, [args, aligned])
    want = np.concatenate([np.broadcast_to(own, (items, *own.shape)), x], axis=1)
    return memory.get(out), kind.bits((kind.values(want) + positions).astype(np.float32))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("items, patches, registers, width, with_class, shift", [
    (1, 1, 0, 1, 1, 0), (3, 5, 2, 40, 1, 0), (2, 4, 0, 37, 0, 0), (2, 3, 1, 264, 1, 0), (1, 9, 0, 40, 1, 1),
])  # fmt: skip
def test_class_registers_and_patches_stand_in_order_with_positions(
    kind, items, patches, registers, width, with_class, shift
):
    out, want = images(
        compile("cuda/tokens.cu"),
        kind,
        items,
        patches,
        registers,
        width,
        with_class=with_class,
        shift=shift * kind.size,
    )
    assert (out == want).all()  # one sum, rounded once


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "items, length, width, placed", [(1, 1, 1, True), (3, 5, 40, True), (2, 4, 37, False), (2, 3, 264, True)]
)
def test_texts_are_rows_of_the_table_with_positions(kind, items, length, width, placed):
    table, ids = kind.random((11, width), 1), np.random.default_rng(2).integers(0, 11, (items, length))
    positions, memory = positions_of(length, width), Memory()
    out = memory.new((items, length, width), kind.dtype)
    args = struct.pack(
        "<QQQqqqQ",
        memory.put(ids),
        memory.put(table),
        memory.put(positions) if placed else 0,
        items,
        length,
        width,
        out,
    )
    aligned = width * kind.size % 16 == 0
    compile("cuda/tokens.cu").launch(
        memory, f"text_tokens<{kind}>", -(-items * length // 8), 256, 0, [args, aligned]
    )
    want = kind.values(table)[ids] + (positions if placed else 0)
    assert (memory.get(out) == kind.bits(want.astype(np.float32))).all()


FAULTS = {
    "positions beside their place": beside(r"ld\.global\.v4\.f32", 16),
    "halves of a word swapped": (r"prmt\.b32([^;]*), 0x1000;|shl\.b32([^;]*), 16;", r"shl.b32\1\2, 15;"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_is_seen(fault):
    module = compile("cuda/tokens.cu").edited(*FAULTS[fault])

    def differs():
        out, want = images(module, BF16, 2, 5, 1, 40, with_class=1)
        return wrong(BF16.values(out), BF16.values(want), 0)

    assert refused(differs)
