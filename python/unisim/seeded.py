"""A random generator whose numbers are the same on every machine and in every version: SplitMix64.

Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014. The k-th number is a function of
seed and k alone.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy

T = TypeVar("T")

_GAMMA = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Seeded:
    """A stream of numbers; `seed` is any text or number, so that every use has a stream of its own."""

    def __init__(self, *seed: str | int) -> None:
        state = 0
        for byte in "\0".join(str(part) for part in seed).encode():
            state = _mixed((state ^ byte) + _GAMMA)
        self._state = state

    def bits(self) -> int:
        """64 random bits."""
        self._state = (self._state + _GAMMA) & _MASK
        return _mixed(self._state)

    def below(self, n: int) -> int:
        """A whole number of [0, n), each as likely."""
        if n < 1:
            raise ValueError(f"[seeded] below needs at least 1, found {n}")
        unfair = (1 << 64) % n  # the lowest numbers would come once too often
        while (bits := self.bits()) < unfair:
            pass
        return bits % n

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in random order (Fisher and Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order

    def sample(self, items: Sequence[T], count: int) -> list[T]:
        """`count` of the items, none twice, in random order."""
        if count > len(items):
            raise ValueError(f"[seeded] sample asks for {count} of {len(items)}")
        pool = list(items)
        for k in range(count):
            other = k + self.below(len(pool) - k)
            pool[k], pool[other] = pool[other], pool[k]
        return pool[:count]

    def normal(self, count: int) -> numpy.ndarray:
        """[count] float64 of mean 0 and deviation 1, nearly normal: the sum of twelve uniform numbers of 32 bits.

        Sums of whole numbers: no function of the C library has a say in the last bit.
        """
        steps = numpy.arange(1, 6 * count + 1, dtype=numpy.uint64)
        with numpy.errstate(over="ignore"):
            bits = _mixed_array(numpy.uint64(self._state) + steps * numpy.uint64(_GAMMA))
        self._state = (self._state + 6 * count * _GAMMA) & _MASK
        halves = bits.view(numpy.uint32).reshape(count, 12).astype(numpy.int64)
        return numpy.asarray((halves.sum(axis=1) - 6 * ((1 << 32) - 1)) / float(1 << 32))


def _mixed(z: int) -> int:
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


def _mixed_array(z: numpy.ndarray) -> numpy.ndarray:
    z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return numpy.asarray(z ^ (z >> numpy.uint64(31)))
