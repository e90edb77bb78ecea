"""internvl_chat, the original layout of InternVL (OpenGVLab): InternViT, an MLP, and Phi-3 (InternVL2-4B, of which MMIE's
judge was tuned), Qwen2 or Llama. The authors' folders run code of their own; nothing of it is looked at here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisim.weights.checked_tensors import Shapes
from unisim.weights.checkpoint_folder import Checkpoint, open_folder
from unisim.weights.decoder_layout import read_decoder
from unisim.weights.json_keys import Keys, read_object
from unisim.weights.llava_keys import decoder_plan
from unisim.weights.tensor_plan import Moved, checked, thirds, write
from unisim.weights.vlm_files import write_json
from unisim.weights.vlm_tokenizer import write_tokenizer

DECODERS = {"Phi3ForCausalLM": "phi3", "Qwen2ForCausalLM": "qwen2", "LlamaForCausalLM": "llama"}

_INTERNLM = (
    "\u4f60\u662f\u7531\u4e0a\u6d77\u4eba\u5de5\u667a\u80fd\u5b9e\u9a8c\u5ba4\u8054\u5408\u5546\u6c64\u79d1\u6280"
    "\u5f00\u53d1\u7684\u4e66\u751f\u591a\u6a21\u6001\u5927\u6a21\u578b\uff0c\u82f1\u6587\u540d\u53ebInternVL, "
    "\u662f\u4e00\u4e2a\u6709\u7528\u65e0\u5bb3\u7684\u4eba\u5de5\u667a\u80fd\u52a9\u624b\u3002"
)
_INTERNVL_2_5 = (
    "\u4f60\u662f\u4e66\u751f\u00b7\u4e07\u8c61\uff0c\u82f1\u6587\u540d\u662fInternVL\uff0c\u662f\u7531\u4e0a\u6d77"
    "\u4eba\u5de5\u667a\u80fd\u5b9e\u9a8c\u5ba4\u3001\u6e05\u534e\u5927\u5b66\u53ca\u591a\u5bb6\u5408\u4f5c\u5355"
    "\u4f4d\u8054\u5408\u5f00\u53d1\u7684\u591a\u6a21\u6001\u5927\u8bed\u8a00\u6a21\u578b\u3002"
)


@dataclass(frozen=True)
class Template:
    """One of their code's conversation templates."""

    own: str  # ours of the same text
    system: str
    stop: str  # the token that ends an answer


TEMPLATES = {
    "phi3-chat": Template("phi3_internvl", _INTERNLM, "<|end|>"),
    "Hermes-2": Template("hermes2_internvl", _INTERNLM, "<|im_end|>"),
    "internvl2_5": Template("internvl2_5", _INTERNVL_2_5, "<|im_end|>"),
}


