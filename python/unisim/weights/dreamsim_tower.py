"""The backbones that DreamSim's authors tuned, as they publish them, and the model folders made of them.

All are ViTs under the names of DINO's own code: 224 x 224 pixels, heads 64 wide, an MLP four times the width. Those of
CLIP have a norm after the positions, under the name of the dropout in whose place it stands (pos_drop), and a
projection, proj [width, out]. DINO, DINOv2 and SynCLR become timm folders, whose names are the same; CLIP becomes a
Hugging Face folder, which has the projection.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from unisim.weights.checked_tensors import Shapes

SIDE, HEAD = 224, 64

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
OPENAI = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}


@dataclass(frozen=True)
class Tower:
    """One backbone, and where its checkpoint lies in the folder of a release: the first of `files` that is there."""

    name: str
    files: tuple[str, ...]
    patch: int
    kind: Literal["dino", "dinov2", "clip"] = "dino"
    activation: str = "gelu"
    under: str = "state_dict"  # the key of the state dict in the checkpoint, if it is not the whole
    prefix: str = ""  # of every tensor's name
    url: str = ""  # where its own authors publish it, if DreamSim's take it from there

    @property
    def feature(self) -> str:
        """What DreamSim takes of it (docs/metrics.md)."""
        return "embedding" if self.kind == "clip" else "cls"

    @property
    def table(self) -> int:
        """How many patches a side the position table was learned for; DINOv2's was for 518 pixels."""
        return (518 if self.kind == "dinov2" else SIDE) // self.patch


def _hub(name: str, file: str, folder: str, patch: int, kind: Literal["dino", "dinov2"]) -> Tower:
    """A backbone that the authors' package takes from torch.hub, which it tells to keep files where the release is."""
    url = f"https://dl.fbaipublicfiles.com/{folder}/{file}"
    return Tower(name, (f"checkpoints/{file}", file), patch, kind, url=url)


TOWERS = {
    tower.name: tower
    for tower in (
        # The archive's dino_vitb16_pretrain.pth is another: DINO's training checkpoint, for a head that no distance uses.
        _hub("dino_vitb16", "dino_vitbase16_pretrain.pth", "dino/dino_vitbase16_pretrain", 16, "dino"),
        _hub("dinov2_vitb14", "dinov2_vitb14_pretrain.pth", "dinov2/dinov2_vitb14", 14, "dinov2"),
        Tower("synclr_vitb16", ("synclr_vit_b_16.pth",), 16, under="model", prefix="visual."),
        Tower("clip_vitb16", ("clip_vitb16_pretrain.pth.tar",), 16, "clip", "quick_gelu"),
        Tower("clip_vitb32", ("clip_vitb32_pretrain.pth.tar",), 32, "clip", "quick_gelu"),
        Tower("open_clip_vitb16", ("open_clip_vitb16_pretrain.pth.tar",), 16, "clip"),
        Tower("open_clip_vitb32", ("open_clip_vitb32_pretrain.pth.tar",), 32, "clip"),
    )
}


@dataclass(frozen=True)
class Sizes:
    """What is read off the tensors."""

    width: int
    depth: int
    projection: int = 0


def sizes_of(tower: Tower, found: Shapes, source: Path) -> Sizes:
    """Of a checkpoint with these tensors; ValueError if the tensors that tell are not there, or tell nonsense."""

    def told(name: str, expected: str, fits: Callable[[tuple[int, ...]], bool]) -> int:
        if name not in found:
            raise ValueError(f"[convert] {source}: tensor {name} is missing, expected {expected}")
        if not fits(found[name]):
            raise ValueError(f"[convert] {source}: tensor {name} is {list(found[name])}, expected {expected}")
        return found[name][-1]

    width = told(
        f"{tower.prefix}cls_token",
        f"[1, 1, {HEAD} x heads]",
        lambda shape: len(shape) == 3 and shape[2] > 0 and shape[2] % HEAD == 0,
    )
    blocks = {
        match[1] for name in found if (match := re.match(re.escape(tower.prefix) + r"blocks\.(\d+)\.", name))
    }
    projection = 0
    if tower.kind == "clip":
        projection = told("proj", f"[{width}, out]", lambda shape: len(shape) == 2 and shape[1] > 0)
    return Sizes(width, max(len(blocks), 1), projection)


def shapes_of_tower(tower: Tower, sizes: Sizes) -> Shapes:
    """The shape of every tensor of a checkpoint, without the prefix."""
    width, patch = sizes.width, tower.patch
    shapes: Shapes = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + tower.table**2, width),
        "patch_embed.proj.weight": (width, 3, patch, patch),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    if tower.kind == "clip":
        shapes |= {"pos_drop.weight": (width,), "pos_drop.bias": (width,), "proj": (width, sizes.projection)}
    if tower.kind == "dinov2":
        shapes["mask_token"] = (1, width)
    for k in range(sizes.depth):
        shapes |= {f"blocks.{k}.{name}": shape for name, shape in _block(tower, width).items()}
    return shapes


def _block(tower: Tower, width: int) -> Shapes:
    shapes: Shapes = {
        "attn.qkv.weight": (3 * width, width),
        "attn.proj.weight": (width, width),
        "mlp.fc1.weight": (4 * width, width),
        "mlp.fc2.weight": (width, 4 * width),
        "norm1.weight": (width,),
        "norm2.weight": (width,),
    }
    shapes |= {name.replace("weight", "bias"): shape[:1] for name, shape in shapes.items()}
    if tower.kind == "dinov2":
        shapes |= {"ls1.gamma": (width,), "ls2.gamma": (width,)}
    return shapes


