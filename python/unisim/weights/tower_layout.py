"""The image towers of vision-language models: what their folders say, and the shapes of their tensors by the names that
transformers saves, without a prefix.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unisim.weights.checked_tensors import Shapes
from unisim.weights.checkpoint_folder import Checkpoint, open_files, open_folder
from unisim.weights.json_keys import Keys, read_object
from unisim.weights.tensor_plan import Moved, thirds


@dataclass(frozen=True)
class Tower:
    """A tower of a folder of its own."""

    config: dict[str, Any]  # vision_config, nothing left to a default
    plan: list[Moved]  # its tensors, by names without a prefix


def read_vit(keys: Keys, kind: str) -> dict[str, Any]:
    """vision_config of clip_vision_model or siglip_vision_model, with the class's defaults written out."""
    clip = kind == "clip_vision_model"
    config = {
        "model_type": kind,
        "hidden_size": keys.integer("hidden_size", 768),
        "intermediate_size": keys.integer("intermediate_size", 3072),
        "num_hidden_layers": keys.integer("num_hidden_layers", 12),
        "num_attention_heads": keys.integer("num_attention_heads", 12),
        "num_channels": keys.integer("num_channels", 3),
        "image_size": keys.integer("image_size", 224),
        "patch_size": keys.integer("patch_size", 32 if clip else 16),
        "hidden_act": keys.string("hidden_act", "quick_gelu" if clip else "gelu_pytorch_tanh"),
        "layer_norm_eps": keys.number("layer_norm_eps", 1e-5 if clip else 1e-6),
    }
    keys.ignore(("projection_dim", "vision_use_head", "bos_token_id", "eos_token_id", "pad_token_id"))
    keys.ignore(("tie_word_embeddings", "vocab_size"))  # a text model's, that old folders have here too
    keys.finish()
    return config


def read_dinov2(keys: Keys) -> dict[str, Any]:
    """vision_config of dinov2."""
    config = {
        "model_type": "dinov2",
        "hidden_size": keys.integer("hidden_size", 768),
        "num_hidden_layers": keys.integer("num_hidden_layers", 12),
        "num_attention_heads": keys.integer("num_attention_heads", 12),
        "mlp_ratio": keys.number("mlp_ratio", 4),
        "num_channels": keys.integer("num_channels", 3),
        "image_size": keys.integer("image_size", 224),
        "patch_size": keys.integer("patch_size", 14),
        "hidden_act": keys.string("hidden_act", "gelu"),
        "layer_norm_eps": keys.number("layer_norm_eps", 1e-6),
        "qkv_bias": keys.boolean("qkv_bias", True),
        "use_swiglu_ffn": keys.boolean("use_swiglu_ffn", False),
    }
    keys.ignore(
        ("layerscale_value", "use_mask_token", "apply_layernorm", "reshape_hidden_states", "out_features")
    )
    keys.ignore(("out_indices", "stage_names", "_out_features", "_out_indices", "tie_word_embeddings"))
    keys.ignore(("bos_token_id", "eos_token_id", "pad_token_id"))
    keys.only("pruned_heads", {})
    keys.finish()
    return config


def _pairs(names: Shapes) -> Shapes:
    """weight and bias of each."""
    return {
        f"{name}.{part}": shape
        for name, full in names.items()
        for part, shape in (("weight", full), ("bias", full[:1]))
    }


