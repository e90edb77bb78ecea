"""Images: the pixels of Pillow, and what is accepted as an image."""

import io
import os
import random
from pathlib import Path

import numpy as np
import pytest
from image_files import (
    CHANNELS,
    PNG_SIGNATURE,
    chunk,
    first_scans,
    noise,
    picture,
    png,
    resampled,
    saved,
    tiff,
    with_adobe,
    with_exif,
    without_segment,
)
from PIL import Image, ImageOps

import unisim

FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def pillow(file):
    source = io.BytesIO(file) if isinstance(file, bytes) else file
    with Image.open(source) as image:
        return np.asarray(image.convert("RGB"))


def same(file, name=""):
    expected = pillow(file)
    # Bytes go in by way of center_crop, which leaves an image of its own size as it is.
    size = (expected.shape[1], expected.shape[0])
    got = (unisim.center_crop(file, size) if isinstance(file, bytes) else unisim.read_image(file)).numpy()
    np.testing.assert_array_equal(got, expected, err_msg=str(name or file))


def test_resizing_is_pillows_to_the_bit_in_1000_random_cases():
    rng = np.random.default_rng(1)
    for i in range(1000):
        width, height, to_width, to_height = (int(2 ** rng.uniform(0, 8.5)) for _ in range(4))
        to_width = width if rng.random() < 0.1 else to_width
        to_height = height if rng.random() < 0.1 else to_height
        mode = ["RGB", "L", "CMYK", "1"][i % 4] if i % 2 else "RGB"
        image = picture(rng, mode, width, height).convert("RGB")
        if i % 5 == 0:
            image = image.point(lambda value: 255 * (value > 127))
        name = list(FILTERS)[i % 6]
        expected = np.asarray(image.resize((to_width, to_height), FILTERS[name]))
        got = unisim.resize(image, (to_width, to_height), resample=name).numpy()
        case = f"{name} {width}x{height} to {to_width}x{to_height}"
        np.testing.assert_array_equal(got, expected, err_msg=case)


@pytest.mark.parametrize("folder", ["kodak24", "imagenet200", "near_duplicates", "lpips_examples", "triplet"])
def test_photographs_have_pillows_pixels(data, folder):
    files = [file for file in sorted(Path(data(f"photos/{folder}")).rglob("*")) if file.is_file()]
    images, failures = unisim.read_images(files, on_error="skip")
    failed = {failure.file for failure in failures}
    good = [file for file in files if str(file) not in failed]
    assert len(good) == len(images) > 0
    for file, image in zip(good, images):
        np.testing.assert_array_equal(image.numpy(), pillow(file), err_msg=str(file))
    for file in failed:
        with pytest.raises((OSError, SyntaxError)):
            pillow(file)


