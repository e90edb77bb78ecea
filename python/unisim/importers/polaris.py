"""Polaris: captions that people rated. Wada et al. 2024, "Polos" (arXiv 2402.18091).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): polaris_test.csv beside images/; by position the
picture's name, its reference captions as a Python list, the candidate, and the score in the last column. No real files
were seen.
"""

import ast
from pathlib import Path

from unisim.importers.data_set import Options, whole_number
from unisim.importers.reading import Row, Table, home, number, picture, shown, words
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://yuiga.dev/polos"
OPTIONS: Options = {
    "limit": ("5000", "the most items, drawn of all"),
    "most": ("0.5", "the highest human score of a caption that counts as wrong"),
    "images": ("images", "the folder of the pictures, below DIR"),
}
MOST_LETTERS = 65536  # of a list of captions
MOST_CAPTIONS = 1000


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Each reference caption beside a low-rated candidate of its picture; the reference caption is right."""
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    most = number(options["most"], "option most", 0, 1)
    place = home(data, ("", "polaris/"), "polaris_test.csv")
    pairs = []
    for row in Table(data / place / "polaris_test.csv", least_columns=4).rows:
        captions = caption_list(row)
        candidate = row.text(2)
        if row.number(-1, 0, 1) <= most and _bare(candidate) not in [_bare(caption) for caption in captions]:
            path = picture(data, f"{place}{options['images']}/{row.cell(0)}", row.where)
            pairs += [(path, caption, candidate) for caption in captions]
    random = Seeded("polaris", seed)
    items: list[Item] = []
    for path, caption, candidate in random.shuffled(pairs)[:limit]:
        label = random.below(2)
        candidates = [text(candidate), text(caption)] if label else [text(caption), text(candidate)]
        items.append({"reference": image(path), "candidates": candidates, "label": label})
    return TaskContent(
        name="polaris", task="text-2afc", origin=ORIGIN, rule="polaris", version=1, seed=seed, items=items,
        options={"limit": limit, "most": most, "images": options["images"]},
    )  # fmt: skip


def _bare(caption: str) -> str:
    """What the rule compares: capitals, full stops and line ends do not count."""
    return caption.lower().replace(".", "").replace("\n", "").replace("\r", "")


def caption_list(row: Row) -> list[str]:
    """The second cell: a list of texts as Python writes it, read as data and never evaluated."""
    where = f"{row.where}, {row.table.header[1]}"
    given = row.cell(1)
    if len(given) > MOST_LETTERS:
        raise ValueError(f"[import] {where}: found {len(given)} letters, expected at most {MOST_LETTERS}")
    try:
        found = ast.literal_eval(given)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(caption, str) for caption in found):
        raise ValueError(f"[import] {where}: found {shown(given)}, expected a list of texts")
    if not 1 <= len(found) <= MOST_CAPTIONS:
        raise ValueError(f"[import] {where}: found {len(found)} captions, expected 1 to {MOST_CAPTIONS}")
    return [words(caption, where) for caption in found]
