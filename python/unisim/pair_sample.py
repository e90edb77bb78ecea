"""What a picture of all pairs needs, without all pairs in memory: points or bins, and the pairs near a corner."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

RowsLike: TypeAlias = "NDArray[Any] | torch.Tensor"

__all__ = ["PairSample", "sample_pairs"]

BLOCK = 1024
BINS = 80
PAIR = np.dtype([("i", np.int64), ("j", np.int64), ("alike", np.float32), ("apart", np.float32)])


@dataclass
class PairSample:
    """``points``: every pair (None where there are more than asked for), else ``counts`` [bins, bins] over the edges.

    ``near`` holds the pairs with the largest margin, min(alike - alike_above, apart_below - apart), largest first.
    The similarities here are float32 and serve the eye; decisions are mine_blind_pairs' own.
    """

    points: NDArray[Any] | None
    counts: NDArray[np.float64]
    edges_alike: NDArray[np.float64]
    edges_apart: NDArray[np.float64]
    near: NDArray[Any]


def unit_rows(rows: RowsLike) -> NDArray[np.float32]:
    """Rows of length one in float32; a zero row stays zero."""
    exact = np.asarray(rows, dtype=np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    unit = np.zeros_like(exact)
    np.divide(exact, lengths, out=unit, where=lengths > 0)
    return unit.astype(np.float32)


def pair_blocks(alike: NDArray[np.float32], apart: NDArray[np.float32]) -> Iterator[NDArray[Any]]:
    """Yields arrays of PAIR, every i < j once, a block of rows against a block of rows at a time."""
    n = len(alike)
    for top in range(0, n, BLOCK):
        for left in range(top, n, BLOCK):
            i, j = np.meshgrid(
                np.arange(top, min(top + BLOCK, n)), np.arange(left, min(left + BLOCK, n)), indexing="ij"
            )
            upper = i < j
            block = np.empty(int(upper.sum()), PAIR)
            block["i"], block["j"] = i[upper], j[upper]
            for name, rows in (("alike", alike), ("apart", apart)):
                cosines = rows[top : top + BLOCK] @ rows[left : left + BLOCK].T
                block[name] = np.clip(cosines[upper], -1, 1)
            yield block


def sample_pairs(
    alike: RowsLike,
    apart: RowsLike,
    alike_above: float,
    apart_below: float,
    *,
    most_points: int,
    most_near: int,
) -> PairSample:
    """See `PairSample`. Time grows with n squared, memory does not."""
    rows = unit_rows(alike), unit_rows(apart)
    n = len(rows[0])
    edges = np.linspace(-1, 1, 2 * BINS + 1)
    counts = np.zeros((2 * BINS, 2 * BINS))
    near = np.empty(0, PAIR)
    corner = alike_above, apart_below
    every = n * (n - 1) // 2 <= most_points
    points = [np.empty(0, PAIR)]
    for block in pair_blocks(*rows):
        counts += np.histogram2d(block["alike"], block["apart"], bins=(edges, edges))[0]
        if every:
            points.append(block)
        near = nearest(np.concatenate([near, nearest(block, most_near, *corner)]), most_near, *corner)
    low_alike, high_alike = extent(counts.sum(axis=1))
    low_apart, high_apart = extent(counts.sum(axis=0))
    return PairSample(
        points=np.concatenate(points) if every else None,
        counts=counts[low_alike:high_alike, low_apart:high_apart],
        edges_alike=edges[low_alike : high_alike + 1],
        edges_apart=edges[low_apart : high_apart + 1],
        near=near,
    )


def nearest(pairs: NDArray[Any], most: int, alike_above: float, apart_below: float) -> NDArray[Any]:
    """At most so many pairs, those of the largest margin, largest first."""
    margin = np.minimum(pairs["alike"] - alike_above, apart_below - pairs["apart"])
    if len(pairs) > most:
        kept = np.argpartition(-margin, most - 1)[:most]
        pairs, margin = pairs[kept], margin[kept]
    return pairs[np.lexsort((pairs["j"], pairs["i"], -margin))]


def extent(counts: NDArray[np.float64]) -> tuple[int, int]:
    """The half-open range of the bins in use; everything where none is."""
    where = np.flatnonzero(counts)
    return (0, len(counts)) if len(where) == 0 else (int(where[0]), int(where[-1]) + 1)