def made_jpegs():
    """Every mode, subsampling and quality, baseline and progressive, with restarts, with other markers."""
    rng = np.random.default_rng(2)
    for i in range(90):
        width, height = (int(rng.integers(1, 100)) for _ in range(2))
        mode = ["L", "RGB", "RGB", "CMYK"][i % 4]
        options = {"quality": int(rng.integers(1, 101)), "progressive": i % 3 == 0, "optimize": i % 5 == 0}
        if mode == "RGB":
            options["subsampling"] = i // 4 % 3
        if i % 7 == 0:
            options["restart_marker_blocks"] = int(rng.integers(1, 6))
        file = saved(picture(rng, mode, width, height), "JPEG", **options)
        yield f"{mode} {width}x{height} {options}", file
        if mode == "RGB":
            yield f"RGB by Adobe's marker, {options}", with_adobe(file, 0)
            yield f"YCbCr by Adobe's marker, {options}", with_adobe(file, 1)
            yield f"no JFIF marker, {options}", without_segment(file, 0xE0)
        if mode == "CMYK":
            yield f"YCCK {options}", with_adobe(file, 2)
            yield f"CMYK without Adobe's marker, {options}", without_segment(file, 0xEE)
    for i in range(30):
        wide, high = (32 * int(rng.integers(1, 5)) for _ in range(2))
        less = [int(n) for n in rng.integers(0, 8, 2)]
        options = {"quality": 85, "progressive": i % 2 == 0}
        half = saved(picture(rng, "RGB", wide, high), "JPEG", subsampling=1, **options)
        quarter = saved(picture(rng, "RGB", wide, high), "JPEG", subsampling=2, **options)
        yield f"4:4:0 {options}", resampled(half, (high - less[0], wide - less[1]), 0x12)
        yield f"4:1:1 {options}", resampled(quarter, (wide * 2 - less[0], high // 2 - less[1]), 0x41)
        yield f"1x4 {options}", resampled(quarter, (wide // 2 - less[0], high * 2 - less[1]), 0x14)


def test_jpegs_of_every_kind_have_pillows_pixels():
    files = list(made_jpegs())
    assert len(files) >= 200
    for name, file in files:
        same(file, name)


def test_extraneous_bytes_in_a_jpeg_are_skipped_as_pillow_does(tmp_path):
    file = saved(picture(np.random.default_rng(3), "RGB", 50, 40), "JPEG")
    at = file.index(b"\xff\xda")
    for junk in (b"\0", b"\x01\x02\x03", b"\xff\xff\xff"):
        same(file[:at] + junk + file[at:])
        same(file + junk * 50)
    path = tmp_path / "junk.jpg"
    path.write_bytes(file[:at] + b"\x01\x02" + file[at:])
    assert "extraneous" in unisim.read_image(path).warnings[0]


def test_a_progressive_jpeg_without_its_last_scans_is_read_with_a_warning(tmp_path):
    # Only here may pixels differ: the smoothing of missing detail is that of the libjpeg-turbo at hand.
    rng = np.random.default_rng(4)
    file = saved(picture(rng, "RGB", 96, 96), "JPEG", progressive=True)
    path = tmp_path / "cut.jpg"
    path.write_bytes(first_scans(file, 3))
    image = unisim.read_image(path)
    assert "last scans" in image.warnings[0]
    assert np.abs(image.numpy().astype(int) - pillow(path)).mean() < 1
    path.write_bytes(file)
    assert unisim.read_image(path).warnings == []


def test_webps_of_every_kind_have_pillows_pixels():
    rng = np.random.default_rng(5)
    for i in range(70):
        image = picture(rng, ["RGB", "RGBA"][i % 2], int(rng.integers(1, 90)), int(rng.integers(1, 90)))
        quality, lossless, exact = int(rng.integers(0, 101)), i % 4 > 1, i % 3 == 0
        options = {"quality": quality, "lossless": lossless, "method": i % 7, "exact": exact}
        same(saved(image, "WEBP", **options), f"webp {i} {options}")
    for i in range(12):
        frames = [picture(rng, "RGBA", 40, 30) for _ in range(3)]
        options = {"lossless": i % 2 == 0, "minimize_size": i % 3 == 0}
        same(saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], **options), f"animation {i}")


@pytest.mark.filterwarnings("ignore:Palette images with Transparency")
@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize(
    ("depth", "color"),
    [(d, 0) for d in (1, 2, 4, 8, 16)]
    + [(d, 3) for d in (1, 2, 4, 8)]
    + [(d, c) for c in (2, 4, 6) for d in (8, 16)],
)
def test_pngs_of_every_kind_have_pillows_pixels(depth, color, interlaced):
    rng = np.random.default_rng(100 * depth + 10 * color + interlaced)
    for i in range(8):
        chunks = [(b"gAMA", b"\0\0\xb1\x8f")] if i % 4 == 3 else []
        if color == 3:
            entries = 2**depth if i % 2 else int(rng.integers(1, 2**depth + 1))
            chunks.append((b"PLTE", rng.bytes(3 * entries)))
            if i % 3:
                chunks.append((b"tRNS", rng.bytes(entries)))
        elif color in (0, 2) and i % 2:
            chunks.append((b"tRNS", b"\0\1" * CHANNELS[color]))
        width, height = (int(rng.integers(1, 40)) for _ in range(2))
        file = png(rng, width, height, depth, color, interlaced, chunks, splits=1 + i % 3)
        same(file, f"{width}x{height} {chunks}")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_pngs_of_pillow_have_pillows_pixels(mode):
    for seed in range(4):
        same(saved(picture(np.random.default_rng(seed), mode, 33 + seed, 21), "PNG"))


def test_16_bit_grey_is_clipped_and_said_so(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)).save(path)
    same(path)
    assert "clipped" in unisim.read_image(path).warnings[0]


@pytest.mark.parametrize("order", ["<", ">"])
def test_orientation_is_applied_when_asked_as_exif_transpose_does(tmp_path, order):
    rng = np.random.default_rng(6)
    image = picture(rng, "RGB", 37, 23)
    jpeg, whole = saved(image, "JPEG"), saved(image, "PNG")
    for orientation in range(10):
        xmp = b"<x><tiff:Orientation>%d</tiff:Orientation></x>" % orientation
        files = {
            "a.jpg": with_exif(jpeg, orientation, order),
            "a.png": whole[:33] + chunk(b"eXIf", tiff(orientation, order)) + whole[33:],
            "late.png": whole[:-12] + chunk(b"eXIf", tiff(orientation, order)) + whole[-12:],
            "a.webp": saved(image, "WEBP", exif=tiff(orientation, order)),
            "xmp.png": whole[:33] + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp) + whole[33:],
            "xmp.webp": saved(image, "WEBP", xmp=xmp),
        }
        for name, content in files.items():
            path = tmp_path / name
            path.write_bytes(content)
            with Image.open(path) as opened:
                expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
            got = unisim.read_image(path, apply_orientation=True).numpy()
            np.testing.assert_array_equal(got, expected, err_msg=f"{name} {orientation}")
            assert unisim.read_image(path).numpy().shape == (23, 37, 3)


