"""The image formats that only Pillow reads."""

import io
import os
import struct
import warnings
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

# Without those that start another program (EPS) or leave the pixels to one (WMF, HDF5, GRIB, BUFR, MPEG).
_FORMATS = [
    "AVIF", "BMP", "CUR", "DDS", "DIB", "FITS", "GIF", "ICNS", "ICO", "JPEG", "JPEG2000", "MPO", "MSP",
    "PCX", "PNG", "PPM", "PSD", "QOI", "SGI", "SUN", "TGA", "TIFF", "WEBP", "XBM", "XPM",
]  # fmt: skip

# What its decoders raise over a broken file.
_BROKEN = (
    Image.DecompressionBombError, OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error,
)  # fmt: skip


class _BrokenFile(ValueError):
    """A ValueError with the file's name, as an OSError has it."""

    def __init__(self, name: str, reason: object) -> None:
        super().__init__(f"{name}: Pillow cannot read it: {reason}")
        self.filename = name


def read_rgb(
    source: str | bytes, name: str, apply_orientation: bool, max_pixels: int
) -> NDArray[np.uint8] | None:
    """The pixels of a path or bytes as uint8 [H, W, 3]; None where Pillow does not know the format either.

    Raises ValueError (broken, or more than `max_pixels`), OSError (cannot be read).
    """
    Image.init()
    formats = [name for name in _FORMATS if name in Image.OPEN]
    file = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(file, formats=formats) as image:
                if image.width * image.height > max_pixels:
                    size = f"{image.width} x {image.height} pixels"
                    raise ValueError(f"{size}; the limit is {max_pixels} (max_pixels)")
                picture = ImageOps.exif_transpose(image) if apply_orientation else image
                return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError:
        return None
    except _BROKEN as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise _BrokenFile(name, error) from error
