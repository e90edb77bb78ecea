"""llava_qwen, the original layout of LLaVA-NeXT-Interleave, of which UniSim-LL-N was tuned (arXiv 2412.10594): SigLIP
without its last block, an MLP, Qwen1.5; behind the rows of each picture one row more, `image_newline`.

transformers' own conversion of these models leaves that row out, and the same weights then score differently. The folder
made here is transformers' layout with the row, and says so: "unisim": {"newline_per_image": true}.
"""

from pathlib import Path
from typing import Any

from unisim.weights.checkpoint_folder import Checkpoint, open_folder
from unisim.weights.json_keys import Keys, read_object
from unisim.weights.llava_keys import decoder_plan, projector_plan, read_llava
from unisim.weights.tensor_plan import Moved, checked, write
from unisim.weights.tower_layout import open_vit, refuse_rest, vit_shapes
from unisim.weights.vlm_files import eos_ids, llava_processor, read_processor, write_json
from unisim.weights.vlm_tokenizer import write_tokenizer

TOWER = "model.vision_tower.vision_tower.vision_model."

# Of Google, which the folder names and does not describe.
NAMED = "siglip-so400m-patch14-384"
SO400M: dict[str, Any] = {
    "model_type": "siglip_vision_model",
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_hidden_layers": 27,
    "num_attention_heads": 16,
    "num_channels": 3,
    "image_size": 384,
    "patch_size": 14,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
}


def siglip_processor(side: int) -> dict[str, Any]:
    """Pictures squashed to a square, as SigLipImageProcessor of LLaVA-NeXT does."""
    return {
        "image_processor_type": "SiglipImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


def convert(source: Path, room: Path, vision: Path | None) -> dict[str, Any]:
    """Writes room/made. `vision`: SigLIP's folder, which describes the tower, and has it if `source` has not.

    Raises
    ------
    ValueError
        As `unisim.weights.vlm.convert`.
    """
    file = source / "config.json"
    keys = Keys(read_object(file), file)
    llava = read_llava(keys, "qwen2")
    if llava.aspect.startswith("anyres_max"):
        raise ValueError(
            f"[convert] {file}: image_aspect_ratio is {llava.aspect!r}: that is LLaVA-OneVision, whose tiles this "
            "conversion does not make; take transformers' own folder (llava-onevision-*-hf)"
        )
    if llava.merge not in ("flat", "spatial", "spatial_unpad"):
        raise keys.refused("mm_patch_merge_type", "flat, spatial or spatial_unpad")
    checkpoint = open_folder(source, room)
    named = Path(llava.tower).name
    if vision is None and named != NAMED:
        raise ValueError(
            f"[convert] {file}: mm_vision_tower is {llava.tower!r}, and of {NAMED} alone the sizes are known here: give "
            "the tower's folder, --vision"
        )
    tower, plan, processor = _tower(checkpoint, vision, room)
    if llava.tower_width not in (None, tower["hidden_size"]):
        raise keys.refused("mm_hidden_size", f"{tower['hidden_size']}, the width of the tower")
    width = llava.text["hidden_size"]
    plan += decoder_plan(llava.text, llava.tied, checkpoint)
    plan += projector_plan(checkpoint, "model.mm_projector", tower["hidden_size"], width)
    newline = llava.merge == "spatial_unpad"
    if newline:
        plan.append(Moved("image_newline", checkpoint, "model.image_newline", (width,)))
    plan = checked(plan, [checkpoint])

    made = room / "made"
    tokens = write_tokenizer(source, made, room, llava.text["vocab_size"], "<image>")
    rows = (tower["image_size"] // tower["patch_size"]) ** 2
    config = {
        "architectures": ["LlavaForConditionalGeneration"],
        "model_type": "llava",
        "image_token_index": tokens.id(tokens.picture),
        "image_seq_length": rows,
        # The tower has lost its last block: what the last one left gives is what is taken, whatever
        # mm_vision_select_layer says, which their SigLIP never reads.
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full",
        "projector_hidden_act": "gelu",
        "multimodal_projector_bias": True,
        "tie_word_embeddings": llava.tied,
        "text_config": llava.text | {"tie_word_embeddings": llava.tied},
        "vision_config": tower | {"vision_use_head": False},
        "unisim": {
            "converted_from": "llava_qwen",
            "newline_per_image": newline,
            "template": "qwen_1_5",
            "pieces_alone": True,
        },
    }
    write_json(made, "config.json", config)
    write_json(made, "processor_config.json", llava_processor(processor, tower, "full", tokens.picture))
    write_json(made, "generation_config.json", {"eos_token_id": eos_ids(source, llava.text)})
    return {
        "layout": "llava_qwen",
        "template": "qwen_1_5",
        "rows_per_image": rows + newline,
        "tokenizer": tokens.origin,
        **write(plan, made),
    }


def _tower(
    checkpoint: Checkpoint, vision: Path | None, room: Path
) -> tuple[dict[str, Any], list[Moved], dict[str, Any]]:
    """vision_config, the tower's tensors, and how pictures are prepared."""
    inside = bool(checkpoint.starting(TOWER))
    whole, source, prefix = dict(SO400M), checkpoint, TOWER
    processor = siglip_processor(SO400M["image_size"])
    if vision is not None:
        whole, other, own = open_vit(vision, "siglip", room)
        processor = read_processor(vision)
        if not inside:
            source, prefix = other, own
            refuse_rest(other, own, vit_shapes(whole), ("head.",))
    elif not inside:
        raise ValueError(
            f"[convert] {checkpoint.source}: tensors {TOWER}* are missing: give the folder of the tower, --vision "
            "siglip-so400m-patch14-384"
        )
    tower = whole | {"num_hidden_layers": whole["num_hidden_layers"] - 1}
    plan = [
        Moved(f"vision_tower.{name}", source, prefix + name, shape)
        for name, shape in vit_shapes(tower).items()
    ]
    return tower, plan, processor
