"""pair_filter from its PTX: tiles of products by tensor cores, in bf16, f16 and bytes."""

import struct

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import BF16, F16, MMA, padded, refused

TILE, SHARED = 128, 4 * 2 * 128 * 64
HALVES = [BF16, F16]


def tiles(first, last, count):
    down, across = -(-(last - first) // TILE), -(-(count - first) // TILE)
    return down * (down + 1) // 2 + (across - down) * down


def found(memory, module, kernel, x, band, count, capacity, aligned):
    """The pairs that were stored, and how many there were."""
    first, last, above = band
    pairs, counter = memory.new((capacity, 2), np.int32), memory.put(np.zeros(1, np.uint64))
    args = [
        x,
        struct.pack("<qqf4x", first, last, above),
        struct.pack("<QqQ", pairs, capacity, counter),
        0,
        aligned,
    ]
    module.launch(memory, kernel, tiles(first, last, count), 256, SHARED, args)
    total = int(memory.get(counter)[0])
    return [tuple(pair) for pair in memory.get(pairs)[: min(total, capacity)].tolist()], total


def filtered(module, kind, x, band, *, stride=None, shift=0, capacity=20000):
    count, width = x.shape
    memory, stride = Memory(), stride or width
    source = memory.put(padded(x, stride, 0x7F80), shift)  # what lies between rows must not be used
    aligned = not shift and stride % 8 == 0
    return found(
        memory,
        module,
        f"filter_tiles<{kind}>",
        rows(source, count, width, stride),
        band,
        count,
        capacity,
        aligned,
    )


def unit_rows(kind, count, width):
    x = np.random.default_rng(1).normal(size=(count, width))
    x[1::3] = x[: len(x[1::3])] + 0.3 * x[1::3]  # some that are alike
    return kind.bits(x / np.sqrt((x**2).sum(axis=1, keepdims=True)))


def check(out, products, band, margin):
    """Every pair surely above the threshold once, none surely below."""
    first, last, above = band
    i, j = np.triu_indices(len(products), 1)
    kept = (i >= first) & (i < last)
    value = products[i, j]
    sure, possible = (
        set(zip(i[kept & (value > above + m)], j[kept & (value > above + m)], strict=True))
        for m in (margin, -margin)
    )
    pairs, total = out
    return total == len(pairs) == len(set(pairs)) and sure <= set(pairs) <= possible and len(sure) > 0


SHAPES = [(2, 8, 8, 0), (65, 40, 40, 0), (129, 32, 48, 0), (130, 37, 41, 0), (40, 104, 104, 1)]


@pytest.mark.parametrize("kind", HALVES, ids=str)
@pytest.mark.parametrize("count, width, stride, elements", SHAPES)
def test_every_pair_above_the_threshold_is_found_once(kind, count, width, stride, elements):
    x = unit_rows(kind, count, width)
    products = kind.values(x) @ kind.values(x).T
    for above in (0.3, -2.0) if count < 100 else (0.3,):
        band = (0, count, above)
        out = filtered(
            compile("cuda/pair_filter.cu"), kind, x, band, stride=stride, shift=elements * kind.size
        )
        assert check(out, products, band, (width / 8 + 4) * 2.0**-23 * 2)


def test_a_band_of_rows_meets_all_later_ones():
    x = unit_rows(BF16, 150, 40)
    band = (3, 20, 0.3)
    out = filtered(compile("cuda/pair_filter.cu"), BF16, x, band)
    assert check(out, BF16.values(x) @ BF16.values(x).T, band, 1e-6)


def test_pairs_beyond_the_room_are_counted_and_not_stored():
    x = unit_rows(F16, 40, 16)
    module = compile("cuda/pair_filter.cu")
    every, total = filtered(module, F16, x, (0, 40, 0.3))
    some, again = filtered(module, F16, x, (0, 40, 0.3), capacity=7)
    assert again == total > 7 and len(some) == 7 and set(some) <= set(every)


def quantized(module, q, scale, residual, band, stride, shift=0):
    count, width = q.shape
    memory = Memory()
    x = rows(memory.put(padded(q, stride, 127), shift), count, width, stride)
    x += struct.pack("<QQ", memory.put(scale), memory.put(residual))
    return found(
        memory, module, "filter_quantized_tiles", x, band, count, 20000, not shift and stride % 16 == 0
    )


@pytest.mark.parametrize(
    "count, width, stride, shift", [(2, 16, 16, 0), (65, 80, 80, 0), (129, 70, 80, 0), (130, 37, 41, 3)]
)
def test_quantized_pairs_are_those_whose_bound_is_above_the_threshold(count, width, stride, shift):
    draw = np.random.default_rng(2)
    q = draw.integers(-127, 128, (count, width)).astype(np.int8)
    scale, residual = ((draw.random(count) * k).astype(np.float32) for k in (0.002, 0.01))
    product = (q.astype(np.int64) @ q.astype(np.int64).T).astype(np.float32)
    bound = (scale[:, None] * scale) * product + (residual[:, None] + residual * (1 + residual[:, None]))
    above = float(np.float32(np.quantile(bound, 0.8)))
    i, j = np.nonzero(np.triu(bound > np.float32(above), 1))
    pairs, total = quantized(
        compile("cuda/pair_filter.cu"), q, scale, residual, (0, count, above), stride, shift
    )
    assert total == len(pairs) and sorted(pairs) == list(
        zip(i.tolist(), j.tolist(), strict=True)
    )  # to the bit


FAULTS = {
    "two registers of a swapped": (MMA, r"\1\2,\4,\3,\5}, {\6,\7}"),
    "the registers of b swapped": (MMA, r"\1\2,\3,\4,\5}, {\7,\6}"),
    "a matrix transposed": (r"(ldmatrix[.\w]*x4)\.shared", r"\1.trans.shared"),
    "one group too many left pending": (r"cp\.async\.wait_group 2;", "cp.async.wait_group 3;"),
    "what lies behind a row copied too": (r"(cp\.async\.cg[^;]*), 16, %r\d+;", r"\1, 16;"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", HALVES, ids=str)
def test_a_fault_in_the_ptx_is_seen(fault, kind):
    x, band = unit_rows(kind, 40, 40), (0, 40, 0.3)
    module = compile("cuda/pair_filter.cu").edited(*FAULTS[fault])
    products = kind.values(x) @ kind.values(x).T
    assert refused(lambda: not check(filtered(module, kind, x, band, stride=48), products, band, 1e-5))


def test_a_register_swapped_in_a_product_of_bytes_is_seen():
    draw = np.random.default_rng(2)
    q, one = draw.integers(-127, 128, (40, 64)).astype(np.int8), np.full(40, 0.01, np.float32)
    module, band = compile("cuda/pair_filter.cu"), (0, 40, 0.5)
    right = quantized(module, q, one, one, band, 64)
    wrong = quantized(module.edited(MMA, r"\1\2,\4,\3,\5}, {\6,\7}"), q, one, one, band, 64)
    assert sorted(right[0]) != sorted(wrong[0])
