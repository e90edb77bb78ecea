"""CIFAR-100 with its 20 coarse classes, for the odd one out. Krizhevsky 2009.

Layout: test.bin of the binary version (records of a coarse label, a fine label and 3 planes of 32 x 32), or the pickled
cifar-100-python/test, read as plain data. The rule is UniSim-Bench's (arXiv 2412.10594). No real files were seen; the
names of the coarse classes are from general knowledge.
"""

from pathlib import Path

import numpy
from numpy.typing import NDArray

from unisim.importers import plain_pickle
from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import home, shown
from unisim.plain_png import png
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://www.cs.toronto.edu/~kriz/cifar.html"
OPTIONS: Options = {
    "limit": ("5000", "how many triplets are drawn"),
    "same": (
        "allowed",
        "allowed: the two of a class may be one picture twice, as published; never: they differ",
    ),
}
COARSE = (
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
)  # fmt: skip
FINE = 100
_RECORD = 2 + 3 * 32 * 32
_PLACES = ("", "cifar-100-binary/", "cifar-100-python/")

Pixels = NDArray[numpy.uint8]


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two pictures of one coarse class and one of another, which is the odd one, at a random place."""
    limit = whole_number("limit", options["limit"], 1, 1_000_000)
    same = one_of("same", options["same"], ("allowed", "never"))
    labels, pixels = _pictures(data)
    members = {k: [int(at) for at in numpy.flatnonzero(labels == k)] for k in range(len(COARSE))}
    classes = [k for k, found in members.items() if len(found) > (1 if same == "never" else 0)]
    if len(classes) < 2:
        raise ValueError(
            f"[import] {data}: found pictures of {len(classes)} coarse classes, expected two or more"
        )
    random = Seeded("cifar100coarse-triplets", seed)
    items: list[Item] = []
    used: set[int] = set()
    for _ in range(limit):
        alike, other = random.sample(classes, 2)
        if same == "never":
            triplet = random.sample(members[alike], 2)
        else:
            triplet = [random.choice(members[alike]) for _ in range(2)]
        odd = random.below(3)
        triplet.insert(odd, random.choice(members[other]))
        used.update(triplet)
        candidates = [image(_name(k)) for k in triplet]
        items.append({"candidates": candidates, "label": odd, "group": COARSE[alike]})
    return TaskContent(
        name="cifar100coarse-triplets", task="ooo", origin=ORIGIN, rule="cifar100coarse-triplets", version=1, seed=seed,
        options={"limit": limit, "same": same}, items=items,
        made={_name(k): png(pixels[k].reshape(3, 32, 32).transpose(1, 2, 0)) for k in sorted(used)},
    )  # fmt: skip


def _name(k: int) -> str:
    return f"test/{k:05}.png"


def _pictures(data: Path) -> tuple[NDArray[numpy.uint8], Pixels]:
    """Coarse labels [n], and pixels [n, 3072] as planes of red, green, blue."""
    try:
        return _binary(data / home(data, _PLACES, "test.bin") / "test.bin")
    except FileNotFoundError:
        if not any((data / place / "test").is_file() for place in _PLACES):
            raise
    return _pickled(data / home(data, _PLACES, "test") / "test")


def _binary(file: Path) -> tuple[NDArray[numpy.uint8], Pixels]:
    size = file.stat().st_size
    if size == 0 or size % _RECORD:
        raise ValueError(f"[import] {file}: found {size} bytes, expected records of {_RECORD}")
    rows = numpy.fromfile(file, numpy.uint8).reshape(-1, _RECORD)
    for column, name, count in ((0, "coarse", len(COARSE)), (1, "fine", FINE)):
        wrong = numpy.flatnonzero(rows[:, column] >= count)
        if wrong.size:
            found = rows[wrong[0], column]
            raise ValueError(
                f"[import] {file}, record {wrong[0] + 1}: found the {name} label {found}, expected less than {count}"
            )
    return rows[:, 0], rows[:, 2:]


def _pickled(file: Path) -> tuple[NDArray[numpy.uint8], Pixels]:
    found = plain_pickle.read(file.read_bytes(), str(file))
    if not isinstance(found, dict) or not {"data", "coarse_labels"} <= set(found):
        raise ValueError(
            f"[import] {file}: found {shown(found)}, expected a dict with data and coarse_labels"
        )
    pixels, labels = found["data"], found["coarse_labels"]
    if (
        not isinstance(pixels, numpy.ndarray)
        or pixels.dtype != numpy.uint8
        or pixels.shape[1:] != (_RECORD - 2,)
    ):
        raise ValueError(f"[import] {file}, data: found no uint8 [n, {_RECORD - 2}]")
    if not isinstance(labels, list) or len(labels) != len(pixels):
        raise ValueError(f"[import] {file}, coarse_labels: expected a list of {len(pixels)}")
    for number, label in enumerate(labels, 1):
        if type(label) is not int or not 0 <= label < len(COARSE):
            raise ValueError(
                f"[import] {file}, record {number}: found the coarse label {shown(label)}, "
                f"expected less than {len(COARSE)}"
            )
    return numpy.array(labels, numpy.uint8), pixels
