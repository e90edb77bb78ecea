"""pair_rescore and squared_lengths from their PTX, to the bit."""

import numpy as np
import pytest

from .run import Memory, compile, rows
from .stored import padded

NUMBERS = [("float", np.float32), ("double", np.float64)]


def folded(terms):
    """The sum of terms in the one order: term k in sum k mod 8, then ((0+4)+(2+6))+((1+5)+(3+7))."""
    sums = np.zeros(8)
    for k, term in enumerate(terms):
        sums[k % 8] += term
    s = sums
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))


def cosine(x, y):
    x, y = x.astype(np.float64), y.astype(np.float64)
    x_square, y_square = folded(x * x), folded(y * y)
    if x_square == 0 or y_square == 0:
        return 0.0
    return min(1.0, max(-1.0, folded(x * y) / np.sqrt(x_square * y_square)))


def sample(count, width, dtype):
    x = np.random.default_rng(1).normal(size=(count, width)).astype(dtype)
    x[count // 2] = x[0]
    x[count - 1] *= count > 2
    return x


def rescored(module, number, x, stride, pairs):
    memory = Memory()
    source, chosen = memory.put(padded(x, stride)), memory.put(np.array(pairs, np.int32))
    out = memory.new(len(pairs), np.float64)
    args = [rows(source, *x.shape, stride), chosen, len(pairs), out]
    module.launch(memory, f"rescore<{number}>", -(-len(pairs) // 32), 256, 0, args)
    return memory.get(out)


@pytest.mark.parametrize("number, dtype", NUMBERS)
@pytest.mark.parametrize("count, width, stride", [(2, 1, 1), (7, 37, 40), (5, 64, 64)])
def test_cosines_have_the_bits_of_the_definition(number, dtype, count, width, stride):
    x = sample(count, width, dtype)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)] * 2 + [(0, count // 2)] * 3
    out = rescored(compile("cuda/pair_rescore.cu"), number, x, stride, pairs)
    assert out.tolist() == [cosine(x[i], x[j]) for i, j in pairs]


@pytest.mark.parametrize("number, dtype", NUMBERS)
@pytest.mark.parametrize("count, width, stride", [(1, 1, 1), (33, 11, 12), (4, 64, 64)])
def test_squares_are_summed_in_the_one_order(number, dtype, count, width, stride):
    memory, x = Memory(), sample(count, width, dtype)
    source, out = memory.put(padded(x, stride)), memory.new(count, np.float64)
    args = [rows(source, count, width, stride), out]
    compile("cuda/pair_rescore.cu").launch(memory, f"square_rows<{number}>", -(-count // 32), 256, 0, args)
    assert memory.get(out).tolist() == [folded(row.astype(np.float64) ** 2) for row in x]


FAULTS = {
    "sums handed down instead of across": (r"shfl\.sync\.bfly", "shfl.sync.up"),
    "a fused sum": (r"mul\.rn\.f64 \t(%fd\d+), (%fd\d+), (%fd\d+);\s*add\.rn\.f64 \t(%fd\d+), (%fd\d+), \1;",
                    r"fma.rn.f64 \4, \2, \3, \5;"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_ptx_gives_other_bits(fault):
    x = sample(6, 96, np.float64)
    pairs = [(0, j) for j in range(1, 5)]
    out = rescored(compile("cuda/pair_rescore.cu").edited(*FAULTS[fault]), "double", x, 96, pairs)
    assert out.tolist() != [cosine(x[i], x[j]) for i, j in pairs]
