"""What the original folders of LLaVA and its descendants say: the decoder's keys at the top of config.json, beside those
of the multimodal part, most of which concern training.
"""

from dataclasses import dataclass
from typing import Any

from unisim.weights.checkpoint_folder import Checkpoint
from unisim.weights.decoder_layout import decoder_shapes, read_decoder
from unisim.weights.json_keys import Keys
from unisim.weights.tensor_plan import Moved

# Of training, of pictures cut in tiles and of video, none of which is done here; and where parts once came from.
HARMLESS = [
    "freeze_mm_mlp_adapter", "freeze_mm_vision_resampler", "tune_mm_mlp_adapter",
    "tune_mm_vision_resampler", "tune_dino_mm_mlp_adapter", "unfreeze_mm_vision_tower",
    "unfreeze_language_model", "freeze_backbone", "mm_projector_lr", "mm_vision_tower_lr",
    "mm_tunable_parts", "use_mm_proj", "pretrain_mm_mlp_adapter", "pretrain_dino_mm_mlp_adapter",
    "vision_tower_pretrained", "image_grid_pinpoints", "image_crop_resolution", "image_split_resolution",
    "mm_newline_position", "mm_spatial_pool_mode", "mm_spatial_pool_stride", "mm_spatial_pool_out_channels",
    "add_faster_video", "faster_token_stride", "add_time_instruction", "force_sample", "pos_skipping_range",
    "tokenizer_padding_side", "image_token_index", "max_sequence_length",
]  # fmt: skip


@dataclass(frozen=True)
class Llava:
    """What is left of config.json when all of it has been read."""

    text: dict[str, Any]  # text_config
    tied: bool
    tower: str  # mm_vision_tower: a name, for messages
    tower_width: int | None
    layer: int  # mm_vision_select_layer
    aspect: str  # image_aspect_ratio: what is done to pictures that are no squares
    merge: str  # mm_patch_merge_type


def read_llava(keys: Keys, kind: str) -> Llava:
    """Reads every key; `kind` of decoder."""
    text = read_decoder(keys, kind)
    # Their code cut longer sequences to this length. Nothing is cut here: what is longer is refused.
    longest = keys.integer("tokenizer_model_max_length", text["max_position_embeddings"])
    text["max_position_embeddings"] = min(text["max_position_embeddings"], longest)
    keys.only("mm_projector_type", "mlp2x_gelu")
    keys.only("mm_vision_select_feature", "patch")
    for key in ("mm_use_im_start_end", "mm_use_im_patch_token", "use_pos_skipping", "s2", "use_fusion"):
        keys.only(key, False)
    keys.only("mm_resampler_type")
    keys.only("quantization_config")
    width = keys.integer("mm_hidden_size", None)
    # Old folders have the one key, newer ones the other.
    tower = keys.string("mm_vision_tower", None) or keys.string("vision_tower", None) or ""
    keys.ignore(("vision_tower",))
    read = Llava(
        text,
        keys.boolean("tie_word_embeddings", False),
        tower,
        width if isinstance(width, int) else None,
        keys.integer("mm_vision_select_layer", -2, least=-1000),
        keys.string("image_aspect_ratio", "square"),
        keys.string("mm_patch_merge_type", "flat"),
    )
    keys.ignore(HARMLESS)
    keys.finish()
    return read


def decoder_plan(text: dict[str, Any], tied: bool, checkpoint: Checkpoint, prefix: str = "") -> list[Moved]:
    """language_model.*, of tensors named as transformers' class names them, under a prefix.

    A head that is the embedding is not stored: a checkpoint that has it all the same must have the same numbers there.
    """
    plan = []
    for name, shape in decoder_shapes(text).items():
        if name == "lm_head.weight" and tied:
            if prefix + name in checkpoint.tensors:
                _require_equal(checkpoint, prefix + name, f"{prefix}model.embed_tokens.weight")
            continue
        plan.append(Moved(f"language_model.{name}", checkpoint, prefix + name, shape))
    return plan


def _require_equal(checkpoint: Checkpoint, head: str, embedding: str) -> None:
    import torch

    same = embedding in checkpoint.tensors and torch.equal(
        checkpoint.take(head, None), checkpoint.take(embedding, None)
    )
    if not same:
        raise ValueError(
            f"[convert] {checkpoint.source}: tie_word_embeddings is true, and tensor {head} is not {embedding}"
        )
    del checkpoint.tensors[head]


def projector_plan(
    checkpoint: Checkpoint, prefix: str, width: int, out: int, name: str = "multi_modal_projector"
) -> list[Moved]:
    """mlp2x_gelu: its first and last layer, .0 and .2."""
    plan = []
    for ours, theirs, inner in (("linear_1", "0", width), ("linear_2", "2", out)):
        plan.append(Moved(f"{name}.{ours}.weight", checkpoint, f"{prefix}.{theirs}.weight", (out, inner)))
        plan.append(Moved(f"{name}.{ours}.bias", checkpoint, f"{prefix}.{theirs}.bias", (out,)))
    return plan
