"""Which number of a matrix each lane of a warp holds: the fragments of mma and ldmatrix, as tables.

g = lane / 4, t = lane % 4. A table gives for [row, column] the place lane * numbers + i in the warp's
registers, read as numbers one after another, lower bits first.
"""

import numpy as np

LANES = 32


def table(shape, numbers, place):
    """place(lane, i) = (row, column) of the i-th of a lane's numbers."""
    out = np.full(shape, -1, np.int64)
    for lane in range(LANES):
        for i in range(numbers):
            out[place(lane // 4, lane % 4, i)] = lane * numbers + i
    assert out.min() == 0 and len(np.unique(out)) == out.size
    return out


# a0, a1, a2, a3 of two numbers each: rows g and g + 8, then the same eight columns further
A16 = table((16, 16), 8, lambda g, t, i: (g + 8 * (i // 2 % 2), 2 * t + i % 2 + 8 * (i // 4)))
B16 = table((16, 8), 4, lambda g, t, i: (2 * t + i % 2 + 8 * (i // 2), g))
# of four numbers each: sixteen columns further
A8 = table((16, 32), 16, lambda g, t, i: (g + 8 * (i // 4 % 2), 4 * t + i % 4 + 16 * (i // 8)))
B8 = table((32, 8), 8, lambda g, t, i: (4 * t + i % 4 + 16 * (i // 4), g))
C = table((16, 8), 4, lambda g, t, i: (g + 8 * (i // 2), 2 * t + i % 2))
# one 8 x 8 matrix of ldmatrix: row g, columns 2t and 2t + 1
M8 = table((8, 8), 2, lambda g, t, i: (g, 2 * t + i % 2))


def matrix(registers, places, number):
    """[warps, rows, columns] of `number` from registers, arrays [warps, 32]."""
    words = np.stack(registers, axis=-1)  # [warps, lane, register]
    return words.view(number).reshape(len(words), -1)[:, places]


def lanes(matrices, places, number):
    """The converse: [warps, 32, numbers] from [warps, rows, columns]."""
    warps = len(matrices)
    flat = np.empty((warps, places.size), number)
    flat[:, places.reshape(-1)] = matrices.reshape(warps, -1)
    return flat.reshape(warps, LANES, -1)
