"""plain_png: the same pixels are the same file."""

import io

import numpy
import pytest
from PIL import Image

from unisim.plain_png import png


def test_one_red_pixel_is_these_bytes():
    assert png(numpy.array([[[255, 0, 0]]], numpy.uint8)).hex() == (
        "89504e470d0a1a0a"
        "0000000d49484452" "00000001" "00000001" "0802000000" "907753de"
        "0000000f49444154" "7801" "010400fbff" "00ff0000" "03010100" "8d1de582"
        "0000000049454e44ae426082"
    )  # fmt: skip


# One row of 21,845 pixels and its filter are 65,536 bytes: one more than a stored block holds.
@pytest.mark.parametrize("shape", [(1, 1), (1, 21844), (1, 21845), (3, 7), (200, 301)])
def test_pillow_reads_the_pixels_back(shape):
    pixels = numpy.random.default_rng(1).integers(0, 256, (*shape, 3), numpy.uint8)
    with Image.open(io.BytesIO(png(pixels))) as image:
        assert image.mode == "RGB" and image.format == "PNG"
        assert numpy.array_equal(numpy.asarray(image), pixels)


def test_a_block_is_as_large_as_deflate_allows():
    """15 rows of 1,456 pixels and their filters are 65,535 bytes: one block, with 5 bytes around it."""
    chunks = 3 * 12 + 13 + (2 + 5 + 65535 + 4)
    assert len(png(numpy.zeros((15, 1456, 3), numpy.uint8))) == 8 + chunks


def test_an_array_in_another_order_of_memory_gives_the_same_file():
    pixels = numpy.random.default_rng(2).integers(0, 256, (5, 4, 3), numpy.uint8)
    assert png(numpy.asfortranarray(pixels)) == png(pixels)
    assert png(pixels[::-1]) == png(pixels[::-1].copy())


@pytest.mark.parametrize(
    "bad",
    [
        numpy.zeros((2, 2), numpy.uint8),
        numpy.zeros((2, 2, 4), numpy.uint8),
        numpy.zeros((0, 2, 3), numpy.uint8),
        numpy.zeros((2, 2, 3), numpy.float32),
    ],
)
def test_other_arrays_are_refused(bad):
    with pytest.raises(ValueError, match=r"\[png\] found .*expected uint8 \[height, width, 3\]"):
        png(bad)
