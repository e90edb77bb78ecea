"""unisim import sice-pairs-h."""

import io

import numpy
import pytest
from PIL import Image

from data_set_folders import Folder
from unisim.plain_png import png


def grey(*values, size=(10, 20)):
    """A picture of stripes: its L is the mean of the values."""
    pixels = numpy.zeros((size[1], size[0], 3), numpy.uint8)
    for k, value in enumerate(values):
        pixels[:, k * size[0] // len(values) :] = value
    return png(pixels)


@pytest.fixture
def folder(tmp_path):
    """Ten scenes, one of which is used: the first by name, with the brightness 10, 200, 10 and 99."""
    made = Folder(tmp_path / "sice")
    scene = "Dataset_Part1/1"
    made.files |= {
        f"{scene}/1.PNG": grey(10),
        f"{scene}/2.png": grey(200),
        f"{scene}/3.png": grey(10, 11),  # 10.5, cut to 10
        f"{scene}/4.png": grey(99),
        f"{scene}/Thumbs.db": b"no picture",
    }
    for k in range(10, 18):
        made.files[f"Dataset_Part1/{k}/1.png"] = b"never looked at"
    made.files["Dataset_Part2/1/1.png"] = b"never looked at"
    for part in (1, 2):
        made.files[f"Dataset_Part{part}/Label/1.png"] = b"no scene"
    return made


def test_all_pairs_of_a_scene_that_differ_and_the_brighter_one_is_right(folder):
    content = folder.content("sice-pairs-h")
    found = [
        (*(one["image"].split("/")[-1] for one in item["candidates"]), item["label"])
        for item in content.items
    ]
    assert found == [
        ("1.PNG.png", "2.png.png", 1),
        ("1.PNG.png", "4.png.png", 1),
        ("2.png.png", "3.png.png", 0),
        ("2.png.png", "4.png.png", 0),
        ("3.png.png", "4.png.png", 1),
    ]  # 1 and 3 are as bright
    assert content.options == {"share": 0.1, "order": "scenes and files sorted by name"}
    assert sorted(content.made) == [
        f"Dataset_Part1/1/{name}.png" for name in ("1.PNG", "2.png", "3.png", "4.png")
    ]


def test_the_pictures_are_a_fifth_of_the_size(folder):
    made = folder.content("sice-pairs-h").made
    with Image.open(io.BytesIO(made["Dataset_Part1/1/4.png.png"])) as picture:
        assert picture.size == (2, 4) and picture.getpixel((1, 3)) == (99, 99, 99)
    stripes = Image.fromarray(numpy.asarray(Image.open(io.BytesIO(grey(10, 11)))))
    with Image.open(io.BytesIO(made["Dataset_Part1/1/3.png.png"])) as picture:
        assert numpy.array_equal(
            numpy.asarray(picture), numpy.asarray(stripes.resize((2, 4), Image.Resampling.LANCZOS))
        )


def test_brightness_is_of_the_full_size_and_weighs_colours_as_pillow_does(folder):
    red, green, blue = numpy.zeros((3, 5, 5, 3), numpy.uint8)
    red[..., 0], green[..., 1], blue[..., 2] = 100, 255, 255  # L is 30, 150 and 29
    scene = "Dataset_Part1/1"
    folder.files = {f"{scene}/a.png": png(red), f"{scene}/b.png": png(green), f"{scene}/c.png": png(blue)}
    items = folder.items("sice-pairs-h")
    assert [item["label"] for item in items] == [1, 0, 0]


def test_scenes_are_sorted_by_name_and_those_of_both_parts_counted(folder):
    for k in range(10, 18):
        folder.files[f"Dataset_Part1/{k}/1.png"] = grey(k)
        folder.files[f"Dataset_Part1/{k}/2.png"] = grey(k + 1)
    items = folder.items("sice-pairs-h", share="0.25")  # of ten scenes two: 1 and 10
    assert [item["candidates"][0]["image"].split("/")[1] for item in items] == ["1"] * 5 + ["10"]


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("sice-pairs-h", tmp_path)


def test_what_is_no_picture_is_refused_by_name(folder):
    for broken in (b"no picture", grey(3)[:-30], b""):
        folder.files["Dataset_Part1/1/2.png"] = broken
        folder.refused("sice-pairs-h", "Dataset_Part1/1/2.png")


def test_no_parts_no_scenes_and_a_share_that_is_none_are_refused(folder, tmp_path):
    folder.refused("sice-pairs-h", "option share", share="2")
    empty = Folder(tmp_path / "empty")
    empty.root.mkdir()
    empty.refused("sice-pairs-h", "Dataset_Part1", OSError)
