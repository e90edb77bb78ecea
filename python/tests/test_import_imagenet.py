"""unisim import h-imagenet-triplets."""

from collections import Counter

import pytest

from data_set_folders import Folder, picture_bytes
from unisim.importers import imagenet

WNIDS = [f"n{k * 7 + 1000000:08}" for k in range(1000)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two pictures in each of a thousand classes."""
    made = Folder(tmp_path_factory.mktemp("imagenet"))
    one = picture_bytes("one", "JPEG")
    made.files = {f"val/{wnid}/ILSVRC2012_val_{j}.JPEG": one for wnid in WNIDS for j in (0, 1)}
    made.write()
    made.write = lambda root=None, order=0: made.root if root is None else Folder.write(made, root, order)
    return made


def test_the_groups_have_the_published_sizes():
    sizes = {name: len(imagenet.numbers(ranges)) for name, ranges in imagenet.GROUPS.items()}
    assert sizes == {
        "aquatic": 21, "terrestrial": 199, "clothes": 20, "transport": 34, "places": 13, "instruments": 21
    }  # fmt: skip
    assert len(imagenet.numbers(imagenet.TWICE)) == 119
    assert set(imagenet.numbers(imagenet.TWICE)) < set(imagenet.numbers(imagenet.GROUPS["terrestrial"]))
    every = [k for ranges in imagenet.GROUPS.values() for k in imagenet.numbers(ranges)]
    assert len(every) == len(set(every)) and set(every) <= set(range(1000))


# A few classes of each group, by hand.
KNOWN = {
    "aquatic": [0, 6, 33, 34, 147, 150, 390, 397],
    "terrestrial": [7, 24, 32, 48, 102, 344, 348, 388],
    "clothes": [399, 400, 617, 834],
    "transport": [403, 408, 779, 780, 880],
    "places": [415, 425, 978],
    "instruments": [401, 541, 542, 889],
}


def classes(item):
    return [WNIDS.index(one["image"].split("/")[1]) for one in item["candidates"]]


def test_two_of_one_group_and_one_of_another(folder):
    group_of = {k: name for name, ranges in imagenet.GROUPS.items() for k in imagenet.numbers(ranges)}
    for name, known in KNOWN.items():
        assert all(group_of[k] == name for k in known)
    items = folder.items("h-imagenet-triplets")
    assert len(items) == 5000
    pairs, labels = Counter(), Counter()
    for item in items:
        groups = [group_of[k] for k in classes(item)]
        odd = groups.pop(item["label"])
        assert groups[0] == groups[1] != odd and item["group"] == groups[0]
        pairs[groups[0]] += 1
        labels[item["label"]] += 1
    assert all(abs(count - 5000 / 6) < 130 for count in pairs.values())  # 4.9 deviations of 26.4
    assert all(abs(count - 5000 / 3) < 165 for count in labels.values())
    assert any(len({one["image"] for one in item["candidates"]}) == 2 for item in items)


def test_classes_that_are_listed_twice_are_drawn_twice_as_often_or_not(folder):
    doubled = set(imagenet.numbers(imagenet.TWICE))
    for option, share in (("published", 238 / 318), ("once", 119 / 199)):
        items = folder.items("h-imagenet-triplets", duplicates=option)
        drawn = [k for item in items for k in classes(item) if item["group"] == "terrestrial"]
        land = set(imagenet.numbers(imagenet.GROUPS["terrestrial"]))
        drawn = [k for k in drawn if k in land]
        found = sum(k in doubled for k in drawn) / len(drawn)
        assert abs(found - share) < 0.055  # 4.7 deviations of at most 0.0117 at 1,670 draws


def test_the_first_triplets_are_these(folder):
    items = folder.items("h-imagenet-triplets", limit="3")
    found = [([one["image"].split("/", 1)[1] for one in item["candidates"]], item["label"]) for item in items]
    assert found == IMAGENET


# Drawn with a generator written apart from the library's.
IMAGENET = [
    (
        [
            "n01003402/ILSVRC2012_val_0.JPEG",
            "n01006125/ILSVRC2012_val_1.JPEG",
            "n01005460/ILSVRC2012_val_1.JPEG",
        ],
        2,
    ),
    (
        [
            "n01005453/ILSVRC2012_val_0.JPEG",
            "n01005614/ILSVRC2012_val_0.JPEG",
            "n01002716/ILSVRC2012_val_0.JPEG",
        ],
        2,
    ),
    (
        [
            "n01006846/ILSVRC2012_val_0.JPEG",
            "n01001932/ILSVRC2012_val_0.JPEG",
            "n01000091/ILSVRC2012_val_1.JPEG",
        ],
        0,
    ),
]


def test_the_two_can_be_kept_apart(folder):
    items = folder.items("h-imagenet-triplets", limit="2000", same="never")
    assert all(len({one["image"] for one in item["candidates"]}) == 3 for item in items)


def test_the_folder_val_itself_is_taken_too(folder):
    from unisim.importers.catalogue import CATALOGUE
    from unisim.importers.data_set import chosen

    data_set = CATALOGUE["h-imagenet-triplets"]
    found = data_set.make(folder.root / "val", 0, chosen(data_set, {"limit": "3"}))
    assert [[f"val/{one['image']}" for one in item["candidates"]] for item in found.items] == [
        [one["image"] for one in item["candidates"]]
        for item in folder.items("h-imagenet-triplets", limit="3")
    ]


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("h-imagenet-triplets", tmp_path, limit="40")


def test_a_folder_that_is_not_the_validation_set_is_refused(tmp_path):
    folder = Folder(tmp_path).pictures("val/n00000001/a.png", "val/n00000002/b.png")
    folder.refused("h-imagenet-triplets", ["val", "found 2 folders, expected 1000"])
    for wnid in WNIDS:
        (tmp_path / "empty" / wnid).mkdir(parents=True)
    empty = Folder(tmp_path / "empty")
    empty.refused("h-imagenet-triplets", "found no picture")
