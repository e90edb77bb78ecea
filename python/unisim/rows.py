"""Embeddings of many files: made by an encoder, or stored as OUT.npy with OUT.json beside it."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy

from unisim import __version__
from unisim.sources import Sources

READ_AT_ONCE = 16  # pictures that Pillow reads are held decoded, this many at a time


@dataclass
class Rows:
    """rows [n, dim] float32; names[k] is the source of rows[k]; failed has what gave no row, and why."""

    rows: numpy.ndarray
    names: list[str]
    failed: list[tuple[str, str]] = field(default_factory=list)
    model: dict[str, Any] = field(default_factory=dict)  # who made them, for the record


def embed_images(
    encoder: Any,
    sources: Sources,
    batch_size: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    **options: Any,
) -> Rows:
    """Embed every image of `sources`, decoded on threads while the model runs. A bad file is a failed item."""
    paths = sources.paths
    with ThreadPoolExecutor(1) as aside:
        identity = aside.submit(described, encoder, options)  # hashes the weights
        rows, index, _ = encoder.embed_files(paths, batch_size=batch_size, progress=progress, **options)
        found = dict(zip(index, rows.float().cpu().numpy(), strict=True))
        left = [k for k in range(len(paths)) if k not in found]
        again, errors = _by_pillow(encoder, [paths[k] for k in left], batch_size, options)
        found |= {left[k]: row for k, row in again.items()}
        failed = [(sources.names[k], error) for k, error in zip(left, errors, strict=True) if error is not None]
        kept = sorted(found)
        matrix = numpy.stack([found[k] for k in kept]) if kept else numpy.zeros((0, encoder.dim), numpy.float32)
        return Rows(matrix, [sources.names[k] for k in kept], sources.failed + failed, identity.result())


def _by_pillow(
    encoder: Any, paths: list[Path], batch_size: int | None, options: dict[str, Any]
) -> tuple[dict[int, numpy.ndarray], list[str | None]]:
    """What the library itself does not read, in the formats that Pillow does: rows by place, and why not, by place."""
    import unisim

    rows: dict[int, numpy.ndarray] = {}
    errors: list[str | None] = [None] * len(paths)
    for start in range(0, len(paths), READ_AT_ONCE):
        part = paths[start : start + READ_AT_ONCE]
        images, failures = unisim.read_images(part, on_error="skip")
        bad = {failure.file: failure.error for failure in failures}
        for k, path in enumerate(part, start):
            errors[k] = bad.get(str(path))
        if images:
            good = [k for k in range(start, start + len(part)) if errors[k] is None]
            made = encoder.embed_images(images, batch_size=batch_size, **options).float().cpu().numpy()
            rows |= dict(zip(good, made, strict=True))
    return rows, errors


def embed_texts(
    encoder: Any, texts: list[str], batch_size: int | None, progress: Callable[[int, int], object] | None
) -> Rows:
    """Embed every text; its row is named by the text itself."""
    step = batch_size or 64
    blocks = []
    for at in range(0, len(texts), step):
        blocks.append(encoder.embed_texts(texts[at : at + step], batch_size=batch_size).float().cpu().numpy())
        if progress:
            progress(min(at + step, len(texts)), len(texts))
    return Rows(numpy.concatenate(blocks), texts, [], described(encoder, {}))


def described(encoder: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The identity of what made the rows: the model, the hashes of its files, its preprocessing."""
    folder = Path(encoder.folder)
    return {
        "name": encoder.name,
        "folder": str(folder),
        "family": encoder.family,
        "executor": encoder.executor,
        "options": options,
        "facts": dict(encoder.facts),
        "files": hashes(folder),
    }


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of a model folder's weights and of everything else that decides what it computes."""
    kinds = ("*.safetensors", "*.json", "*.txt", "*.model")
    files = sorted(file for kind in kinds for file in folder.glob(kind) if file.is_file())
    found = {}
    for file in files:
        with open(file, "rb") as stream:
            found[file.name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def record_of(file: Path) -> Path:
    """OUT.json of OUT.npy."""
    return file.with_suffix(".json")


def save(rows: Rows, npy: IO[bytes], record: IO[bytes], **more: Any) -> None:
    """Write the rows and their record to open files."""
    numpy.save(npy, rows.rows, allow_pickle=False)
    content = {
        "unisim": __version__,
        "rows": len(rows.names),
        "dim": rows.rows.shape[1],
        "names": rows.names,
        "failed": [{"file": file, "error": error} for file, error in rows.failed],
        "model": rows.model,
        **more,
    }
    record.write(json.dumps(content, indent=1).encode("ascii") + b"\n")


def load(file: Path) -> Rows:
    """Read what `save` wrote.

    Raises
    ------
    OSError
        If OUT.npy or OUT.json cannot be read.
    ValueError
        If one of them is not what `save` writes, or they do not belong together.
    """
    record_file = record_of(file)
    try:
        rows = numpy.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"[rows] {file}: not a readable .npy file: {error}") from error
    if not isinstance(rows, numpy.ndarray) or rows.ndim != 2 or rows.dtype != numpy.float32:
        found = f"{rows.dtype} {list(rows.shape)}" if isinstance(rows, numpy.ndarray) else "an archive"
        raise ValueError(f"[rows] {file}: found {found}, expected float32 [rows, dim]")
    try:
        record = json.loads(record_file.read_bytes())
        names = [str(name) for name in record["names"]]
        failed = [(str(item["file"]), str(item["error"])) for item in record["failed"]]
        model = dict(record["model"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"[rows] {record_file}: not the record that `unisim embed` writes: {error!r}") from error
    if len(names) != len(rows):
        raise ValueError(f"[rows] {record_file}: names {len(names)} rows, {file.name} has {len(rows)}")
    return Rows(rows, names, failed, model)
