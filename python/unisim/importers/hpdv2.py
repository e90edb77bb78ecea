"""HPDv2: generated pictures that people ranked by preference for a prompt. Wu et al. 2023 (arXiv 2306.09341).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): test.json, a list of {prompt, image_path: [...],
rank: [...]} where rank k belongs to image k and 1 is best, and test/ with the pictures. No real files were seen.
"""

from pathlib import Path

from unisim.importers.data_set import Options, one_of, whole_number
from unisim.importers.reading import Record, drawn, home, picture, read_records
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://github.com/tgxs002/HPSv2"
OPTIONS: Options = {
    "limit": ("5000", "how many pairs are drawn; a pair may be drawn again"),
    "ties": (
        "first",
        "first: of equal ranks the first is right, as published; drop: such pairs are not used",
    ),
    "corrupt": (
        "drop",
        "drop: without the prompts that name one of four files known to be broken, as published; keep",
    ),
    "images": ("test", "the folder of the pictures, below DIR"),
}
CORRUPT = ("00006811.jpg", "00168743.jpg", "00331911.jpg", "00310087.jpg")


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two pictures of each prompt in turn, over and over; the lower rank is right."""
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    ties = one_of("ties", options["ties"], ("first", "drop"))
    dropped = CORRUPT if one_of("corrupt", options["corrupt"], ("drop", "keep")) == "drop" else ()
    place = home(data, ("", "hpdv2/"), "test.json")
    file = data / place / "test.json"
    read = [_ranked(data, f"{place}{options['images']}/", record, dropped) for record in read_records(file)]
    prompts = [one for one in read if one is not None]
    if not prompts:
        raise ValueError(f"[import] {file}: no prompt is left")
    random = Seeded("hpdv2-pairs", seed)

    def draw(k: int) -> Item | None:
        prompt, pictures = prompts[k % len(prompts)]
        (first, rank), (second, other_rank) = random.sample(pictures, 2)
        if rank == other_rank and ties == "drop":
            return None
        return {
            "reference": text(prompt),
            "candidates": [image(first), image(second)],
            "label": int(rank > other_rank),
        }

    return TaskContent(
        name="hpdv2-pairs", task="it-2afc", origin=ORIGIN, rule="hpdv2-pairs", version=1, seed=seed,
        options={"limit": limit, "ties": ties, "corrupt": options["corrupt"], "images": options["images"]},
        items=drawn(limit, draw, str(file)),
    )  # fmt: skip


def _ranked(
    data: Path, folder: str, record: Record, dropped: tuple[str, ...]
) -> tuple[str, list[tuple[str, int]]] | None:
    """A prompt and (path, rank) of its pictures; None where one of them is dropped."""
    names = record.texts("image_path")
    ranks = [record.at(int, "rank", k) for k in range(len(record.at(list, "rank")))]
    if len(names) < 2 or len(names) != len(ranks):
        raise ValueError(
            f"[import] {record.where}: found {len(names)} of image_path and {len(ranks)} of rank, expected as many"
        )
    if any(rank < 0 for rank in ranks):
        raise ValueError(f"[import] {record.where}, rank: found {min(ranks)}, expected 0 or more")
    prompt = record.text("prompt")
    if any(name.rsplit("/", 1)[-1] in dropped for name in names):
        return None
    paths = [picture(data, folder + name, record.where) for name in names]
    return prompt, list(zip(paths, ranks, strict=True))
