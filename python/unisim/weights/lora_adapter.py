"""A LoRA as `peft` saves it apart from its model: adapter_config.json, and the pairs A [rank, in], B [out, rank].

What the tuned layer computes with is W + (alpha / rank) B A. Everything else that `peft` can do to a layer (DoRA, ranks
of each layer's own, trained biases, whole modules kept beside, ...) would change the numbers and is refused by name.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisim.weights import torch_checkpoint
from unisim.weights.checked_tensors import Shapes, check_shapes, numbers_of, shapes_of

# Where peft looks for the pairs, the first first.
FILES = ("adapter_model.safetensors", "adapter_model.bin")

# Fields of adapter_config.json that say how it was made or trained, or nothing without another field that is refused.
HARMLESS = {
    "auto_mapping",
    "base_model_name_or_path",
    "inference_mode",
    "lora_dropout",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
}
# How A and B began, before training; any other beginning ("pissa", "olora", ...) changes the layer's W too.
BEGINNINGS = (True, False, "gaussian")
MOST = 1 << 16  # beyond every rank and alpha


@dataclass(frozen=True)
class Adapter:
    """One LoRA: what it adds to the weight of a layer is scale * B A."""

    source: Path  # the file of its pairs, which errors name
    pairs: Path  # the same as safetensors
    rank: int
    scale: float  # alpha / rank


def read(folder: Path, target: str, room: Path) -> Adapter:
    """The adapter of a folder, trained on the layers named `target`; a pickle is read in a child process, into `room`.

    Raises
    ------
    OSError
        If a file is missing or cannot be read.
    ValueError
        If adapter_config.json asks for what is not implemented, by the field's name; if the pairs are no file of plain
        tensors.
    """
    rank, scale = _config(folder / "adapter_config.json", target)
    source = next((folder / name for name in FILES if (folder / name).exists()), None)
    if source is None:
        raise ValueError(f"[convert] {folder}: neither {FILES[0]} nor {FILES[1]} is here")
    if source.name == FILES[0]:
        return Adapter(source, source, rank, scale)
    pairs = room / "adapter.safetensors"
    torch_checkpoint.read(source, pairs)
    return Adapter(source, pairs, rank, scale)


def pairs(adapter: Adapter, layers: Mapping[str, tuple[int, ...]]) -> dict[str, list[Any]]:
    """A and B of each layer, in float64; `layers` are [out, in] of all layers that the adapter was trained on.

    Raises
    ------
    ValueError
        If one is missing, left over, of another shape or not finite, by its name.
    """
    import safetensors

    expected: Shapes = {}
    for layer, (out, width) in layers.items():
        a, b = _pair(layer)
        expected |= {a: (adapter.rank, width), b: (out, adapter.rank)}
    try:
        with safetensors.safe_open(adapter.pairs, framework="numpy") as weights:
            check_shapes(shapes_of(weights), expected, adapter.source)
            return {
                layer: [numbers_of(weights, name, adapter.source) for name in _pair(layer)]
                for layer in layers
            }
    except (safetensors.SafetensorError, TypeError) as error:
        raise ValueError(f"[convert] {adapter.source}: {error}") from error


def _pair(layer: str) -> tuple[str, str]:
    """The names of A and B; what comes first is peft's own wrapping of the model."""
    return f"base_model.model.{layer}.lora_A.weight", f"base_model.model.{layer}.lora_B.weight"


def _config(file: Path, target: str) -> tuple[int, float]:
    """Rank and alpha / rank, once every field of the file is known to be honoured."""
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[convert] {file}: no JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"[convert] {file}: expected an object")

    def refuse(name: str, expected: str) -> ValueError:
        said = json.dumps(config[name]) if name in config else "missing"
        return ValueError(f"[convert] {file}: {name} is {said}, expected {expected}")

    if config.get("peft_type") != "LORA":
        raise refuse("peft_type", '"LORA"')
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= MOST:
        raise refuse("r", f"a whole number from 1 to {MOST}")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not abs(alpha) <= MOST:
        raise refuse("lora_alpha", f"a number up to {MOST}")
    if config.get("target_modules") != [target]:
        raise refuse("target_modules", json.dumps([target]))
    if config.get("bias", "none") != "none":
        raise refuse("bias", '"none": biases that were trained are not read')
    if config.get("init_lora_weights", True) not in BEGINNINGS:
        raise refuse("init_lora_weights", 'true, false or "gaussian"')
    read = {"peft_type", "r", "lora_alpha", "target_modules", "bias", "init_lora_weights"}
    for name in sorted(config.keys() - read - HARMLESS):
        if config[name]:
            raise refuse(name, "nothing: it is not implemented")
    return rank, alpha / rank
