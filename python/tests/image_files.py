"""Image files of every kind, made in memory: by Pillow where it can, else byte by byte."""

import io
import struct
import zlib

import numpy as np
from PIL import Image


def noise(rng, *shape):
    """Smooth colour with edges and noise on it: every frequency, and sums that overshoot."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = 127 + 90 * np.sin(x / 7.3 + rng.uniform(0, 6)) * np.cos(y / 5.1 + rng.uniform(0, 6))
    if len(shape) == 3:
        waves = waves[..., None] * rng.uniform(0.5, 1.2, shape[2])
    grain = rng.normal(0, 12, shape) + 60 * (rng.random(shape) < 0.05)
    return np.clip(waves + grain, 0, 255).astype(np.uint8)


def picture(rng, mode, width, height):
    """A PIL image of a mode of one to four bytes a pixel."""
    channels = {"L": 1, "P": 1, "1": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}[mode]
    pixels = noise(rng, height, width, channels)
    if mode == "1":
        return Image.fromarray(pixels[..., 0]).convert("1")
    if mode == "P":
        return Image.fromarray(noise(rng, height, width, 3)).quantize(int(rng.integers(2, 257)))
    return Image.frombytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())


def saved(image, format, **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


# JPEG, segment by segment


def segments(jpeg):
    """(marker, start, end) of each segment up to the first scan's data."""
    at = 2
    while True:
        marker, length = jpeg[at + 1], struct.unpack_from(">H", jpeg, at + 2)[0]
        yield marker, at, at + 2 + length
        if marker == 0xDA:
            return
        at += 2 + length


def frame_header(jpeg):
    return next(start for marker, start, _ in segments(jpeg) if marker in (0xC0, 0xC1, 0xC2))


def without_segment(jpeg, marker):
    for found, start, end in segments(jpeg):
        if found == marker:
            return jpeg[:start] + jpeg[end:]
    return jpeg


def with_adobe(jpeg, transform):
    jpeg = without_segment(without_segment(jpeg, 0xEE), 0xE0)
    return jpeg[:2] + b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform]) + jpeg[2:]


def resampled(jpeg, size, sampling):
    """The same blocks as a frame of another size and luma sampling with as many units of as many blocks."""
    at, out = frame_header(jpeg), bytearray(jpeg)
    struct.pack_into(">HH", out, at + 5, size[1], size[0])
    out[at + 11] = sampling
    return bytes(out)


def scan_starts(jpeg):
    return [i for i in range(len(jpeg) - 1) if jpeg[i] == 0xFF and jpeg[i + 1] == 0xDA]


def first_scans(jpeg, count):
    """A progressive file that ends, whole, after some of its scans."""
    starts = scan_starts(jpeg)
    end = starts[count]
    # Tables between the scans belong to the later one: harmless.
    return jpeg[:end] + b"\xff\xd9"


def with_exif(jpeg, orientation, order="<", prefix=b""):
    exif = b"Exif\0\0" + tiff(orientation, order)
    return jpeg[:2] + prefix + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


def tiff(orientation, order="<"):
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "IH", 8, 1) + entry + struct.pack(order + "I", 0)


# PNG, chunk by chunk


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
PASSES = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(rng, width, height, depth, color, interlaced=False, chunks=(), splits=1):
    """A PNG of random samples: rows of every filter, Adam7 or not, its data in `splits` chunks."""
    sizes = [(width, height)]
    if interlaced:
        sizes = [(-(-(width - x) // dx), -(-(height - y) // dy)) for x, y, dx, dy in PASSES]
    data = b""
    for w, h in sizes:
        if w > 0 and h > 0:
            row_bytes = (w * depth * CHANNELS[color] + 7) // 8
            for _ in range(h):
                data += bytes([int(rng.integers(0, 5))]) + rng.bytes(row_bytes)
    packed = zlib.compress(data)
    cuts = np.linspace(0, len(packed), splits + 1).astype(int)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    return (PNG_SIGNATURE + chunk(b"IHDR", header)
            + b"".join(chunk(kind, content) for kind, content in chunks)
            + b"".join(chunk(b"IDAT", packed[a:b]) for a, b in zip(cuts, cuts[1:]))
            + chunk(b"IEND", b""))  # fmt: skip
