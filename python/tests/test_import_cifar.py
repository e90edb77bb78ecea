"""unisim import cifar100coarse-triplets."""

import io
import pickle

import numpy
import pytest
from PIL import Image

from data_set_folders import Folder

COARSE = [0, 0, 4, 19, 19, 19]
NAMES = {0: "aquatic_mammals", 4: "fruit_and_vegetables", 19: "vehicles_2"}


def planes(k):
    """The red, green and blue plane of picture k: red counts the pixels, green is k, blue 7."""
    return bytes(range(256)) * 4 + bytes([k]) * 1024 + bytes([7]) * 1024


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "cifar")
    made.files["test.bin"] = b"".join(bytes([coarse, 50 + k]) + planes(k) for k, coarse in enumerate(COARSE))
    return made


def numbers(item):
    return [int(one["image"].removeprefix("test/").removesuffix(".png")) for one in item["candidates"]]


def test_two_of_one_coarse_class_and_one_of_another(folder):
    items = folder.items("cifar100coarse-triplets", limit="300")
    assert len(items) == 300 and len(folder.items("cifar100coarse-triplets")) == 5000
    for item in items:
        classes = [COARSE[k] for k in numbers(item)]
        odd = classes.pop(item["label"])
        assert classes[0] == classes[1] != odd and item["group"] == NAMES[classes[0]]
    assert {item["label"] for item in items} == {0, 1, 2}
    assert {item["group"] for item in items} == set(NAMES.values())
    assert any(len(set(numbers(item))) == 2 for item in items)  # one picture twice, as published


def test_the_first_triplets_are_these(folder):
    items = folder.items("cifar100coarse-triplets", limit="5")
    assert [(numbers(item), item["label"]) for item in items] == CIFAR


# Drawn with a generator written apart from the library's.
CIFAR = [([3, 4, 1], 2), ([2, 0, 1], 0), ([2, 1, 0], 0), ([3, 1, 3], 1), ([3, 0, 5], 1)]


def test_the_two_can_be_kept_apart(folder):
    items = folder.items("cifar100coarse-triplets", limit="300", same="never")
    assert all(len(set(numbers(item))) == 3 for item in items)
    assert all(item["group"] != "fruit_and_vegetables" for item in items)  # it has one picture


def test_the_pictures_used_are_cut_out(folder):
    content = folder.content("cifar100coarse-triplets", limit="300")
    assert sorted(content.made) == [f"test/{k:05}.png" for k in range(6)]
    with Image.open(io.BytesIO(content.made["test/00003.png"])) as picture:
        pixels = numpy.asarray(picture)
    assert pixels.shape == (32, 32, 3)
    assert pixels[0, 0].tolist() == [0, 3, 7] and pixels[0, 31].tolist() == [31, 3, 7]
    assert pixels[1, 0].tolist() == [32, 3, 7] and pixels[8, 0].tolist() == [0, 3, 7]
    one = folder.content("cifar100coarse-triplets", limit="1")
    assert set(one.made) == {operand["image"] for operand in one.items[0]["candidates"]}


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_pickled_form_gives_the_same(folder, tmp_path, protocol):
    plain = folder.content("cifar100coarse-triplets", limit="50")
    pixels = numpy.frombuffer(b"".join(planes(k) for k in range(6)), numpy.uint8).reshape(6, 3072)
    content = {
        b"data": pixels,
        b"coarse_labels": COARSE,
        b"fine_labels": [50] * 6,
        b"filenames": [b"x.png"] * 6,
    }
    other = Folder(tmp_path / "other")
    other.files["cifar-100-python/test"] = pickle.dumps(content, protocol)
    found = other.content("cifar100coarse-triplets", limit="50")
    assert (found.items, found.made) == (plain.items, plain.made)


@pytest.mark.parametrize(
    "content, words",
    [
        ({"data": 1}, "expected a dict with data and coarse_labels"),
        ({"data": [1], "coarse_labels": [0]}, "data: found no uint8"),
        ({"data": numpy.zeros((1, 3071), numpy.uint8), "coarse_labels": [0]}, "data: found no uint8"),
        ({"data": numpy.zeros((2, 3072), numpy.uint8), "coarse_labels": [0]}, "a list of 2"),
        (
            {"data": numpy.zeros((2, 3072), numpy.uint8), "coarse_labels": [0, 20]},
            "record 2: found the coarse label 20",
        ),
    ],
)
def test_a_pickle_that_is_not_cifar_is_refused(tmp_path, content, words):
    folder = Folder(tmp_path)
    folder.files["test"] = pickle.dumps(content)
    folder.refused("cifar100coarse-triplets", words)


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("cifar100coarse-triplets", tmp_path, limit="40")


def test_what_is_not_the_binary_version_is_refused(folder):
    whole = folder.files["test.bin"]
    for broken, words in (
        (whole[:-1], "18443 bytes, expected records of 3074"),
        (b"", "found 0 bytes"),
        (whole[: 3 * 3074] + b"\x14" + whole[3 * 3074 + 1 :], "record 4: found the coarse label 20"),
        (whole[:1] + b"\x64" + whole[2:], "record 1: found the fine label 100"),
        (whole[: 2 * 3074], "1 coarse classes, expected two or more"),
    ):
        folder.files["test.bin"] = broken
        folder.refused("cifar100coarse-triplets", words)
    folder.files = {}
    (folder.root / "test.bin").unlink()
    folder.refused("cifar100coarse-triplets", "test.bin", OSError)
