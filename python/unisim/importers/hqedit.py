"""HQ-Edit: generated pictures before and after an edit, each with its caption. Hui et al. 2024 (arXiv 2404.09990).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): HQ-Edit/test.json, a list of {metadata: {dataset},
image: [in, out], input, output}, with the images' paths relative to the folder around HQ-Edit. No real files were seen.
"""

from collections.abc import Iterator
from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import home, picture, read_records
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://thefllood.github.io/HQEdit_web"
OPTIONS: Options = {
    "limit": ("2000", "the most items, the first ones"),
    "order": ("published", "published: label 0 and label 1 by turns; random: candidates in random order"),
}
LEFT_OUT = "HQ-Edit-Diff"  # records that describe differences
_FOLDER = "HQ-Edit/"


def make_images(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Each record's two pictures by its first caption, then by its second: which fits?"""
    return _content("hq_edit_text_images", "it-2afc", data, seed, options)


def make_texts(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Each record's two captions by its first picture, then by its second: which fits?"""
    return _content("hq_edit_text_2afc", "text-2afc", data, seed, options)


def _content(name: str, task: str, data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    order = one_of("order", options["order"], ("published", "random"))
    random = Seeded(name, seed)
    items: list[Item] = []
    for pictures, captions in _records(data):
        references, candidates = (captions, pictures) if task == "it-2afc" else (pictures, captions)
        for label, reference in enumerate(references):
            if len(items) == limit:
                break
            turned = order == "random" and random.below(2) == 1
            items.append(
                {
                    "reference": reference,
                    "candidates": candidates[::-1] if turned else candidates,
                    "label": 1 - label if turned else label,
                }
            )
    return TaskContent(
        name=name, task=task, origin=ORIGIN, rule=name, version=1, seed=seed,
        options={"limit": limit, "order": order}, items=items,
    )  # fmt: skip


def _records(data: Path) -> Iterator[tuple[list[dict[str, str]], list[dict[str, str]]]]:
    """Pictures and captions, before and after the edit."""
    place = home(data, ("", _FOLDER), "test.json")
    for record in read_records(data / place / "test.json"):
        if record.text("metadata", "dataset") == LEFT_OUT:
            continue
        paths = record.texts("image")
        if len(paths) != 2:
            raise ValueError(f"[import] {record.where}, image: found {len(paths)} pictures, expected two")
        if not place:
            paths = [path.removeprefix(_FOLDER) for path in paths]
        pictures = [image(picture(data, path, record.where)) for path in paths]
        yield pictures, [text(record.text("input")), text(record.text("output"))]
