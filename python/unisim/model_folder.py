"""What a model folder says about itself, read without loading it, and the folders that are at hand."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisim import cache

MAX_CONFIG = 1 << 20  # bytes

# model_type of the Hugging Face layout: (family, the part of config.json with the width, the key of the width)
_FAMILIES = {
    "clip": ("clip", None, "projection_dim"),
    "siglip": ("siglip", "vision_config", "hidden_size"),
    "siglip_vision_model": ("siglip", None, "hidden_size"),
    "dinov2": ("dinov2", None, "hidden_size"),
    "dinov2_with_registers": ("dinov2", None, "hidden_size"),
    "vit": ("vit", None, "hidden_size"),
    "lpips": ("lpips", None, "no width"),
    "dists": ("dists", None, "no width"),
    "dreamsim": ("dreamsim", None, "no width"),
    "llava": ("llava", "text_config", "hidden_size"),
    "llava_onevision": ("llava_onevision", "text_config", "hidden_size"),
    "internvl": ("internvl", "text_config", "hidden_size"),
    "llava_mof": ("llava_mof", "text_config", "hidden_size"),
}
VLM_FAMILIES = ("llava", "llava_onevision", "internvl", "llava_mof")


@dataclass(frozen=True)
class Found:
    """A model folder of a family that we know."""

    name: str
    path: Path
    family: str
    dim: int | None  # None where the folder does not say, or the model is a metric without embedding
    size: int  # bytes of weights


def _json(file: Path) -> dict[str, Any]:
    if file.stat().st_size > MAX_CONFIG:
        return {}
    content = json.loads(file.read_bytes())
    return content if isinstance(content, dict) else {}


def _facts(folder: Path) -> tuple[str, int | None] | None:
    """Family and width of a folder in the layout of Hugging Face, OpenCLIP or timm."""
    if (file := folder / "open_clip_config.json").is_file():
        model = _json(file).get("model_cfg")
        return ("clip", _whole(model.get("embed_dim"))) if isinstance(model, dict) else None
    config = _json(folder / "config.json")
    if "pretrained_cfg" in config and str(config.get("architecture")).startswith("vit_"):
        return "vit", _whole(config.get("num_features"))
    if "mm_vision_tower" in config:
        return None  # the original LLaVA's layout, whose model_type may be llava too: `unisim convert vlm`
    if (known := _FAMILIES.get(str(config.get("model_type")))) is None:
        return None
    family, part, key = known
    where = config if part is None else config.get(part)
    return family, _whole(where.get(key)) if isinstance(where, dict) else None


def _whole(value: object) -> int | None:
    return value if type(value) is int else None


def describe(name: str, folder: Path) -> Found | None:
    """The folder's facts; None if it is no model folder of a family that we know, or cannot be read."""
    try:
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
        facts = _facts(folder) if size else None
    except (OSError, ValueError, RecursionError):
        return None
    return None if facts is None else Found(name, folder, facts[0], facts[1], size)


def hub_cache() -> Path | None:
    """The Hugging Face cache, where that library would look for it."""
    for variable, below in (("HF_HUB_CACHE", ""), ("HF_HOME", "hub"), ("XDG_CACHE_HOME", "huggingface/hub")):
        if value := os.environ.get(variable):
            return Path(value, below)
    try:
        return Path.home() / ".cache" / "huggingface" / "hub"
    except RuntimeError:
        return None


def _snapshots(hub: Path) -> Iterator[tuple[str, Path]]:
    for repository in sorted(hub.glob("models--*--*")):
        try:
            commit = (repository / "refs" / "main").read_text().strip()
        except (OSError, ValueError):
            continue
        if commit.isalnum():
            yield repository.name.removeprefix("models--").replace("--", "/", 1), repository / "snapshots" / commit


def at_hand() -> list[Found]:
    """The models that can be named without a path: those that `unisim get` installed, then the Hugging Face cache."""
    folders = [(folder.name, folder) for folder in sorted(cache.models_folder().glob("[!.]*")) if folder.is_dir()]
    if (hub := hub_cache()) is not None:
        folders += _snapshots(hub)
    return [found for name, folder in folders if (found := describe(name, folder)) is not None]
