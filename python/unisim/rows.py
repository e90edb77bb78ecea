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

READ_AT_ONCE = 16  # decoded photographs are large: this many are held at a time, and as many read ahead


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
    """Embed every image of `sources`; the next ones are read while the model runs. A bad file is a failed item."""
    import unisim

    step = max(READ_AT_ONCE, batch_size or 0)
    parts = [sources.names[at : at + step] for at in range(0, len(sources.names), step)]
    read = [[sources.path(name) for name in part] for part in parts]
    blocks, names, failed = [], [], list(sources.failed)
    with ThreadPoolExecutor(2) as ahead:
        identity = ahead.submit(described, encoder, options)  # hashing takes as long as reading the weights again
        coming = ahead.submit(unisim.read_images, read[0], on_error="skip")
        for k, part in enumerate(parts):
            images, failures = coming.result()
            if k + 1 < len(parts):
                coming = ahead.submit(unisim.read_images, read[k + 1], on_error="skip")
            bad = {str(failure.file): failure.error for failure in failures}
            failed += [(name, bad[str(path)]) for name, path in zip(part, read[k], strict=True) if str(path) in bad]
            names += [name for name, path in zip(part, read[k], strict=True) if str(path) not in bad]
            if images:
                blocks.append(encoder.embed_images(images, batch_size=batch_size, **options).float().cpu().numpy())
            if progress:
                progress(min(step * (k + 1), len(sources.names)), len(sources.names))
        rows = numpy.concatenate(blocks) if blocks else numpy.zeros((0, encoder.dim), numpy.float32)
        return Rows(rows, names, failed, identity.result())


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
        "facts": dict(encoder.facts()),
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
