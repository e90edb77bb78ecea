"""MagicBrush: pictures before and after an edit that was asked for. Zhang et al. 2023 (arXiv 2306.10012).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): MagicBrush/test.json, a list of {metadata:
{dataset}, image: [source, edited], conversations: [{...}, {value}]}; the second part of an image's path is replaced by
the split's name. No real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options
from unisim.importers.reading import Record, home, picture, read_records
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://osu-nlp-group.github.io/MagicBrush"
OPTIONS: Options = {}
SPLIT = "test"
LEFT_OUT = "MagicBrush-Diff"  # records that describe differences
_FOLDER = "MagicBrush/"


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Source and edited picture in random order; the edited one is what the instruction asks for."""
    place = home(data, ("", _FOLDER), f"{SPLIT}.json")
    random = Seeded("magic_brush", seed)
    items: list[Item] = []
    for record in read_records(data / place / f"{SPLIT}.json"):
        if record.text("metadata", "dataset") == LEFT_OUT or len(record.at(list, "image")) > 2:
            continue
        if len(record.at(list, "image")) < 2:
            raise ValueError(f"[import] {record.where}, image: found less than two pictures")
        source, edited = (_path(data, place, record, k) for k in (0, 1))
        label = random.below(2)
        items.append(
            {
                "reference": text(record.text("conversations", 1, "value")),
                "candidates": [image(source), image(edited)] if label else [image(edited), image(source)],
                "label": label,
            }
        )
    return TaskContent(
        name="magic_brush",
        task="it-2afc",
        origin=ORIGIN,
        rule="magic_brush",
        version=1,
        seed=seed,
        items=items,
    )


def _path(data: Path, place: str, record: Record, k: int) -> str:
    """Of MagicBrush/WHATEVER/NAME the path MagicBrush/SPLIT/NAME; without MagicBrush/ where DIR is that folder."""
    parts = record.text("image", k).split("/")
    if len(parts) < 3:
        raise ValueError(
            f"[import] {record.where}, image[{k}]: found {'/'.join(parts)!r}, expected FOLDER/SPLIT/NAME"
        )
    parts[1] = SPLIT
    return picture(data, "/".join(parts if place else parts[1:]), record.where)
