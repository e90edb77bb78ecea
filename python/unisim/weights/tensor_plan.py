"""Tensors that a conversion is going to write, checked as a whole before the first of them is read, then written one by
one: what is in memory is one tensor, however large the model.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from unisim.weights.checkpoint_folder import Checkpoint
from unisim.weights.torch_checkpoint import save_streamed

SHARD = 5 << 30  # bytes of tensors in a file
FLOATS = ("F32", "F16", "BF16")  # what the C++ reader takes
# Buffers that old versions of transformers saved: numbers from 0, and frequencies that follow from the configuration.
BUFFERS = re.compile(r"(.*\.)?(position_ids|rotary_emb\.inv_freq)")


@dataclass(frozen=True)
class Moved:
    """A tensor of the folder: rows [first, last) of a tensor of a checkpoint, or all of it."""

    name: str
    source: Checkpoint
    place: str  # its name there
    shape: tuple[int, ...]  # of the whole tensor there
    rows: tuple[int, int] | None = None
    nbytes: int = 0
    dtype: str = ""

    @property
    def made(self) -> tuple[int, ...]:
        """The shape in the folder."""
        return self.shape if self.rows is None else (self.rows[1] - self.rows[0], *self.shape[1:])

    def under(self, prefix: str) -> "Moved":
        """The same with a prefix to its name."""
        return replace(self, name=prefix + self.name)

    def take(self) -> Any:
        """A torch tensor, of the type that the file has; ValueError if it holds NaN or infinity."""
        import torch

        tensor = self.source.take(self.place, self.rows)
        if not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"[convert] {self.source.source}: tensor {self.place} holds NaN or infinity")
        return tensor


def thirds(
    names: tuple[str, str, str], source: Checkpoint, place: str, shape: tuple[int, ...]
) -> list[Moved]:
    """Of a packed projection [3 x out, ...]: the rows of query, key and value."""
    out = shape[0] // 3
    return [Moved(name, source, place, shape, (k * out, (k + 1) * out)) for k, name in enumerate(names)]


def checked(plan: list[Moved], whole: list[Checkpoint]) -> list[Moved]:
    """The plan, with types, if every tensor is there in its shape and is floating point.

    Parameters
    ----------
    plan
        What is to be written.
    whole
        Checkpoints of which nothing but BUFFERS may be left over.

    Raises
    ------
    ValueError
        For the first tensor, by name, that is missing, left over, of another shape or of another type.
    """
    ready = []
    for moved in sorted(plan, key=lambda one: one.place):
        found = moved.source.tensors.get(moved.place)
        if found is None:
            what = f"is missing, expected {list(moved.shape)}"
        elif found.shape != moved.shape:
            what = f"is {list(found.shape)}, expected {list(moved.shape)}"
        elif found.dtype not in FLOATS:
            what = f"is {found.dtype}, expected one of {', '.join(FLOATS)}"
        else:
            size = 4 if found.dtype == "F32" else 2
            for extent in moved.made:
                size *= extent
            ready.append(replace(moved, nbytes=size, dtype=found.dtype))
            continue
        raise ValueError(f"[convert] {moved.source.source}: tensor {moved.place} {what}")
    for checkpoint in whole:
        known = {moved.place for moved in plan if moved.source is checkpoint}
        for name in sorted(checkpoint.tensors.keys() - known):
            if BUFFERS.fullmatch(name) is None:
                shape = list(checkpoint.tensors[name].shape)
                raise ValueError(f"[convert] {checkpoint.source}: tensor {name} {shape} is not of this model")
    names = [moved.name for moved in ready]
    if len(set(names)) != len(names):
        raise AssertionError("two tensors of one name")
    return ready


def _files(plan: list[Moved], limit: int) -> Iterator[list[Moved]]:
    """Cut where a file would grow above the limit, in the order of the names."""
    part: list[Moved] = []
    size = 0
    for moved in sorted(plan, key=lambda one: one.name):
        if part and size + moved.nbytes > limit:
            yield part
            part, size = [], 0
        part.append(moved)
        size += moved.nbytes
    yield part


def write(plan: list[Moved], made: Path) -> dict[str, Any]:
    """model.safetensors of a plan that was `checked`; above SHARD bytes several files and their index.

    Returns
    -------
    dict
        "tensors", "bytes" and "files": how many.

    Raises
    ------
    ValueError
        For a tensor that holds NaN or infinity, by its name.
    """
    parts = list(_files(plan, SHARD))
    names = [f"model-{k:05}-of-{len(parts):05}.safetensors" for k in range(1, len(parts) + 1)]
    names = names if len(parts) > 1 else ["model.safetensors"]
    for name, part in zip(names, parts, strict=True):
        save_streamed(made / name, [(one.name, one.dtype, one.made, one.take) for one in part])
    total = sum(moved.nbytes for moved in plan)
    if len(parts) > 1:
        places = {one.name: name for name, part in zip(names, parts, strict=True) for one in part}
        index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
        text = json.dumps(index, indent=2) + "\n"
        (made / "model.safetensors.index.json").write_text(text, encoding="utf-8")
    return {"tensors": len(plan), "bytes": total, "files": len(parts)}
