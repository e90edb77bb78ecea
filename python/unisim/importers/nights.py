"""NIGHTS: which of two variations looks more like the picture? Fu et al. 2023, "DreamSim" (arXiv 2306.09344).

Layout and rule as UniSim-Bench's loader reads them (arXiv 2412.10594): data.csv beside ref/ and distort/. The column
names are those of the public file; without them the loader's positions hold. No real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import Row, Table, home, picture
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://dreamsim-nights.github.io"
OPTIONS: Options = {
    "votes": ("6", "the fewest votes with which a triplet is kept"),
    "split": ("test", "train, val or test"),
}
SPLITS = ("train", "val", "test")
_PLACES = {"right_vote": 2, "ref_path": 4, "left_path": 5, "right_path": 6}
_GROUPS = {"True": "imagenet", "False": "other", "1": "imagenet", "0": "other"}


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """The triplets of a split with enough votes, in the file's order. Label 1: the right one is more alike."""
    votes = whole_number("votes", options["votes"], 0, 1000)
    split = one_of("split", options["split"], SPLITS)
    place = home(data, ("", "nights/"), "data.csv")
    table = Table(data / place / "data.csv", ("votes", "split"), least_columns=7)
    columns: dict[str, str | int] = {
        name: name if table.has(*_PLACES) else position for name, position in _PLACES.items()
    }
    items = []
    for row in table.rows:
        if row.word("split", SPLITS) == split and row.whole("votes") >= votes:
            items.append(_item(data, place, row, columns))
    return TaskContent(
        name="nights", task="img-2afc", origin=ORIGIN, rule="nights", version=1, seed=seed,
        options={"votes": votes, "split": split}, items=items,
    )  # fmt: skip


def _item(data: Path, place: str, row: Row, columns: dict[str, str | int]) -> Item:
    reference, left, right = (
        image(picture(data, place + row.text(columns[name]), row.where))
        for name in ("ref_path", "left_path", "right_path")
    )
    label = row.whole(columns["right_vote"])
    if label > 1:
        raise ValueError(f"[import] {row.where}, right_vote: found {label}, expected 0 or 1")
    item: Item = {"reference": reference, "candidates": [left, right], "label": label}
    if row.table.has("is_imagenet"):
        item["group"] = _GROUPS[row.word("is_imagenet", tuple(_GROUPS))]
    return item
