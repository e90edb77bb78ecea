"""ImageNet's validation pictures in six coarse groups, for the odd one out. Russakovsky et al. 2015 (arXiv 1409.0575).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): val/WNID/*, 1000 folders; a class's number is the
place of its folder among the sorted names. The lists of classes are the published ones. No real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import PICTURES, names_in
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://www.image-net.org"
OPTIONS: Options = {
    "limit": ("5000", "how many triplets are drawn"),
    "duplicates": (
        "published",
        "published: 119 classes of the group terrestrial are listed, and so drawn, twice; once: each once",
    ),
    "same": (
        "allowed",
        "allowed: the two of a group may be one picture twice, as published; never: they differ",
    ),
}
CLASSES = 1000
GROUPS = {
    "aquatic": "0-6 33-34 147-150 390-397",
    "terrestrial": "7-24 30-32 38-43 45-48 51-57 59-64 66-68 70-100 102 104-106 127-143 269-326 344 348-388",
    "clothes": "399-400 411 434 443 474 501 529 568 578 608 614 617 638 655 697 775 808 824 834",
    "transport": (
        "403-405 407-408 436 450 472 476 511 547 555 565 573 576 595 612 627 654 656 665 671 717 779-780 802 814 817 "
        "829 833 866 870 874 880"
    ),
    "places": "415 424-425 467 483 497 500 580 624 663 668 698 978",
    "instruments": "401-402 420 432 486 513 541-542 546 558 577 579 593-594 641-642 683-684 776 875 889",
}
TWICE = "7-24 73-79 275-326 344 348-388"  # of terrestrial


def numbers(ranges: str) -> list[int]:
    """The numbers of "0-2 5": 0, 1, 2, 5."""
    ends = [[int(end) for end in part.split("-")] for part in ranges.split()]
    return [k for part in ends for k in range(part[0], part[-1] + 1)]


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two pictures of one group and one of another, which is the odd one, at a random place."""
    limit = whole_number("limit", options["limit"], 1, 1_000_000)
    duplicates = one_of("duplicates", options["duplicates"], ("published", "once"))
    same = one_of("same", options["same"], ("allowed", "never"))
    groups = {name: numbers(ranges) for name, ranges in GROUPS.items()}
    if duplicates == "published":
        groups["terrestrial"] += numbers(TWICE)
    pictures = _Pictures(data)
    random = Seeded("h-imagenet-triplets", seed)
    items: list[Item] = []
    while len(items) < limit:
        alike, other = random.sample(list(groups), 2)
        odd = random.below(3)
        triplet = [pictures.drawn(random, groups[other if slot == odd else alike]) for slot in range(3)]
        if same == "never" and len(set(triplet)) < 3:
            continue
        items.append({"candidates": [image(path) for path in triplet], "label": odd, "group": alike})
    return TaskContent(
        name="h-imagenet-triplets", task="ooo", origin=ORIGIN, rule="h-imagenet-triplets", version=1, seed=seed,
        options={"limit": limit, "duplicates": duplicates, "same": same}, items=items,
    )  # fmt: skip


class _Pictures:
    """The pictures of each class, listed when first asked for."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.place = "val/" if (data / "val").is_dir() else ""
        self.folders = names_in(data / self.place)
        if len(self.folders) != CLASSES:
            raise ValueError(
                f"[import] {data / self.place}: found {len(self.folders)} folders, expected {CLASSES}"
            )
        self.names: dict[int, list[str]] = {}

    def drawn(self, random: Seeded, classes: list[int]) -> str:
        """A picture of a class, both drawn."""
        number = random.choice(classes)
        folder = f"{self.place}{self.folders[number]}"
        if number not in self.names:
            self.names[number] = names_in(self.data / folder, PICTURES)
        if not self.names[number]:
            raise ValueError(f"[import] {self.data / folder}: found no picture, expected 50")
        return f"{folder}/{random.choice(self.names[number])}"
