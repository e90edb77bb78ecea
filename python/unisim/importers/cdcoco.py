"""Captions of COCO pictures by six models, scored by people: the coco-triplets (CD-COCO) of UniSim-Bench.

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): resources/all_captions_extended.csv and
resources/expert_worker_results_extended.csv; the pictures of COCO val2014 are the user's own copy. No real files were
seen. Inferred: that the scores are those of Bianco et al. 2023 (arXiv 2306.11593), and that a row's captions are those
whose `fname` is the last part of its Image_URL.
"""

from pathlib import Path

from unisim.importers.data_set import Options
from unisim.importers.reading import Row, Table, home, number, picture
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://huggingface.co/datasets/saraghznfri/unisim_data"
OPTIONS: Options = {
    "least": ("3", "the lowest max_score of a picture that is used"),
    "images": ("val2014", "the folder of COCO's val2014 pictures, below DIR"),
}
CAPTIONERS = {  # the column of its scores: that of its captions
    "OFA": "OFA_Huge", "GIT": "GIT_Large", "Our": "Ensemble", "ExpNet-v2": "ExpansionNet_v2", "BLIP-2": "BLIP_2",
    "ViT-GPT2": "ViT_GPT2",
}  # fmt: skip


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Each caption scored 0 beside a random one of the highest score, in random order; the latter is right."""
    least = number(options["least"], "option least")
    place = home(data, ("", "coco-triplets/"), "resources/expert_worker_results_extended.csv")
    scores = Table(
        data / place / "resources/expert_worker_results_extended.csv", ("Image_URL", "max_score", *CAPTIONERS)
    )
    captions = _captions(data / place / "resources/all_captions_extended.csv")
    random = Seeded("coco-triplets", seed)
    items: list[Item] = []
    for row in scores.rows:
        highest = row.number("max_score")
        given = {name: row.number(name) for name in CAPTIONERS}
        if highest < least:
            continue
        path = row.cell("Image_URL").rsplit("/", 1)[-1]
        if path not in captions:
            raise ValueError(f"[import] {row.where}: all_captions_extended.csv has no row of {path!r}")
        best = [name for name in CAPTIONERS if given[name] == highest]
        if not best:
            raise ValueError(
                f"[import] {row.where}, max_score: found {highest:g}, which is no captioner's score"
            )
        shown = image(picture(data, f"{options['images']}/{path}", row.where))
        for zero in (name for name in CAPTIONERS if given[name] == 0):
            right, label = random.choice(best), random.below(2)
            pair = [
                captions[path].text(CAPTIONERS[name]) for name in ((zero, right) if label else (right, zero))
            ]
            items.append({"reference": shown, "candidates": [text(one) for one in pair], "label": label})
    return TaskContent(
        name="coco-triplets", task="text-2afc", origin=ORIGIN, rule="coco-triplets", version=1, seed=seed, items=items,
        options={"least": least, "images": options["images"]},
    )  # fmt: skip


def _captions(file: Path) -> dict[str, Row]:
    """The rows of captions by the picture's name."""
    found: dict[str, Row] = {}
    for row in Table(file, ("fname", *CAPTIONERS.values())).rows:
        if found.setdefault(row.cell("fname"), row) is not row:
            raise ValueError(f"[import] {row.where}: {row.cell('fname')!r} is there twice")
    return found
