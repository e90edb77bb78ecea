"""Data sets with human judgements, as their authors publish them, made into tasks (docs/tasks.md, docs/datasets.md)."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from unisim.cache import cache_folder
from unisim.importers import distortions
from unisim.importers.catalogue import CATALOGUE
from unisim.importers.data_set import DataSet, chosen
from unisim.task_folder import write_task

DATA_SETS: dict[str, DataSet] = {
    "distortions": DataSet(
        "distortions", "img-2afc", "made of one's own pictures", "those of the pictures",
        distortions.make, options=distortions.OPTIONS,
    ),
    **CATALOGUE,
}  # fmt: skip


@dataclass(frozen=True)
class Imported:
    """A task that was written: what it asks, counts, and the SHA-256 of its manifest."""

    folder: Path
    task: str
    items: int
    files: int
    manifest: str


def import_task(
    name: str,
    data: Path,
    out: Path,
    seed: int = 0,
    options: dict[str, str] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Imported:
    """Read the data set `name` in the folder `data` and write the task `out`, whole or not at all.

    Raises
    ------
    OSError
        If a file of the data set is missing or cannot be read.
    ValueError
        An unknown name or option; a file that is not as the data set's layout has it, named with its line.
    """
    if name not in DATA_SETS:
        raise ValueError(f"[import] no data set {name!r}; known are {', '.join(DATA_SETS)}")
    if not data.is_dir():
        raise NotADirectoryError(20, "not a folder", str(data))
    one = DATA_SETS[name]
    content = one.make(data, seed, chosen(one, options or {}))
    manifest = write_task(content, data, out, progress)
    written = json.loads((out / "task.json").read_bytes())
    assert hashlib.sha256((out / "task.json").read_bytes()).hexdigest() == manifest
    return Imported(out, content.task, written["items"]["count"], written["files"]["count"], manifest)


def cached_task(name: str, data: Path) -> Path:
    """The task of a data set, made anew in the cache folder: what `Task.load(NAME, DIR)` reads."""
    place = hashlib.sha256(str(Path(data).resolve()).encode()).hexdigest()[:16]
    folder = cache_folder() / "tasks" / f"{name}-{place}"
    import_task(str(name), Path(data), folder)
    return folder