Take = Callable[[str], Any]  # a tensor by the checkpoint's name, in float64, LoRA merged


def folder_tensors(tower: Tower, sizes: Sizes, take: Take) -> dict[str, Any]:
    """The folder's tensors by its names, float32."""
    named = _clip_tensors(tower, sizes, take) if tower.kind == "clip" else _timm_tensors(tower, sizes, take)
    return {name: array.astype("float32") for name, array in named}


def _timm_tensors(tower: Tower, sizes: Sizes, take: Take) -> Iterator[tuple[str, Any]]:
    for name in shapes_of_tower(tower, sizes):
        if name == "pos_embed" and tower.table != SIDE // tower.patch:
            yield name, _resized(take(name), tower)
        elif name != "mask_token":  # stands for patches hidden in training
            yield name, take(name)


def _resized(positions: Any, tower: Tower) -> Any:
    """DINOv2's positions for 224 pixels as its own code resizes them, in float32.

    The scale is (16 + 0.1) / 37, not 16 / 37, an oddity that its authors kept because the weights have seen it; readers
    that resize to a size get other positions, so that the folder holds them resized.
    """
    import numpy
    import torch

    scale = (SIDE // tower.patch + 0.1) / tower.table
    table = torch.from_numpy(positions[:, 1:].astype("float32"))
    grid = table.reshape(1, tower.table, tower.table, -1).permute(0, 3, 1, 2)
    made = torch.nn.functional.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return numpy.concatenate([positions[:, :1], made.flatten(2).transpose(1, 2).numpy()], axis=1)


def _clip_tensors(tower: Tower, sizes: Sizes, take: Take) -> Iterator[tuple[str, Any]]:
    """Under the names of transformers' CLIPVisionModelWithProjection."""
    positions = take("pos_embed")[0]
    # That model's patches have no bias: what it adds to every patch, the positions of the patches can add.
    positions[1:] += take("patch_embed.proj.bias")
    yield "vision_model.embeddings.class_embedding", take("cls_token").reshape(-1)
    yield "vision_model.embeddings.position_embedding.weight", positions
    yield "vision_model.embeddings.patch_embedding.weight", take("patch_embed.proj.weight")
    yield "visual_projection.weight", take("proj").T.copy()
    for part in ("weight", "bias"):
        yield f"vision_model.pre_layrnorm.{part}", take(f"pos_drop.{part}")
        yield f"vision_model.post_layernorm.{part}", take(f"norm.{part}")
    plain = {
        "norm1": "layer_norm1",
        "norm2": "layer_norm2",
        "attn.proj": "self_attn.out_proj",
        "mlp.fc1": "mlp.fc1",
        "mlp.fc2": "mlp.fc2",
    }
    for k in range(sizes.depth):
        block = f"vision_model.encoder.layers.{k}."
        for part in ("weight", "bias"):
            for ours, theirs in plain.items():
                yield f"{block}{theirs}.{part}", take(f"blocks.{k}.{ours}.{part}")
            packed = take(f"blocks.{k}.attn.qkv.{part}")
            for which, rows in zip("qkv", packed.reshape(3, sizes.width, *packed.shape[1:]), strict=True):
                yield f"{block}self_attn.{which}_proj.{part}", rows.copy()


def write_configs(tower: Tower, sizes: Sizes, folder: Path) -> None:
    """The folder's JSON files: the model, and that pictures are squashed to the square."""
    files = (
        _clip_configs(tower, sizes) if tower.kind == "clip" else {"config.json": _timm_config(tower, sizes)}
    )
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _timm_config(tower: Tower, sizes: Sizes) -> dict[str, Any]:
    return {
        "architecture": "vit_base_patch14_dinov2" if tower.kind == "dinov2" else "vit_base_patch16_224",
        "num_classes": 0,
        "num_features": sizes.width,
        "global_pool": "token",
        "model_args": {
            "img_size": SIDE,
            "patch_size": tower.patch,
            "embed_dim": sizes.width,
            "depth": sizes.depth,
            "num_heads": sizes.width // HEAD,
        },
        "pretrained_cfg": {
            "input_size": [3, SIDE, SIDE],
            "fixed_input_size": True,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            **IMAGENET,
            "num_classes": 0,
        },
    }


def _clip_configs(tower: Tower, sizes: Sizes) -> dict[str, dict[str, Any]]:
    model = {
        "architectures": ["CLIPVisionModelWithProjection"],
        "model_type": "clip_vision_model",
        "hidden_size": sizes.width,
        "intermediate_size": 4 * sizes.width,
        "num_hidden_layers": sizes.depth,
        "num_attention_heads": sizes.width // HEAD,
        "num_channels": 3,
        "image_size": SIDE,
        "patch_size": tower.patch,
        "hidden_act": tower.activation,
        "layer_norm_eps": 1e-5,
        "attention_dropout": 0.0,
        "projection_dim": sizes.projection,
        "torch_dtype": "float32",
    }
    pictures = {
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 3,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": OPENAI["mean"],
        "image_std": OPENAI["std"],
    }
    return {"config.json": model, "preprocessor_config.json": pictures}