def _positions(config: dict[str, Any]) -> int:
    return int((config["image_size"] // config["patch_size"]) ** 2)


def vit_shapes(config: dict[str, Any]) -> Shapes:
    """Of CLIP's or SigLIP's tower, without a pooling head."""
    width, patch = config["hidden_size"], config["patch_size"]
    clip = config["model_type"] == "clip_vision_model"
    shapes: Shapes = {
        "embeddings.patch_embedding.weight": (width, config["num_channels"], patch, patch),
        "embeddings.position_embedding.weight": (_positions(config) + clip, width),
    }
    shapes |= (
        {"embeddings.class_embedding": (width,)} if clip else {"embeddings.patch_embedding.bias": (width,)}
    )
    shapes |= _pairs({"post_layernorm": (width,)} | ({"pre_layrnorm": (width,)} if clip else {}))
    block: Shapes = {"layer_norm1": (width,), "layer_norm2": (width,)}
    block |= {f"self_attn.{name}": (width, width) for name in ("q_proj", "k_proj", "v_proj", "out_proj")}
    hidden = config["intermediate_size"]
    block |= {"mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
    for k in range(config["num_hidden_layers"]):
        shapes |= {f"encoder.layers.{k}.{name}": shape for name, shape in _pairs(block).items()}
    return shapes


def dinov2_shapes(config: dict[str, Any], mask: bool) -> Shapes:
    """Of transformers' Dinov2Model, as published folders have it; `mask`: the token for pixels hidden in training."""
    width, patch = config["hidden_size"], config["patch_size"]
    hidden = int(width * config["mlp_ratio"])
    shapes: Shapes = {
        "embeddings.cls_token": (1, 1, width),
        "embeddings.position_embeddings": (1, 1 + _positions(config), width),
        "embeddings.patch_embeddings.projection.weight": (width, config["num_channels"], patch, patch),
        "embeddings.patch_embeddings.projection.bias": (width,),
    } | _pairs({"layernorm": (width,)})
    if mask:
        shapes["embeddings.mask_token"] = (1, width)
    block: Shapes = {f"attention.attention.{name}": (width, width) for name in ("query", "key", "value")}
    block |= {"attention.output.dense": (width, width), "norm1": (width,), "norm2": (width,)}
    if config["use_swiglu_ffn"]:
        hidden = (int(hidden * 2 / 3) + 7) // 8 * 8
        block |= {"mlp.weights_in": (2 * hidden, width), "mlp.weights_out": (width, hidden)}
    else:
        block |= {"mlp.fc1": (hidden, width), "mlp.fc2": (width, hidden)}
    whole = _pairs(block) | {"layer_scale1.lambda1": (width,), "layer_scale2.lambda1": (width,)}
    if not config["qkv_bias"]:
        whole = {
            name: shape
            for name, shape in whole.items()
            if not (".attention." in name and name.endswith("bias"))
        }
    for k in range(config["num_hidden_layers"]):
        shapes |= {f"encoder.layer.{k}.{name}": shape for name, shape in whole.items()}
    return shapes


def open_vit(folder: Path, family: str, room: Path) -> tuple[dict[str, Any], Checkpoint, str]:
    """A folder of CLIP or SigLIP (`family` clip or siglip), the whole model or its tower: vision_config, tensors, and the
    prefix of the tower's."""
    file = folder / "config.json"
    values = read_object(file)
    kind = f"{family}_vision_model"
    if values.get("model_type") == kind:
        keys = Keys(values, file)
    elif values.get("model_type") == family:
        # transformers lets the older name, where it is present, override the newer one.
        nested = "vision_config_dict" if values.get("vision_config_dict") else "vision_config"
        keys = Keys(values.get(nested) or {}, file, nested)
    else:
        raise ValueError(
            f"[convert] {file}: model_type is {values.get('model_type')!r}, expected {family!r} or {kind!r}"
        )
    checkpoint = open_folder(folder, room)
    prefix = "vision_model." if checkpoint.starting("vision_model.") else ""
    return read_vit(keys, kind), checkpoint, prefix


def clip_tower(folder: Path, room: Path) -> Tower:
    """CLIP's, of a folder of the whole model or of the tower; nothing of the tower may be left over."""
    config, checkpoint, prefix = open_vit(folder, "clip", room)
    shapes = vit_shapes(config)
    refuse_rest(checkpoint, prefix, shapes, ("visual_projection.weight",))
    return Tower(config, [Moved(name, checkpoint, prefix + name, shape) for name, shape in shapes.items()])


def refuse_rest(checkpoint: Checkpoint, prefix: str, shapes: Shapes, beside: tuple[str, ...] = ()) -> None:
    """ValueError for a tensor under the prefix that the tower does not have, `beside` and what begins so left out."""
    for name in sorted(checkpoint.starting(prefix)):
        own = name.removeprefix(prefix)
        if own not in shapes and not own.startswith(beside) and not own.endswith("position_ids"):
            shape = list(checkpoint.tensors[name].shape)
            raise ValueError(f"[convert] {checkpoint.source}: tensor {name} {shape} is not of this model")


def dinov2_tower(path: Path, room: Path) -> Tower:
    """DINOv2, of transformers' folder, or under the names of its authors' code: a file, or a folder with one."""
    if path.is_dir() and (path / "config.json").is_file():
        file = path / "config.json"
        values = read_object(file)
        if values.get("model_type") != "dinov2":
            raise ValueError(
                f"[convert] {file}: model_type is {values.get('model_type')!r}, expected 'dinov2'"
            )
        config, checkpoint = read_dinov2(Keys(values, file)), open_folder(path, room)
        shapes = dinov2_shapes(config, "embeddings.mask_token" in checkpoint.tensors)
        refuse_rest(checkpoint, "", shapes)
        return Tower(config, [Moved(name, checkpoint, name, shape) for name, shape in shapes.items()])
    files = [path]
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix in (".pth", ".safetensors"))
        if len(files) != 1:
            raise ValueError(
                f"[convert] {path}: found {len(files)} files of weights and no config.json, expected one"
            )
    return _original_dinov2(open_files(files, room))


def _original_dinov2(checkpoint: Checkpoint) -> Tower:
    """Under the names of facebookresearch/dinov2 (dinov2_vitl14_pretrain.pth): sizes are read off the tensors."""
    found = checkpoint.tensors

    def extents(name: str, count: int) -> tuple[int, ...]:
        if name not in found or len(found[name].shape) != count:
            what = f"is {list(found[name].shape)}" if name in found else "is missing"
            raise ValueError(
                f"[convert] {checkpoint.source}: tensor {name} {what}, expected {count} extents, as DINOv2's"
            )
        return found[name].shape

    width, channels, patch, _ = extents("patch_embed.proj.weight", 4)
    side = math.isqrt(extents("pos_embed", 3)[1] - 1)
    depth = len({name.split(".")[1] for name in found if name.startswith("blocks.")})
    config = {
        "model_type": "dinov2",
        "hidden_size": width,
        "num_hidden_layers": depth,
        "num_attention_heads": max(width // 64, 1),
        "mlp_ratio": 4,
        "num_channels": channels,
        "image_size": side * patch,
        "patch_size": patch,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-6,
        "qkv_bias": True,
        "use_swiglu_ffn": False,
    }
    shapes = dinov2_shapes(config, "mask_token" in found)
    plan = [_moved(checkpoint, name, shape) for name, shape in shapes.items() if ".attention." not in name]
    for k in range(depth):
        for part in ("weight", "bias"):
            shape = (3 * width, width) if part == "weight" else (3 * width,)
            names = [
                f"encoder.layer.{k}.attention.attention.{one}.{part}" for one in ("query", "key", "value")
            ]
            plan += thirds((names[0], names[1], names[2]), checkpoint, f"blocks.{k}.attn.qkv.{part}", shape)
            name = f"encoder.layer.{k}.attention.output.dense.{part}"
            plan.append(Moved(name, checkpoint, f"blocks.{k}.attn.proj.{part}", (width,) * len(shape)))
    refuse_rest(checkpoint, "", {moved.place: moved.shape for moved in plan})
    return Tower(config, plan)


_DINOV2 = {
    "embeddings.cls_token": "cls_token",
    "embeddings.mask_token": "mask_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection": "patch_embed.proj",
    "layernorm": "norm",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}


def _moved(checkpoint: Checkpoint, name: str, shape: tuple[int, ...]) -> Moved:
    """A tensor whose name alone is another in the authors' code."""
    place = name.replace("encoder.layer.", "blocks.")
    for ours, theirs in _DINOV2.items():
        if place == ours or place.startswith(f"{ours}.") or place.endswith(f".{ours}"):
            place = place.replace(ours, theirs)
            break
    return Moved(name, checkpoint, place, shape)
