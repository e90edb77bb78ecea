"""MMVP's mixtures of features (Tong et al., arXiv 2401.06209, section 4): LLaVA-1.5 that sees by CLIP and by DINOv2.

Interleaved, the one whose code is published: each tower has an MLP of its own, and its rows alternate with the other's,
CLIP's first. Additive: alpha x CLIP's + (1 - alpha) x DINOv2's features go through one MLP. The towers are in no
checkpoint; their folders are given. The folder made is unisim's own, model_type llava_mof.
"""

from pathlib import Path
from typing import Any

from unisim.weights.checkpoint_folder import Checkpoint, Stored, open_files, open_folder
from unisim.weights.json_keys import Keys, read_object
from unisim.weights.llava_keys import Llava, decoder_plan, projector_plan, read_llava
from unisim.weights.tensor_plan import Moved, checked, write
from unisim.weights.tower_layout import Tower, clip_tower, dinov2_tower
from unisim.weights.vlm_files import eos_ids, llava_processor, read_processor, write_json
from unisim.weights.vlm_tokenizer import write_tokenizer

FIRST, SECOND = "mm_projector", "dino_mm_projector"


def convert(
    source: Path, room: Path, clip: Path, dino: Path, adapters: list[Path], kind: str, alpha: float | None
) -> dict[str, Any]:
    """Writes room/made.

    Raises
    ------
    ValueError
        As `unisim.weights.vlm.convert`.
    """
    file = source / "config.json"
    keys = Keys(read_object(file), file)
    llava = read_llava(keys, "llama")
    if llava.merge != "flat":
        raise keys.refused("mm_patch_merge_type", "flat")
    if llava.aspect not in ("square", "pad"):
        raise keys.refused("image_aspect_ratio", "square or pad")
    checkpoint = open_folder(source, room)
    towers = clip_tower(clip, room), dinov2_tower(dino, room)
    _check_towers(llava, towers, kind, keys, dino)
    projectors = _adapters(adapters, room) if adapters else checkpoint
    plan = _plan(llava, checkpoint, projectors, towers, kind)
    plan = checked(plan, [checkpoint] if projectors is checkpoint else [checkpoint, projectors])

    made = room / "made"
    tokens = write_tokenizer(source, made, room, llava.text["vocab_size"], "<image>")
    rows = (_side(read_processor(clip), clip) // towers[0].config["patch_size"]) ** 2
    interleaved = kind == "interleaved"
    config = {
        "model_type": "llava_mof",
        "mof": {"kind": kind} if interleaved else {"kind": kind, "alpha": alpha},
        "image_token_index": tokens.id(tokens.picture),
        "vision_feature_layer": llava.layer,
        "vision_feature_select_strategy": "default",
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "tie_word_embeddings": llava.tied,
        "text_config": llava.text | {"tie_word_embeddings": llava.tied},
        "vision_config": towers[0].config,
        "second_vision_config": towers[1].config,
        "unisim": {"converted_from": "llava_mof", "template": "llava_v1", "pieces_alone": True},
    }
    write_json(made, "config.json", config)
    pictures = _pictures(read_processor(clip), llava.aspect == "pad")
    write_json(
        made, "processor_config.json", llava_processor(pictures, towers[0].config, "default", tokens.picture)
    )
    write_json(made, "generation_config.json", {"eos_token_id": eos_ids(source, llava.text)})
    return {
        "layout": "llava_mof",
        "template": "llava_v1",
        "rows_per_image": rows * (2 if interleaved else 1),
        "tokenizer": tokens.origin,
        "equal_adapters": interleaved and _equal(projectors, plan),
        **write(plan, made),
    }


def _check_towers(llava: Llava, towers: tuple[Tower, Tower], kind: str, keys: Keys, dino: Path) -> None:
    """What would not fit together."""
    clip, second = (tower.config for tower in towers)
    if llava.tower_width not in (None, clip["hidden_size"]):
        raise keys.refused("mm_hidden_size", f"{clip['hidden_size']}, the width of CLIP's tower")
    if not -clip["num_hidden_layers"] - 1 <= llava.layer <= clip["num_hidden_layers"]:
        raise keys.refused("mm_vision_select_layer", f"a layer of CLIP's {clip['num_hidden_layers']}")
    if clip["patch_size"] != second["patch_size"]:
        raise ValueError(
            f"[convert] {dino}: patches of {second['patch_size']} pixels, and CLIP's are of {clip['patch_size']}: the "
            "two towers would give other numbers of rows"
        )
    if kind == "additive" and clip["hidden_size"] != second["hidden_size"]:
        raise ValueError(
            f"[convert] {dino}: features of width {second['hidden_size']}, and CLIP's have {clip['hidden_size']}: they "
            "cannot be added"
        )


def _adapters(files: list[Path], room: Path) -> Checkpoint:
    """The adapters of files, by the names model.mm_projector.* and model.dino_mm_projector.*.

    One name is part of the other. The authors' code, which looks for a substring, takes DINOv2's adapter for both where a
    file has both; here a name counts whole, up to its dots.
    """
    found = open_files(files, room)
    renamed: dict[str, Stored] = {}
    for name, stored in found.tensors.items():
        parts = name.split(".")
        if len(parts) < 3 or parts[-3] not in (FIRST, SECOND):
            raise ValueError(
                f"[convert] {found.source}: tensor {name} {list(stored.shape)} is of no adapter, expected "
                f"{FIRST}.* and {SECOND}.*"
            )
        whole = ".".join(["model", *parts[-3:]])
        if whole in renamed:
            raise ValueError(f"[convert] {found.source}: two tensors are {whole}, {name} is one")
        renamed[whole] = stored
        found.aliases[whole] = name
    found.tensors = renamed
    return found


def _plan(
    llava: Llava, checkpoint: Checkpoint, projectors: Checkpoint, towers: tuple[Tower, Tower], kind: str
) -> list[Moved]:
    """Every tensor of the folder."""
    out = llava.text["hidden_size"]
    widths = [tower.config["hidden_size"] for tower in towers]
    plan = decoder_plan(llava.text, llava.tied, checkpoint)
    plan += projector_plan(projectors, f"model.{FIRST}", widths[0], out)
    if kind == "interleaved":
        plan += projector_plan(projectors, f"model.{SECOND}", widths[1], out, "second_multi_modal_projector")
    for prefix, tower in zip(("vision_tower.", "second_vision_tower."), towers, strict=True):
        plan += [one.under(prefix) for one in tower.plan]
    return plan


def _equal(projectors: Checkpoint, plan: list[Moved]) -> bool:
    """Whether both adapters are the same numbers: what the authors' second stage starts from by mistake."""
    import torch

    pairs = [
        (one.place, one.place.replace(f"model.{FIRST}.", f"model.{SECOND}."))
        for one in plan
        if one.source is projectors and one.place.startswith(f"model.{FIRST}.")
    ]
    return all(torch.equal(*(projectors.take(name, None) for name in pair)) for pair in pairs)


def _side(pictures: dict[str, Any], folder: Path) -> int:
    """Of the square that a picture becomes."""
    for key in ("crop_size", "size") if pictures.get("do_center_crop", True) else ("size",):
        size = pictures.get(key)
        side = size if isinstance(size, int) else size.get("height") if isinstance(size, dict) else None
        if isinstance(side, int) and side > 0:
            return side
    raise ValueError(
        f"[convert] {folder}: the processor says no crop_size or size in pixels: {pictures!r:.80}"
    )


def _pictures(pictures: dict[str, Any], pad: bool) -> dict[str, Any]:
    """CLIP's preparation; "pad" of image_aspect_ratio puts pictures on a square of the mean colour first."""
    return pictures | ({"image_processor_type": "LlavaImageProcessor", "do_pad": True} if pad else {})
