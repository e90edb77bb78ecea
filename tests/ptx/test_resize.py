"""Both passes of resize from their PTX, to the bit."""

import struct

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import refused

BITS = 22


def axis_of(outputs, inputs, most):
    """(first, count, weights) whose windows reach both ends of the inputs."""
    draw = np.random.default_rng(outputs)
    count = np.minimum(draw.integers(1, most + 1, outputs), inputs).astype(np.int32)
    first = (np.linspace(0, 1, outputs) * (inputs - count)).astype(np.int32)
    taps = -(-most // 4) * 4
    weights = np.zeros((outputs, taps), np.int32)
    for i in range(outputs):
        parts = draw.normal(size=count[i]) * 0.3
        parts[0] += 1 - parts.sum()
        weights[i, : count[i]] = np.clip(np.rint(parts * 2**BITS), -(2**23) + 1, 2**23 - 1)
    return first, count, weights


def put_axis(memory, first, count, weights):
    return struct.pack("<QQQi4x", memory.put(first), memory.put(count), memory.put(weights), weights.shape[1])


def passed(x, first, count, weights):
    """Along axis 0."""
    out = np.empty((len(first), *x.shape[1:]), np.uint8)
    for i, (start, n) in enumerate(zip(first, count, strict=True)):
        total = np.tensordot(weights[i, :n].astype(np.int64), x[start : start + n].astype(np.int64), 1) + (
            1 << BITS - 1
        )
        out[i] = np.clip(total >> BITS, 0, 255)
    return out


def picture(height, width, stride):
    out = np.zeros((height, stride), np.uint8)
    out[:, :width] = np.random.default_rng(height * width).integers(0, 256, (height, width))
    return out


def horizontal(module, height, inputs, outputs, most, *, padding=0, shift=0):
    memory, wide = Memory(), 3 * inputs
    x, axis = picture(height, wide, wide + padding), axis_of(outputs, inputs, most)
    source, out = (
        memory.put(x.reshape(-1)[: (height - 1) * (wide + padding) + wide], shift),
        memory.new((height, 3 * outputs), np.uint8),
    )
    args = [
        rows(source, height, wide, wide + padding),
        rows(out, height, 3 * outputs, 3 * outputs),
        put_axis(memory, *axis),
    ]
    blocks = -(-outputs // 32) * -(-height // 8)
    module.launch(memory, "pass_horizontally", blocks, 256, 0, [*args, 3 * outputs % 4 == 0, True])
    pixels = x[:, :wide].reshape(height, inputs, 3).transpose(1, 0, 2)
    return memory.get(out), passed(pixels, *axis).transpose(1, 0, 2).reshape(height, -1)


def vertical(module, inputs, outputs, width, most, *, padding=0, shift=0):
    memory, stride = Memory(), width + padding
    x, axis = picture(inputs, width, stride), axis_of(outputs, inputs, most)
    source, out = (
        memory.put(x.reshape(-1)[: (inputs - 1) * stride + width], shift),
        memory.new((outputs, width), np.uint8),
    )
    args = [rows(source, inputs, width, stride), rows(out, outputs, width, width), put_axis(memory, *axis)]
    blocks = -(-width // 512) * -(-outputs // 8)
    module.launch(
        memory, "pass_vertically", blocks, 256, 0, [*args, stride % 16 == 0 and not shift, width % 16 == 0]
    )
    return memory.get(out), passed(x[:, :width], *axis)


@pytest.mark.parametrize("height, inputs, outputs, most, padding, shift", [
    (1, 1, 1, 1, 0, 0), (9, 40, 36, 5, 0, 0), (3, 17, 33, 9, 5, 1), (2, 70, 8, 12, 2, 3), (2, 8, 35, 4, 0, 2),
])  # fmt: skip
def test_the_horizontal_pass_has_the_bits_of_the_definition(height, inputs, outputs, most, padding, shift):
    out, want = horizontal(
        compile("cuda/resize.cu"), height, inputs, outputs, most, padding=padding, shift=shift
    )
    assert (out == want).all()


@pytest.mark.parametrize("inputs, outputs, width, most, padding, shift", [
    (1, 1, 1, 1, 0, 0), (20, 9, 48, 5, 0, 0), (9, 17, 51, 4, 3, 1), (30, 3, 530, 12, 6, 0),
    (5, 4, 13, 3, 0, 2), (4, 3, 16, 2, 16, 0),
])  # fmt: skip
def test_the_vertical_pass_has_the_bits_of_the_definition(inputs, outputs, width, most, padding, shift):
    out, want = vertical(
        compile("cuda/resize.cu"), inputs, outputs, width, most, padding=padding, shift=shift
    )
    assert (out == want).all()


FAULTS = {
    "not rounded": (r"shr\.s32([^;]*), 22;", r"shr.s32\1, 21;"),
    "not clamped": (r"min\.s32([^;]*), 255;", r"min.s32\1, 254;"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("one_pass, shape", [(horizontal, (9, 40, 36, 5)), (vertical, (20, 9, 48, 5))])
def test_a_fault_in_the_ptx_is_seen(fault, one_pass, shape):
    module = compile("cuda/resize.cu").edited(*FAULTS[fault])

    def differs():
        out, want = one_pass(module, *shape)
        return not (out == want).all()

    assert refused(differs)
