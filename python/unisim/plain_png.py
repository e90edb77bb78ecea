"""Pixels as a PNG file whose bytes follow from the pixels alone.

A compressor's output changes with its version; here the deflate stream (RFC 1951) holds stored blocks, and every row
has filter 0, so that the same pixels are the same file everywhere. It is as large as the pixels are.
"""

import struct
import zlib

import numpy
from numpy.typing import NDArray

_BLOCK = 65535  # the most that a stored block can hold


def png(pixels: NDArray[numpy.uint8]) -> bytes:
    """The PNG file of RGB pixels.

    Parameters
    ----------
    pixels : numpy.ndarray
        uint8 [height, width, 3], neither side 0.

    Raises
    ------
    ValueError
        If the array is of another type or shape.
    """
    if pixels.dtype != numpy.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise ValueError(
            f"[png] found {pixels.dtype} {list(pixels.shape)}, expected uint8 [height, width, 3]"
        )
    height, width, _ = pixels.shape
    rows = numpy.zeros((height, 1 + 3 * width), numpy.uint8)  # each row opens with its filter, 0
    rows[:, 1:] = pixels.reshape(height, 3 * width)
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB, no interlace
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in ((b"IHDR", header), (b"IDAT", _stored(rows.tobytes())), (b"IEND", b""))
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _stored(data: bytes) -> bytes:
    """A zlib stream (RFC 1950) of stored blocks."""
    parts = [b"\x78\x01"]
    for start in range(0, len(data), _BLOCK):
        block = data[start : start + _BLOCK]
        last = start + _BLOCK >= len(data)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF), block]
    return b"".join(parts) + struct.pack(">I", zlib.adler32(data))
