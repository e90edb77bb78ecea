"""PIPAL: distorted and restored patches with Elo scores. Gu et al. 2020 (arXiv 2007.12142).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): Val_Ref/*.bmp, Val_Dist/ and val_label.txt. No
real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options, whole_number
from unisim.importers.reading import home, names_in, number, picture, read_text, shown
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://www.jasongt.com/projectpages/pipal.html"
OPTIONS: Options = {
    "good": ("1500", "the lowest Elo score of a good picture"),
    "most": ("5", "the most good pictures of a reference, itself among them"),
}


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Each good picture of a reference (itself, then the file's order) beside each bad one; the good one is right."""
    good = number(options["good"], "option good")
    most = whole_number("most", options["most"], 1, 1_000_000)
    place = home(data, ("", "PIPAL/", "pipal/"), "val_label.txt")
    references = [name[:-4] for name in names_in(data / place / "Val_Ref", (".bmp",))]
    random = Seeded("pipal", seed)
    items: list[Item] = []
    for reference, rated in _rated(data, place, references).items():
        right = [f"{place}Val_Ref/{reference}.bmp", *(path for path, score in rated if score >= good)][:most]
        wrong = [path for path, score in rated if score < good]
        for better in right:
            for worse in wrong:
                label = random.below(2)
                candidates = [image(worse), image(better)] if label else [image(better), image(worse)]
                items.append({"candidates": candidates, "label": label})
    return TaskContent(
        name="pipal", task="iqa", attribute="quality", origin=ORIGIN, rule="pipal", version=1, seed=seed,
        options={"good": good, "most": most}, items=items,
    )  # fmt: skip


def _rated(data: Path, place: str, references: list[str]) -> dict[str, list[tuple[str, float]]]:
    """(path, score) of the distorted pictures by their reference, in the file's order."""
    file = data / place / "val_label.txt"
    found: dict[str, list[tuple[str, float]]] = {reference: [] for reference in references}
    for line, row in enumerate(read_text(file).splitlines(), 1):
        if not row.strip():
            continue
        where = f"{file}, line {line}"
        name, comma, score = (part.strip() for part in row.partition(","))
        if not comma:
            raise ValueError(f"[import] {where}: found {shown(row)}, expected NAME,SCORE")
        # A stem may begin another one: the longest is meant.
        stems = [stem for stem in references if name.startswith(stem)]
        if not stems:
            raise ValueError(f"[import] {where}: {shown(name)} begins with the name of no picture of Val_Ref")
        path = picture(data, f"{place}Val_Dist/{name}", where)
        found[max(stems, key=len)].append((path, number(score, where)))
    return found