def convert(source: Path, room: Path) -> dict[str, Any]:
    """Writes room/made.

    Raises
    ------
    ValueError
        As `unisim.weights.vlm.convert`.
    """
    file = source / "config.json"
    keys = Keys(read_object(file), file)
    tower = _vision(keys.object("vision_config"))
    text, nested_tie = _text(keys.object("llm_config"))
    tied = keys.boolean("tie_word_embeddings", False) or nested_tie
    side, least, most = _tiles(keys, tower)
    layer = keys.integer("select_layer", -1, least=-1000)
    template, system = _template(keys)
    _refuse_other(keys)
    checkpoint = open_folder(source, room)
    width = text["hidden_size"]
    plan = _tower_plan(tower, checkpoint) + _projector_plan(checkpoint, 4 * tower["hidden_size"], width)
    plan += decoder_plan(text, tied, checkpoint, "language_model.")
    plan = checked(plan, [checkpoint])

    made = room / "made"
    named = {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
    }
    # transformers' processor asks for a token of videos: one that no prompt has by itself.
    tokens = write_tokenizer(source, made, room, text["vocab_size"], named=named | {"video_token": "</img>"})
    ids = {token: tokens.id(token) for token in (*named.values(), template.stop)}
    rows = (side // tower["patch_size"][0] // 2) ** 2
    config = {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": "internvl",
        "image_token_id": ids["<IMG_CONTEXT>"],
        "image_seq_length": rows,
        "downsample_ratio": 0.5,
        "vision_feature_layer": layer,
        "vision_feature_select_strategy": "default",
        "projector_hidden_act": "gelu",
        "tie_word_embeddings": tied,
        "text_config": text | {"tie_word_embeddings": tied},
        "vision_config": tower,
        "unisim": {
            "converted_from": "internvl_chat",
            "template": template.own,
            "system_message": system,
        },
    }
    write_json(made, "config.json", config)
    write_json(made, "processor_config.json", _processor(side, least, most, rows))
    # Their code ends an answer at the template's token, whatever the decoder's configuration says.
    write_json(made, "generation_config.json", {"eos_token_id": ids[template.stop]})
    return {
        "layout": "internvl_chat",
        "rows_per_image": f"{rows} a tile",
        "template": template.own,
        "tokenizer": tokens.origin,
        **write(plan, made),
    }


def _vision(keys: Keys) -> dict[str, Any]:
    """vision_config of internvl_vision. The class's defaults are those of the model with 6 billion parameters, whose
    arithmetic is another: root mean square norms, also of queries and keys."""
    keys.only("norm_type", "layer_norm", absent="rms_norm")
    keys.only("qk_normalization", False, absent=True)
    keys.only("use_moe", False)
    # Of the mixture that use_moe would switch on, and how attention is computed.
    keys.ignore(key for key in keys.values if "moe" in key or "expert" in key)
    keys.ignore(
        ("capacity_factor", "eval_capacity_factor", "noisy_gate_policy", "laux_allreduce", "use_residual")
    )
    keys.ignore(("use_rts", "use_weighted_residual", "use_flash_attn", "tie_word_embeddings"))
    keys.ignore(("bos_token_id", "eos_token_id", "pad_token_id"))
    keys.only("pruned_heads", {})
    side, patch = keys.integer("image_size", 224), keys.integer("patch_size", 14)
    config = {
        "model_type": "internvl_vision",
        "hidden_size": keys.integer("hidden_size", 3200),
        "intermediate_size": keys.integer("intermediate_size", 12800),
        "num_hidden_layers": keys.integer("num_hidden_layers", 48),
        "num_attention_heads": keys.integer("num_attention_heads", 25),
        "num_channels": keys.integer("num_channels", 3),
        "image_size": [side, side],
        "patch_size": [patch, patch],
        "hidden_act": keys.string("hidden_act", "gelu"),
        "layer_norm_eps": keys.number("layer_norm_eps", 1e-6),
        "attention_bias": keys.boolean("qkv_bias", False),
        "use_qk_norm": False,
        "norm_type": "layer_norm",
        "use_absolute_position_embeddings": True,
        "use_mask_token": False,
        "use_mean_pooling": True,
    }
    keys.finish()
    return config


def _text(keys: Keys) -> tuple[dict[str, Any], bool]:
    """text_config, and whether it says that the head is the embedding."""
    names = keys.any("architectures")
    name = names[0] if isinstance(names, list) and len(names) == 1 else names
    if name not in DECODERS:
        raise ValueError(
            f"[convert] {keys.file}: {keys.path('architectures')} is {names!r}: of InternVL's decoders "
            f"{', '.join(DECODERS)} are supported; InternLM2 (InternVL2-2B, -8B, -26B) and others are not"
        )
    text = read_decoder(keys, DECODERS[name])
    tied = keys.boolean("tie_word_embeddings", False)
    keys.only("pruned_heads", {})
    keys.only("moe_config")
    keys.only("quantization_config")
    keys.finish()
    return text, tied


def _tiles(keys: Keys, tower: dict[str, Any]) -> tuple[int, int, int]:
    """A tile's side in pixels, the fewest and the most tiles of a picture."""
    own, patch = tower["image_size"][0], tower["patch_size"][0]
    side = keys.integer("force_image_size", own)
    if side % (2 * patch):
        raise keys.refused(
            "force_image_size", f"a multiple of {2 * patch}: two patches a side become one row"
        )
    dynamic = keys.boolean("dynamic_image_size", False)
    least, most = keys.integer("min_dynamic_patch", 1), keys.integer("max_dynamic_patch", 6)
    if not dynamic:
        least = most = 1
    if least > most:
        raise keys.refused("min_dynamic_patch", f"at most max_dynamic_patch, {most}")
    if most > 1:
        keys.only("use_thumbnail", True, absent=False)
    keys.ignore(("use_thumbnail",))
    return side, least, most


def _template(keys: Keys) -> tuple[Template, str]:
    name = keys.string("template")
    if name not in TEMPLATES:
        raise keys.refused("template", f"one of {', '.join(TEMPLATES)}")
    template = TEMPLATES[name]
    return template, keys.string("system_message", template.system)


def _refuse_other(keys: Keys) -> None:
    keys.only("downsample_ratio", 0.5, absent=0.5)
    keys.only("ps_version", "v2", absent="v1")  # v1 transposes the picture
    keys.only("pad2square", False)
    for key in ("use_backbone_lora", "use_llm_lora"):
        keys.only(key, 0)
    keys.only("image_fold")
    keys.only("pruned_heads", {})
    keys.only("quantization_config")
    # The width is the decoder's, and the ids are, of which none is read here.
    keys.ignore(
        (
            "hidden_size",
            "bos_token_id",
            "eos_token_id",
            "pad_token_id",
            "image_token_id",
            "img_context_token_id",
        )
    )
    keys.finish()


def _vision_shapes(tower: dict[str, Any]) -> Shapes:
    """By the authors' names, without the prefix."""
    width, hidden, patch = tower["hidden_size"], tower["intermediate_size"], tower["patch_size"][0]
    shapes: Shapes = {
        "embeddings.class_embedding": (1, 1, width),
        "embeddings.position_embedding": (1, 1 + (tower["image_size"][0] // patch) ** 2, width),
        "embeddings.patch_embedding.weight": (width, tower["num_channels"], patch, patch),
        "embeddings.patch_embedding.bias": (width,),
    }
    pairs = {"attn.proj": (width, width), "norm1": (width,), "norm2": (width,)}
    pairs |= {"mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
    block: Shapes = {"ls1": (width,), "ls2": (width,), "attn.qkv.weight": (3 * width, width)}
    if tower["attention_bias"]:
        block["attn.qkv.bias"] = (3 * width,)
    for name, shape in pairs.items():
        block |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for k in range(tower["num_hidden_layers"]):
        shapes |= {f"encoder.layers.{k}.{name}": shape for name, shape in block.items()}
    return shapes


_NAMES = (
    ("embeddings.class_embedding", "embeddings.cls_token"),
    ("embeddings.position_embedding", "embeddings.position_embeddings"),
    ("embeddings.patch_embedding.", "embeddings.patch_embeddings.projection."),
    ("encoder.layers.", "encoder.layer."),
    (".attn.proj.", ".attention.projection_layer."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
    (".ls1", ".lambda_1"),
    (".ls2", ".lambda_2"),
)


def _tower_plan(tower: dict[str, Any], checkpoint: Checkpoint) -> list[Moved]:
    plan: list[Moved] = []
    for name, shape in _vision_shapes(tower).items():
        place = f"vision_model.{name}"
        if ".attn.qkv." in name:
            block, part = name.replace("encoder.layers.", "encoder.layer.").split(".attn.qkv.")
            q, k, v = (f"vision_tower.{block}.attention.{one}_proj.{part}" for one in "qkv")
            plan += thirds((q, k, v), checkpoint, place, shape)
            continue
        for theirs, ours in _NAMES:
            name = name.replace(theirs, ours)
        plan.append(Moved(f"vision_tower.{name}", checkpoint, place, shape))
    return plan


def _projector_plan(checkpoint: Checkpoint, width: int, out: int) -> list[Moved]:
    """mlp1: LayerNorm, Linear, GELU, Linear."""
    plan = []
    layers: dict[str, tuple[str, tuple[int, ...]]] = {
        "layer_norm": ("0", (width,)),
        "linear_1": ("1", (out, width)),
        "linear_2": ("3", (out, out)),
    }
    for ours, (theirs, shape) in layers.items():
        for part, extents in (("weight", shape), ("bias", shape[:1])):
            plan.append(
                Moved(f"multi_modal_projector.{ours}.{part}", checkpoint, f"mlp1.{theirs}.{part}", extents)
            )
    return plan


def _processor(side: int, least: int, most: int, rows: int) -> dict[str, Any]:
    pictures = {
        "image_processor_type": "GotOcr2ImageProcessor",
        "crop_to_patches": True,
        "min_patches": least,
        "max_patches": most,
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 3,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
    return {
        "processor_class": "InternVLProcessor",
        "image_processor": pictures,
        # transformers' processor has one, and does not load without.
        "video_processor": {"video_processor_type": "InternVLVideoProcessor"},
        "image_seq_length": rows,
    }
