"""The three kinds of numbers that kernels store, and how tests compare with a definition in double."""

from dataclasses import dataclass

import numpy as np

from .numbers16 import bf16_bits, bf16_values, f16_bits, f16_values
from .parse import PtxError, Unknown


@dataclass(frozen=True)
class Stored:
    name: str  # as in a demangled kernel
    dtype: type  # of the array that holds it
    rounding: float  # the largest relative error of one rounding

    def __str__(self):
        return self.name

    @property
    def size(self):
        return np.dtype(self.dtype).itemsize

    def bits(self, values):
        """Values rounded to what is stored."""
        if self.dtype == np.float32:
            return np.asarray(values).astype(np.float32)
        return (bf16_bits if "bf16" in self.name else f16_bits)(values)

    def values(self, bits):
        """What is stored, as doubles."""
        if self.dtype == np.float32:
            return bits.astype(np.float64)
        return (bf16_values if "bf16" in self.name else f16_values)(bits).astype(np.float64)

    def random(self, shape, seed, scale=1.0):
        return self.bits(np.random.default_rng(seed).normal(size=shape) * scale)


FLOAT = Stored("float", np.float32, 2.0**-24)
BF16 = Stored("unisim::bf16", np.uint16, 2.0**-8)
F16 = Stored("unisim::f16", np.uint16, 2.0**-11)
KINDS = [FLOAT, BF16, F16]


# mma up to its operands, the four registers of a and the two of b: for tests that swap them
MMA = r"(mma\.sync[^{]*\{[^}]*\}, \{)(%r\d+),(%r\d+),(%r\d+),(%r\d+)\}, \{(%r\d+),(%r\d+)\}"


def padded(array, stride, fill=0):
    """Rows of array.shape[1] numbers, `stride` apart; what lies between them is `fill`."""
    out = np.full((len(array), stride), fill, array.dtype)
    out[:, : array.shape[1]] = array
    return out


def wrong(out, want, tolerance):
    """Whether anything differs by more than the tolerance or is no number."""
    return not (np.abs(out - want) <= tolerance).all()


def refused(run):
    """Whether run() says so, or the runner finds a fault in what it executes."""
    try:
        return run()
    except Unknown:
        raise
    except PtxError:
        return True


def beside(opcode, by):
    """A fault for Module.edited: every such access (a regular expression) `by` bytes from its place."""

    def moved(found):
        return f"{found[1]}[{found[2]}+{int(found[3] or 0) + by}]"

    return rf"({opcode}[^;\[]*)\[(%\w+)(?:\+(-?\d+))?\]", moved
