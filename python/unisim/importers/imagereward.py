"""ImageReward's pairs: generated pictures that people ranked for a prompt. Xu et al. 2023 (arXiv 2304.05977).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): metadata-validation.parquet and the pictures
unpacked to the paths of its column image_path. The same table as .jsonl or .csv is taken too, and first. The data set's
own script is never run. No real files were seen.
"""

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unisim.importers.data_set import Options, one_of
from unisim.importers.reading import Table, home, parsed, picture, read_text, records, words
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image, text

ORIGIN = "https://huggingface.co/datasets/THUDM/ImageRewardDB"
OPTIONS: Options = {
    "pair": (
        "first-last",
        "first-last: a prompt's first and last row, as published; best-worst: its lowest and highest rank",
    ),
    "images": ("", "a folder below DIR that the paths are relative to; nothing: DIR"),
}
_STEM = "metadata-validation"
_COLUMNS = ("image_path", "prompt_id", "prompt", "rank")
_Ranked = tuple[str, int]  # path, rank


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Two pictures of each prompt, in the table's order; the lower rank is right, of equal ranks the first."""
    pair = one_of("pair", options["pair"], ("first-last", "best-worst"))
    random = Seeded("imagereward1k-pairs", seed)
    items: list[Item] = []
    for prompt, pictures in _prompts(data, options["images"]):
        if len(pictures) < 2:
            continue  # one picture is no pair
        if pair == "best-worst":
            pictures = sorted(pictures, key=lambda one: one[1])
        chosen = [pictures[0], pictures[-1]]
        (first, rank), (second, other_rank) = chosen[::-1] if random.below(2) else chosen
        items.append(
            {
                "reference": text(prompt),
                "candidates": [image(first), image(second)],
                "label": int(rank > other_rank),
            }
        )
    return TaskContent(
        name="imagereward1k-pairs", task="it-2afc", origin=ORIGIN, rule="imagereward1k-pairs", version=1, seed=seed,
        options={"pair": pair, "images": options["images"]}, items=items,
    )  # fmt: skip


def _prompts(data: Path, images: str) -> list[tuple[str, list[_Ranked]]]:
    """Each prompt and its pictures, both in the table's order."""
    folder = f"{images}/" if images else ""
    prompts: dict[str, str] = {}
    pictures: dict[str, list[_Ranked]] = {}
    for where, path, number, prompt, rank in _rows(data):
        if prompts.setdefault(number, prompt) != prompt:
            raise ValueError(f"[import] {where}: the prompt {number} has another text before")
        pictures.setdefault(number, []).append((picture(data, folder + path, where), rank))
    return [(prompts[number], found) for number, found in pictures.items()]


def _rows(data: Path) -> Iterator[tuple[str, str, str, str, int]]:
    """(where, image_path, prompt_id, prompt, rank) of every row."""
    jsonl, table = data / f"{_STEM}.jsonl", data / f"{_STEM}.csv"
    if table.exists() and not jsonl.exists():
        for row in Table(table, _COLUMNS).rows:
            yield (
                row.where,
                row.text("image_path"),
                row.text("prompt_id"),
                row.text("prompt"),
                row.whole("rank", 1),
            )
        return
    if jsonl.exists():
        file = jsonl
        lines = enumerate(read_text(file).split("\n"), 1)
        values = [parsed(line, file, number) for number, line in lines if line.strip()]
    else:
        home(data, ("",), f"{_STEM}.parquet")
        file = data / f"{_STEM}.parquet"
        values = _parquet(file)
    for record in records(file, values):
        number = words(str(record.value.get("prompt_id", "")), f"{record.where}, prompt_id")
        rank = record.at(int, "rank")
        if rank < 1:
            raise ValueError(f"[import] {record.where}, rank: found {rank}, expected 1 or more")
        yield record.where, record.text("image_path"), number, record.text("prompt"), rank


def _parquet(file: Path) -> Any:
    """The rows of a Parquet file, by an optional package."""
    try:
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise RuntimeError(
            f"[import] {file}: reading Parquet needs pyarrow, which is not installed: pip install pyarrow "
            f"(or give the same table as {_STEM}.csv or {_STEM}.jsonl)"
        ) from None
    try:
        return parquet.read_table(file, columns=list(_COLUMNS)).to_pylist()
    except (ValueError, KeyError) as error:  # pyarrow's own errors are among these
        raise ValueError(f"[import] {file}: {error}") from error