@pytest.mark.parametrize(
    "format", ["GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "JPEG2000", "AVIF", "DDS", "PCX"]
)
def test_what_pillow_alone_reads_comes_from_pillow(tmp_path, format):
    Image.init()
    if format not in Image.SAVE:
        pytest.skip(f"this Pillow writes no {format}")
    path = tmp_path / "image.dat"
    path.write_bytes(saved(picture(np.random.default_rng(7), "RGB", 32, 32), format))
    same(path)
    [image], failures = unisim.read_images([path], on_error="skip")
    assert failures == [] and image.width == 32


def test_what_nobody_reads_is_named(tmp_path):
    path = tmp_path / "drawing.png"
    path.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(NotImplementedError, match="SVG") as caught:
        unisim.read_image(path)
    assert caught.value.filename == str(path)
    path.write_bytes(saved(Image.new("RGB", (50, 50)), "GIF")[:40])
    with pytest.raises(ValueError, match="drawing.png"):
        unisim.read_image(path)
    path.write_bytes(saved(Image.new("RGB", (50, 50)), "BMP"))
    with pytest.raises(ValueError, match="max_pixels"):
        unisim.read_image(path, max_pixels=2499)


def test_a_file_name_that_is_no_text_is_as_good_as_any(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe"
    for format in ("PNG", "GIF"):
        with open(path, "wb") as file:
            file.write(saved(Image.new("RGB", (5, 4)), format))
        assert unisim.read_image(os.fsdecode(path)).width == 5
        assert unisim.read_image(Path(os.fsdecode(path))).height == 4


def test_errors_are_of_the_kind_that_a_caller_expects(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        unisim.read_image(tmp_path / "none.jpg")
    assert caught.value.filename == str(tmp_path / "none.jpg")
    bomb = tmp_path / "bomb.png"
    header = (50_000).to_bytes(4) * 2 + b"\1\0\0\0\0"
    bomb.write_bytes(PNG_SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    with pytest.raises(ValueError, match=r"bomb.png.*50000 x 50000.*max_pixels"):
        unisim.read_image(bomb)
    with pytest.raises(ValueError, match="on_error"):
        unisim.read_images([], on_error="ignore")
    with pytest.raises(TypeError, match="sequence"):
        unisim.read_images(str(bomb))
    with pytest.raises(ValueError, match="filter"):
        unisim.resize(np.zeros((2, 2, 3), np.uint8), (1, 1), resample="cubic")


def test_a_bad_file_is_one_failure_and_changes_no_other(tmp_path):
    rng = np.random.default_rng(8)
    files = []
    for i in range(30):
        files.append(tmp_path / f"{i}.jpg")
        content = saved(picture(rng, "RGB", 40, 30), ["JPEG", "PNG", "GIF"][i % 3])
        files[-1].write_bytes(content[: 100 if i % 5 == 4 else None])
    images, failures = unisim.read_images(files, on_error="skip")
    assert [failure.file for failure in failures] == [str(files[i]) for i in range(4, 30, 5)]
    assert all(failure.file in failure.error for failure in failures)
    for file, image in zip([file for i, file in enumerate(files) if i % 5 != 4], images, strict=True):
        np.testing.assert_array_equal(image.numpy(), pillow(file))
    with pytest.raises(ValueError, match="4.jpg"):
        unisim.read_images(files)


def test_every_form_of_an_image_is_the_same_image(tmp_path):
    pixels = noise(np.random.default_rng(9), 20, 30, 3)
    path = tmp_path / "image.png"
    Image.fromarray(pixels).save(path)
    image = unisim.read_image(path)
    padded = np.zeros((40, 60, 4), np.uint8)
    padded[::-2, ::2, 2::-1] = pixels
    torch = pytest.importorskip("torch")
    content = path.read_bytes()
    forms = [path, str(path), content, bytearray(content), Image.open(path), pixels, image,
             padded[::-2, ::2, 2::-1], np.asfortranarray(pixels), torch.from_numpy(pixels.copy()),
             torch.from_numpy(pixels.transpose(2, 0, 1).copy()).permute(1, 2, 0)]  # fmt: skip
    for form in forms:
        np.testing.assert_array_equal(unisim.center_crop(form, (30, 20)).numpy(), pixels)
    grey = pixels[..., 1]
    for form in (grey, Image.fromarray(grey), np.repeat(grey, 2, axis=1)[:, ::2]):
        got = unisim.center_crop(form, (30, 20)).numpy()
        np.testing.assert_array_equal(got, grey[..., None].repeat(3, 2))


@pytest.mark.parametrize(
    ("array", "error", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), TypeError, "uint8, 0 to 255, not float32"),
        (np.zeros((4, 4, 3), np.int64), TypeError, "uint8"),
        (np.zeros((4, 4, 3), bool), TypeError, "uint8"),
        (np.zeros((3, 4, 5), np.uint8), ValueError, r"\[3, 4, 5\]: channels come last"),
        (np.zeros((4, 4, 4), np.uint8), ValueError, "alpha"),
        (np.zeros((4, 4, 1), np.uint8), ValueError, r"\[H, W, 3\]"),
        (np.zeros((0, 4, 3), np.uint8), ValueError, "empty"),
        (np.zeros(4, np.uint8), ValueError, r"\[H, W, 3\]"),
        (3.5, TypeError, "float"),
        (None, TypeError, "NoneType"),
    ],
)
def test_no_layout_and_no_range_is_guessed(array, error, message):
    with pytest.raises(error, match=message):
        unisim.resize(array, (2, 2))


def test_the_view_of_the_pixels_keeps_them_alive():
    view = unisim.center_crop(np.full((300, 300, 3), 7, np.uint8), (300, 300)).numpy()
    for _ in range(5):
        unisim.center_crop(np.full((300, 300, 3), random.randrange(256), np.uint8), (300, 300))
    assert (view == 7).all() and not view.flags.writeable
    image = unisim.center_crop(np.zeros((2, 3, 3), np.uint8), (3, 2))
    assert np.shares_memory(np.asarray(image), image.numpy())
    assert unisim.read_image(saved(Image.new("RGB", (5, 4)), "PNG")).width == 5
    assert repr(image) == "<unisim.Image 3 x 2>"


def test_center_crop_is_that_of_transformers():
    transforms = pytest.importorskip("transformers.image_transforms")
    rng = np.random.default_rng(10)
    for _ in range(200):
        height, width, to_height, to_width = (int(n) for n in rng.integers(1, 12, 4))
        pixels = noise(rng, height, width, 3)
        expected = transforms.center_crop(pixels, (to_height, to_width), input_data_format="channels_last")
        got = unisim.center_crop(pixels, (to_width, to_height)).numpy()
        np.testing.assert_array_equal(got, expected)
