"""DreamSim (Fu et al. 2023) as its authors publish it: backbones and one LoRA over all of them, made the folder that the
metric reads, with no LoRA left.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisim.weights import lora_adapter, torch_checkpoint
from unisim.weights.checked_tensors import check_shapes, numbers_of, shapes_of
from unisim.weights.dreamsim_tower import (
    SIDE,
    TOWERS,
    Sizes,
    Tower,
    folder_tensors,
    shapes_of_tower,
    sizes_of,
    write_configs,
)
from unisim.weights.lora_adapter import Adapter
from unisim.weights.whole_folder import whole_folder, write_weights

SINGLE = ("dino_vitb16", "dinov2_vitb14", "synclr_vitb16", "clip_vitb32", "open_clip_vitb32")
# The parts of each model, in the order of its features.
MODELS = {
    "ensemble": ("dino_vitb16", "clip_vitb16", "open_clip_vitb16"),
    **{name: (name,) for name in SINGLE},
}
TARGET = "qkv"  # the one layer of a block that was tuned


@dataclass(frozen=True)
class Part:
    """One backbone of the model that was tuned."""

    tower: Tower
    source: Path  # its checkpoint, which errors name
    read: Path  # the checkpoint's tensors
    sizes: Sizes
    prefix: str  # of its layers' names in the model that was tuned, which holds all parts

    @property
    def layers(self) -> list[str]:
        """The names of those that were tuned."""
        return [f"{self.prefix}blocks.{k}.attn.{TARGET}" for k in range(self.sizes.depth)]


def convert(release: Path, model: str, out: Path) -> dict[str, int]:
    """Make the folder `out` of a dreamsim metric (docs/metrics.md).

    Parameters
    ----------
    release
        The folder in which the archive of the model was unpacked.
    model
        One of MODELS.
    out
        A folder that does not exist; made whole or not at all.

    Returns
    -------
    dict
        "parts"; "tensors": how many were written; "merged": how many of them have a LoRA merged in.

    Raises
    ------
    ValueError
        If the model is none of MODELS; if a file is missing or is no file of plain tensors; if a tensor is missing, left
        over, of another shape or not finite, by its name; if the LoRA asks for what is not implemented; if `out` is
        there.
    OSError
        If a file cannot be read or written.
    """
    if model not in MODELS:
        raise ValueError(f"[convert] no DreamSim model {model!r}; there are {', '.join(MODELS)}")
    towers = [TOWERS[name] for name in MODELS[model]]
    sources = [_source(release, tower) for tower in towers]
    lora = release / f"{model if model == 'ensemble' else f'{model}_single'}_lora"
    with whole_folder(out) as room:
        adapter = lora_adapter.read(lora, TARGET, room)
        parts = [_checked(*one, k, room) for k, one in enumerate(zip(towers, sources, strict=True))]
        width = {layer: part.sizes.width for part in parts for layer in part.layers}
        pairs = lora_adapter.pairs(adapter, {layer: (3 * w, w) for layer, w in width.items()})
        tensors = sum(_write(part, adapter, pairs, room / "made" / part.tower.name) for part in parts)
        text = json.dumps(config(towers), indent=1) + "\n"
        (room / "made" / "config.json").write_text(text, encoding="utf-8")
    return {"parts": len(parts), "tensors": tensors, "merged": len(width)}


def config(towers: list[Tower]) -> dict[str, Any]:
    """config.json of the folder."""
    return {
        "model_type": "dreamsim",
        "normalize": True,
        "image_size": SIDE,
        "parts": [{"folder": tower.name, "feature": tower.feature} for tower in towers],
    }


def _source(release: Path, tower: Tower) -> Path:
    """The tower's checkpoint in the folder of the release."""
    for name in tower.files:
        if (release / name).exists():
            return release / name
    where = f"; it is published at {tower.url}" if tower.url else ""
    raise ValueError(f"[convert] {release}: {' or '.join(tower.files)} is missing{where}")


def _checked(tower: Tower, source: Path, k: int, room: Path) -> Part:
    """The k-th part, once its checkpoint's tensors are in `room` and fit."""
    import safetensors

    read = room / f"{tower.name}.safetensors"
    torch_checkpoint.read(source, read, tower.under)
    with safetensors.safe_open(read, framework="numpy") as weights:
        found = shapes_of(weights)
        sizes = sizes_of(tower, found, source)
        expected = shapes_of_tower(tower, sizes)
        check_shapes(found, {tower.prefix + name: shape for name, shape in expected.items()}, source)
    return Part(tower, source, read, sizes, f"extractor_list.{k}.model.")


def _write(part: Part, adapter: Adapter, pairs: dict[str, list[Any]], folder: Path) -> int:
    """Makes the folder of a part; how many tensors it has. A product is computed in float64 and rounded once."""
    import safetensors

    with safetensors.safe_open(part.read, framework="numpy") as weights:

        def take(name: str) -> Any:
            array = numbers_of(weights, part.tower.prefix + name, part.source)
            layer, _, kind = name.rpartition(".")
            if kind == "weight" and (pair := pairs.get(part.prefix + layer)) is not None:
                a, b = pair
                array += adapter.scale * (b @ a)
            return array

        tensors = folder_tensors(part.tower, part.sizes, take)
    part.read.unlink()
    folder.mkdir()
    write_configs(part.tower, part.sizes, folder)
    write_weights(tensors, folder)
    return len(tensors)
