"""lpips_distance from its PTX: the sum over places in one block an item, or in parts that are added."""

import struct

import numpy as np
import pytest

from .run import Memory, compile
from .stored import BF16, FLOAT, KINDS, refused, wrong


def distances(module, kind, x, y, weight, start, parts):
    items, places, channels = x.shape
    memory, pack = Memory(), 16 // kind.size
    out, workspace = memory.put(start), memory.new((items, parts), np.float32) if parts > 1 else 0
    layer = struct.pack(
        "<QQQqqqQ", memory.put(x), memory.put(y), memory.put(weight), items, places, channels, workspace
    )
    lanes = 1
    while lanes < 32 and lanes * pack < channels:
        lanes *= 2
    args = [layer, parts, lanes, workspace or out, channels % pack == 0]
    module.launch(memory, f"sum_places<{kind}>", items * parts, 256, 0, args)
    if parts > 1:
        module.launch(memory, "add_parts", items, 256, 0, [workspace, parts, places, out])
    return memory.get(out)


def definition(x, y, weight):
    def unit(a):
        return a / (np.sqrt((a**2).sum(axis=-1, keepdims=True)) + 1e-10)

    return ((unit(x) - unit(y)) ** 2 * weight).sum(axis=-1).mean(axis=-1)


def sample(kind, items, places, channels):
    x, y = kind.random((items, places, channels), 1), kind.random((items, places, channels), 2)
    return x, y, np.abs(np.random.default_rng(3).normal(size=channels)).astype(np.float32)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(
    "items, places, channels, parts",
    [(1, 1, 1, 1), (2, 37, 24, 1), (2, 9, 64, 4), (1, 70, 35, 2), (1, 17, 264, 1)],
)
def test_distances_are_added_to_what_is_there(kind, items, places, channels, parts):
    x, y, weight = sample(kind, items, places, channels)
    start = np.arange(items, dtype=np.float32) + 1
    out = distances(compile("cuda/lpips_distance.cu"), kind, x, y, weight, start, parts)
    want = definition(kind.values(x), kind.values(y), weight)
    assert not wrong(out - start, want, 1e-5 * (1 + want))


def test_a_picture_is_at_no_distance_from_itself():
    x, _, weight = sample(BF16, 2, 9, 40)
    assert (
        distances(compile("cuda/lpips_distance.cu"), BF16, x, x, weight, np.zeros(2, np.float32), 1) == 0
    ).all()


FAULTS = {
    "sums handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.up"),
    "a part left out": (r"(ld\.shared\.v4\.f32 \t)\{(%f\d+), (%f\d+), ", r"\1{\2, \2, "),
    "not the square root": (r"sqrt\.rn\.f32", "abs.f32"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_wrong_numbers(fault):
    x, y, weight = sample(FLOAT, 1, 70, 24)
    module = compile("cuda/lpips_distance.cu").edited(*FAULTS[fault])
    want = definition(x.astype(float), y.astype(float), weight)
    assert refused(
        lambda: wrong(distances(module, FLOAT, x, y, weight, np.zeros(1, np.float32), 1), want, 1e-5)
    )
