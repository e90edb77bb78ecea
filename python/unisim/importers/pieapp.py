"""PieAPP: which of two distortions is nearer to the reference? Prashnani et al. 2018 (arXiv 1806.02067).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): reference_images/test/,
distorted_images/test/REF/, labels/test/REF_pairwise_labels.csv and test_reference_list.txt. No real files were seen.
"""

from collections.abc import Iterator
from pathlib import Path

from unisim.importers.data_set import Options, whole_number
from unisim.importers.reading import Table, home, picture, read_text, shown
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://github.com/prashnani/PerceptualImageError"
OPTIONS: Options = {}
IQA_OPTIONS: Options = {"limit": ("5000", "the most items, drawn of all")}

_LIST = "test_reference_list.txt"
_A, _B, _VOTE = "distorted image A", "distorted image B", "preference for A"
CLEAR = (0.4, 0.6)  # a pair is used whose preference for A lies outside


def make_2afc(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """The pairs that people clearly agreed on, in the files' order; the preferred one is right."""
    items: list[Item] = [
        {
            "reference": image(reference),
            "candidates": [image(a), image(b)],
            "label": 0 if preference > 0.5 else 1,
        }
        for reference, a, b, preference in _pairs(data)
    ]
    return TaskContent(
        name="pie-app-2afc",
        task="img-2afc",
        origin=ORIGIN,
        rule="pie-app-2afc",
        version=1,
        seed=seed,
        items=items,
    )


def make_iqa(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Of each such pair the reference beside A, and beside B; the reference is right, on a random side."""
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    pairs = [(reference, other) for reference, a, b, _ in _pairs(data) for other in (a, b)]
    random = Seeded("pie-app-iqa", seed)
    items: list[Item] = []
    for reference, other in random.shuffled(pairs)[:limit]:
        label = random.below(2)
        shown = (other, reference) if label else (reference, other)
        items.append({"candidates": [image(path) for path in shown], "label": label})
    return TaskContent(
        name="pie-app-iqa", task="iqa", attribute="quality", origin=ORIGIN, rule="pie-app-iqa", version=1, seed=seed,
        options={"limit": limit}, items=items,
    )  # fmt: skip


def _pairs(data: Path) -> Iterator[tuple[str, str, str, float]]:
    """(reference, A, B, preference for A), without pairs that show the reference itself."""
    place = home(data, ("", "pie_app/", "pie-app/"), _LIST)
    for line, name in enumerate(read_text(data / place / _LIST).splitlines(), 1):
        name = name.strip()
        if not name:
            continue
        where = f"{data / place / _LIST}, line {line}"
        if not name.endswith(".png"):
            raise ValueError(f"[import] {where}: found {shown(name)}, expected REF.png")
        stem = name[:-4]
        reference = picture(data, f"{place}reference_images/test/{name}", where)
        for row in Table(
            data / place / f"labels/test/{stem}_pairwise_labels.csv", ("ref. image", _A, _B, _VOTE)
        ).rows:
            if row.cell("ref. image") != name:
                raise ValueError(
                    f"[import] {row.where}: the reference is {row.cell('ref. image')}, expected {name}"
                )
            preference = row.number(_VOTE, 0, 1)
            shown_pair = row.cell(_A), row.cell(_B)
            if name in shown_pair or CLEAR[0] <= preference <= CLEAR[1]:
                continue
            a, b = (
                picture(data, f"{place}distorted_images/test/{stem}/{one}", row.where) for one in shown_pair
            )
            yield reference, a, b, preference
