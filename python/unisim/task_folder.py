"""Writes a task as a folder: docs/tasks.md has its format. The same content gives the same bytes."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from unisim import whole_files

FORMAT = "unisim-task-1"
TASKS = ("img-2afc", "it-2afc", "text-2afc", "iqa", "paa", "ooo", "ir")
ATTRIBUTES = ("quality", "brightness", "colorfulness", "contrast", "sharpness")

Item = dict[str, Any]


@dataclass
class TaskContent:
    """What an importer makes of a data set. Items are as in docs/tasks.md; `made` has the PNG bytes of pictures
    that are no files of the data set, by path."""

    name: str
    task: str
    origin: str
    rule: str
    version: int
    items: list[Item]
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    attribute: str | None = None
    database: list[str] = field(default_factory=list)  # retrieval alone: paths
    made: dict[str, bytes] = field(default_factory=dict)


def image(path: str | PurePosixPath) -> dict[str, str]:
    """An operand that is a picture."""
    return {"image": str(path)}


def text(words: str) -> dict[str, str]:
    """An operand that is a text."""
    return {"text": words}


def write_task(
    content: TaskContent, data: Path, out: Path, progress: Callable[[int, int], object] | None = None
) -> str:
    """Write the folder `out`, whole or not at all, hashing every picture under `data`; its manifest's SHA-256.

    Raises
    ------
    OSError
        If a picture cannot be read, or `out` cannot be written.
    ValueError
        If an item is not as its task needs it, a path leads out of `data`, or `out` is there and is no task.
    """
    _check(content)
    if out.exists() and not (out / "task.json").is_file():
        raise ValueError(f"[import] {out}: is there already, and is no task that could be replaced")
    with whole_files.folder_made_whole(out) as folder:
        manifest = _write_into(folder, content, data, progress)
    return hashlib.sha256(manifest).hexdigest()


def _write_into(
    folder: Path, content: TaskContent, data: Path, progress: Callable[[int, int], object] | None
) -> bytes:
    for path in sorted(_pictures(content) & set(content.made)):
        target = folder / "made" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content.made[path])
    items = _lines(content.items)
    files = _lines(_files(content, data, progress))
    manifest: dict[str, Any] = {"format": FORMAT, "name": content.name, "task": content.task}
    if content.attribute is not None:
        manifest["attribute"] = content.attribute
    manifest |= {
        "measure": "map" if content.task == "ir" else "accuracy",
        "tie": "first",
        "origin": content.origin,
        "rule": {
            "name": content.rule,
            "version": content.version,
            "seed": content.seed,
            "options": dict(sorted(content.options.items())),
        },
        "items": _part(folder / "items.jsonl", items),
    }
    if content.task == "ir":
        manifest["database"] = _part(folder / "database.jsonl", _lines([image(p) for p in content.database]))
    manifest["files"] = _part(folder / "files.jsonl", files)
    written = _json(manifest) + b"\n"
    (folder / "task.json").write_bytes(written)
    return written


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _lines(rows: Sequence[Item]) -> bytes:
    return b"".join(_json(row) + b"\n" for row in rows)


def _part(file: Path, content: bytes) -> dict[str, Any]:
    file.write_bytes(content)
    return {"count": content.count(b"\n"), "sha256": hashlib.sha256(content).hexdigest()}


def _files(
    content: TaskContent, data: Path, progress: Callable[[int, int], object] | None
) -> list[dict[str, Any]]:
    paths = sorted(_pictures(content), key=str.encode)
    rows = []
    for done, path in enumerate(paths, 1):
        if path in content.made:
            found = hashlib.sha256(content.made[path]).hexdigest(), len(content.made[path])
        else:
            with open(data / path, "rb") as stream:
                digest = hashlib.file_digest(stream, "sha256").hexdigest()
                found = digest, os.fstat(stream.fileno()).st_size
        rows.append({"path": path, "sha256": found[0], "bytes": found[1], "made": path in content.made})
        if progress:
            progress(done, len(paths))
    return rows


def _pictures(content: TaskContent) -> set[str]:
    operands = [
        operand
        for item in content.items
        for operand in [item.get("reference", {}), *item.get("candidates", [])]
    ]
    return {operand["image"] for operand in operands if "image" in operand} | set(content.database)


_SHAPES = {  # task: kind of the reference, kind of a candidate, how many candidates
    "img-2afc": ("image", "image", 2),
    "it-2afc": ("text", "image", 2),
    "text-2afc": ("image", "text", 2),
    "iqa": (None, "image", 2),
    "paa": (None, "image", 2),
    "ooo": (None, "image", 3),
    "ir": ("image", None, 0),
}


def _check(content: TaskContent) -> None:
    """Our own importers are held to the format as strictly as a reader would hold them."""
    if content.task not in _SHAPES:
        raise ValueError(f"[import] task {content.task!r}, expected one of {', '.join(TASKS)}")
    if (content.attribute is not None) != (content.task in ("iqa", "paa")):
        raise ValueError(f"[import] attribute {content.attribute!r} of task {content.task!r}")
    if content.attribute is not None and content.attribute not in ATTRIBUTES:
        raise ValueError(f"[import] attribute {content.attribute!r}, expected one of {', '.join(ATTRIBUTES)}")
    if not content.items:
        raise ValueError(f"[import] {content.name}: the rule leaves no item")
    for number, item in enumerate(content.items):
        _check_item(content, number, item)
    for path in _pictures(content) | set(content.made):
        inside(path)


def _check_item(content: TaskContent, number: int, item: Item) -> None:
    reference, candidate, count = _SHAPES[content.task]
    kinds = [next(iter(operand)) for operand in item.get("candidates", [])]
    found = next(iter(item["reference"])) if "reference" in item else None
    if found != reference or kinds != [candidate] * count:
        raise ValueError(f"[import] {content.name}: item {number} of {content.task} has {found!r}, {kinds}")
    if content.task == "ir":
        places = [*item["easy"], *item["hard"], *item["junk"]]
        if any(not 0 <= place < len(content.database) for place in places):
            raise ValueError(f"[import] {content.name}: item {number} names a place outside of the database")
    elif type(item.get("label")) is not int or item["label"] not in range(count):
        raise ValueError(f"[import] {content.name}: item {number} has the label {item.get('label')!r}")
    if "vote" in item and not 0 <= item["vote"] <= 1:
        raise ValueError(f"[import] {content.name}: item {number} has the vote {item['vote']!r}")


def inside(path: str) -> str:
    """The path, if it stays inside the folder that it is relative to; else ValueError."""
    parts = path.split("/")
    if path.startswith("/") or "" in parts or "." in parts or ".." in parts or "\0" in path or "\\" in path:
        raise ValueError(f"[import] the path {path!r} leads out of its folder, or has an empty part")
    return path
