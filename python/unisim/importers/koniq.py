"""KonIQ-10k: photographs with opinions of quality, and four measured attributes. Hosu et al. 2020 (arXiv 1910.06180).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): 1024x768/, koniq10k_distributions_sets.csv and
koniq10k_indicators.csv. No real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import Row, Table, drawn, home, picture
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "http://database.mmsp-kn.de/koniq-10k-database.html"
OPTIONS: Options = {
    "limit": ("5000", "how many pairs are drawn; a pair may be drawn again"),
    "split": ("test", "training, validation or test"),
    "ties": (
        "first",
        "first: of equal scores the first is right, as published; drop: such pairs are not used",
    ),
    "images": ("1024x768", "the folder of the pictures, below DIR"),
}
SPLITS = ("training", "validation", "test")
_SETS, _INDICATORS = "koniq10k_distributions_sets.csv", "koniq10k_indicators.csv"


def make(name: str, attribute: str, data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Every picture of the split in turn, over and over, beside another one; the higher score is right."""
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    split = one_of("split", options["split"], SPLITS)
    ties = one_of("ties", options["ties"], ("first", "drop"))
    place = home(data, ("", "koniq10k/"), _SETS)
    scored = _scored(data, place, split, attribute, options["images"])
    if len(scored) < 2:
        raise ValueError(
            f"[import] {data / place / _SETS}: {len(scored)} pictures of {split}, expected two or more"
        )
    random = Seeded(name, seed)

    def draw(k: int) -> Item | None:
        first = k % len(scored)
        second = (first + 1 + random.below(len(scored) - 1)) % len(scored)
        (path, score), (other, other_score) = scored[first], scored[second]
        if score == other_score and ties == "drop":
            return None
        return {"candidates": [image(path), image(other)], "label": int(score < other_score)}

    return TaskContent(
        name=name, task="iqa" if attribute == "quality" else "paa", attribute=attribute, origin=ORIGIN, rule=name,
        version=1, seed=seed, items=drawn(limit, draw, str(data / place / _SETS)),
        options={"limit": limit, "split": split, "ties": ties, "images": options["images"]},
    )  # fmt: skip


def _scored(data: Path, place: str, split: str, attribute: str, folder: str) -> list[tuple[str, float]]:
    """(path, score) of the split's pictures, in the table's order."""
    table = Table(data / place / _SETS, ("image_name", "MOS", "set"))
    measured = {} if attribute == "quality" else _measured(data / place / _INDICATORS, attribute)
    found: dict[str, float] = {}
    for row in table.rows:
        if row.word("set", SPLITS) != split:
            continue
        name = row.text("image_name")
        if name in found:
            raise ValueError(f"[import] {row.where}: {name} is there twice")
        score = row.number("MOS") if attribute == "quality" else _measure(row, name, measured)
        picture(data, f"{place}{folder}/{name}", row.where)
        found[name] = score
    return [(f"{place}{folder}/{name}", score) for name, score in found.items()]


def _measured(file: Path, attribute: str) -> dict[int, float]:
    """The attribute by the number of the picture."""
    found: dict[int, float] = {}
    for row in Table(file, ("image_id", attribute)).rows:
        number = row.whole("image_id")
        if number in found:
            raise ValueError(f"[import] {row.where}: the picture {number} is there twice")
        found[number] = row.number(attribute)
    return found


def _measure(row: Row, name: str, measured: dict[int, float]) -> float:
    stem = name.rsplit(".", 1)[0]
    if not stem.isascii() or not stem.isdigit() or int(stem) not in measured:
        raise ValueError(f"[import] {row.where}: {_INDICATORS} has no row of {name}")
    return measured[int(stem)]
