"""The small files of a vision-language model's folder."""

import json
from pathlib import Path
from typing import Any

from unisim.weights.json_keys import read_object


def write_json(made: Path, name: str, content: dict[str, Any]) -> None:
    (made / name).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def read_processor(folder: Path) -> dict[str, Any]:
    """How a folder prepares pictures: processor_config.json's image_processor, else preprocessor_config.json.

    Raises
    ------
    ValueError
        If it has neither.
    """
    file = folder / "processor_config.json"
    nested = read_object(file).get("image_processor") if file.is_file() else None
    if isinstance(nested, dict):
        return nested
    file = folder / "preprocessor_config.json"
    if not file.is_file():
        raise ValueError(
            f"[convert] {folder}: no preprocessor_config.json, which says how pictures are prepared"
        )
    return read_object(file)


def llava_processor(
    pictures: dict[str, Any], tower: dict[str, Any], strategy: str, token: str
) -> dict[str, Any]:
    """processor_config.json of transformers' LlavaProcessor; `strategy`: vision_feature_select_strategy, `token`: a picture's."""
    # Where the picture processor came from says nothing of what it does.
    pictures = {key: value for key, value in pictures.items() if key not in ("processor_class", "auto_map")}
    return {
        "processor_class": "LlavaProcessor",
        "image_processor": pictures,
        "image_token": token,
        "patch_size": tower["patch_size"],
        # The class token, which "default" takes off.
        "num_additional_image_tokens": int(strategy == "default"),
        "vision_feature_select_strategy": strategy,
    }


def eos_ids(source: Path, text: dict[str, Any]) -> Any:
    """eos_token_id of generation_config.json, else of the decoder's configuration.

    Raises
    ------
    ValueError
        If it is neither a number nor a list of numbers.
    """
    file = source / "generation_config.json"
    found = read_object(file).get("eos_token_id") if file.is_file() else None
    file, found = (file, found) if found is not None else (source / "config.json", text["eos_token_id"])
    ids = found if isinstance(found, list) else [] if found is None else [found]
    if not all(type(one) is int and one >= 0 for one in ids):
        raise ValueError(f"[convert] {file}: eos_token_id is {found!r}, expected the ids of tokens")
    return found
