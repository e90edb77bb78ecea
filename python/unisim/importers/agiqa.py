"""AGIQA-3K: generated pictures with opinions of quality and of alignment with their prompt.

Li et al. 2023 (arXiv 2306.04717).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): data.csv beside images/. No real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import Table, drawn, home, number, picture
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://github.com/lcysyzxdxc/AGIQA-3k-Database"
OPTIONS: Options = {
    "limit": ("5000", "how many pairs are drawn; a pair may be drawn again"),
    "ties": (
        "first",
        "first: of equal scores the first is right, as published; drop: such pairs are not used",
    ),
    "images": ("images", "the folder of the pictures, below DIR"),
}
ALIGN_OPTIONS: Options = {**OPTIONS, "least": ("1.0", "the lowest mos_align of a picture that is used")}


def make_align(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two pictures of one prompt; the higher mos_align is right."""
    least = number(options["least"], "option least")
    return _content("agiqa3k-align-pairs", "mos_align", least, data, seed, options)


def make_quality(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two pictures of one prompt; the higher mos_quality is right."""
    return _content("agiqa3k-qual-pairs", "mos_quality", None, data, seed, options)


def _content(
    name: str, column: str, least: float | None, data: Path, seed: int, options: dict[str, str]
) -> TaskContent:
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    ties = one_of("ties", options["ties"], ("first", "drop"))
    place = home(data, ("", "agiqa-3k/"), "data.csv")
    file = data / place / "data.csv"
    prompts = _prompts(data, f"{place}{options['images']}/", file, column, least)
    if not prompts:
        raise ValueError(f"[import] {file}: no prompt has two pictures")
    random = Seeded(name, seed)
    align = least is not None

    def draw(k: int) -> Item | None:
        prompt, pictures = prompts[k % len(prompts)]
        (first, score), (second, other_score) = random.sample(pictures, 2)
        if score == other_score and ties == "drop":
            return None
        item: Item = {"reference": text(prompt)} if align else {}
        return item | {"candidates": [image(first), image(second)], "label": int(score < other_score)}

    used = {"limit": limit, "ties": ties, "images": options["images"]} | ({"least": least} if align else {})
    return TaskContent(
        name=name, task="it-2afc" if align else "iqa", attribute=None if align else "quality", origin=ORIGIN, rule=name,
        version=1, seed=seed, options=used, items=drawn(limit, draw, str(file)),
    )  # fmt: skip


def _prompts(
    data: Path, folder: str, file: Path, column: str, least: float | None
) -> list[tuple[str, list[tuple[str, float]]]]:
    """The prompts with two pictures or more, in the table's order, and (path, score) of their pictures."""
    table = Table(file, ("prompt", column))
    found: dict[str, list[tuple[str, float]]] = {}
    for row in table.rows:
        score = row.number(column)
        if least is None or score >= least:
            path = picture(data, folder + row.text(0), row.where)
            found.setdefault(row.text("prompt"), []).append((path, score))
    return [(prompt, pictures) for prompt, pictures in found.items() if len(pictures) > 1]
