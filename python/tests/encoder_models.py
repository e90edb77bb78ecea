"""Small model folders with random weights, one of every kind, beside the library that defines their numbers.

Every parameter is drawn so that it moves the output: scales from 0.5 to 1.5, biases, norms, positions and class
tokens far from nothing.
"""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import open_clip
import timm
import torch
import transformers
from safetensors.torch import save_file

MEAN, STD = [0.48, 0.46, 0.41], [0.27, 0.26, 0.28]
OPEN_CLIP_TOWER = {"layers": 2, "width": 60, "head_width": 20}


@dataclass
class Reference:
    """What the library computes: raw rows, states before and after each block, the last norm."""

    model: torch.nn.Module
    size: tuple[int, int] | None
    images: Callable | None = None
    blocks: list = field(default_factory=list)
    prefix: int = 1  # tokens before the patches
    norm: torch.nn.Module | None = None  # the last norm
    texts: Callable | None = None
    vocabulary: int = 0
    context: int = 0
    end: int = 0
    unused: tuple = ()  # parameters that no embedding sees, by parts of their names

    def hidden_states(self, pixels):
        states = [None] * (len(self.blocks) + 1)
        with contextlib.ExitStack() as stack:
            for i, block in enumerate(self.blocks):
                stack.callback(
                    block.register_forward_pre_hook(lambda m, x, i=i: states.__setitem__(i, x[0])).remove
                )
            last = len(self.blocks)
            stack.callback(
                self.blocks[-1].register_forward_hook(lambda m, x, y: states.__setitem__(last, y)).remove
            )
            self.images(pixels)
        return states


def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)

    def normal(shape):
        return torch.randn(shape, generator=generator)

    with torch.no_grad():
        for name, p in model.named_parameters():
            gains = ("lambda", "gamma", "ls_", "layer_scale")
            norms = ("norm", "ln_", "layrnorm")
            if any(part in name for part in gains) or (p.ndim == 1 and name.endswith("weight")):
                p.copy_(0.5 + torch.rand(p.shape, generator=generator))
            elif p.ndim == 1:
                p.copy_(0.3 * normal(p.shape))
            elif p.ndim == 2 and not any(part in name for part in ("embedding", "token", "pos", "probe")):
                p.copy_(normal(p.shape) * (1.2 / p.shape[1] ** 0.5))
            elif p.ndim == 4:
                p.copy_(normal(p.shape) * (1.0 / p[0].numel() ** 0.5))
            else:
                p.copy_(0.7 * normal(p.shape))
            assert not any(part in name for part in norms) or p.ndim == 1
    return model.eval()


def write(folder, name, value):
    (folder / name).write_text(json.dumps(value, indent=1))


def processor(folder, kind, size):
    exact = kind in ("ViT", "Siglip")
    h, w = size
    config = {
        "image_processor_type": f"{kind}ImageProcessor",
        "size": {"height": h, "width": w} if exact else {"shortest_edge": int(1.15 * max(size))},
        "image_mean": MEAN,
        "image_std": STD,
        "resample": 3,
    }
    if not exact:
        config["crop_size"] = {"height": h, "width": w}
    write(folder, "preprocessor_config.json", config)


def saved(model, folder, dtype):
    """Saves, and gives the model the numbers that a file of this type can hold."""
    model.to(dtype).save_pretrained(folder)
    return model.to(torch.float32).eval()


def dinov2(folder, seed, *, table=70, image=70, registers=None, dtype=torch.float32, **more):
    config = dict(
        hidden_size=48, num_hidden_layers=3, num_attention_heads=3, image_size=table, patch_size=14, **more
    )
    if registers is None:
        model = transformers.Dinov2Model(transformers.Dinov2Config(**config))
    else:
        config["num_register_tokens"] = registers
        model = transformers.Dinov2WithRegistersModel(transformers.Dinov2WithRegistersConfig(**config))
    model = saved(randomize(model, seed), folder, dtype)
    size = (image, image) if isinstance(image, int) else image
    processor(folder, "Bit", size)
    return Reference(
        model,
        size,
        images=lambda x: model(x).pooler_output,
        blocks=list(model.encoder.layer),
        prefix=1 + (registers or 0),
        norm=model.layernorm,
        unused=("mask_token",),
    )


def clip_parts(act="quick_gelu", image=45, patch=9, eos=88):
    tower = {"num_hidden_layers": 3, "hidden_act": act}
    vision = {
        "hidden_size": 60,
        "intermediate_size": 100,
        "num_attention_heads": 3,
        "image_size": image,
        "patch_size": patch,
    }
    text = {
        "hidden_size": 32,
        "intermediate_size": 72,
        "num_attention_heads": 4,
        "vocab_size": 90,
        "eos_token_id": eos,
    }
    text |= {"max_position_embeddings": 12, "bos_token_id": 87, "pad_token_id": 1}
    return {**tower, **vision}, {**tower, **text}


def clip(folder, seed, *, act="quick_gelu", image=45, patch=9, eos=88, dtype=torch.float32):
    vision, text = clip_parts(act, image, patch, eos)
    config = transformers.CLIPConfig(vision_config=vision, text_config=text, projection_dim=28)
    model = saved(randomize(transformers.CLIPModel(config), seed), folder, dtype)
    processor(folder, "CLIP", (image, image))
    tower = model.vision_model
    return Reference(
        model,
        (image, image),
        images=lambda x: model.get_image_features(x).pooler_output,
        blocks=list(tower.encoder.layers),
        norm=tower.post_layernorm,
        texts=lambda ids: model.get_text_features(ids).pooler_output,
        vocabulary=90,
        context=12,
        end=88 if eos != 2 else 89,
        unused=("logit",),
    )


def clip_vision(folder, seed, *, projection):
    vision, _ = clip_parts("gelu", 42, 7)
    config = transformers.CLIPVisionConfig(projection_dim=20, **vision)
    kind = transformers.CLIPVisionModelWithProjection if projection else transformers.CLIPVisionModel
    model = saved(randomize(kind(config), seed), folder, torch.float32)
    processor(folder, "CLIP", (42, 42))
    tower = model.vision_model if projection else model
    rows = (lambda x: model(x).image_embeds) if projection else (lambda x: model(x).pooler_output)
    return Reference(model, (42, 42), rows, list(tower.encoder.layers), norm=tower.post_layernorm)


def clip_text(folder, seed):
    _, text = clip_parts("gelu")
    model = transformers.CLIPTextModelWithProjection(transformers.CLIPTextConfig(projection_dim=20, **text))
    model = saved(randomize(model, seed), folder, torch.float32)
    return Reference(model, None, texts=lambda ids: model(ids).text_embeds, vocabulary=90, context=12, end=88)


def siglip_vision_config(**more):
    return dict(hidden_size=60, intermediate_size=88, num_hidden_layers=2, num_attention_heads=5, **more)


def siglip(folder, seed, dtype=torch.float32):
    vision = siglip_vision_config(image_size=48, patch_size=12)
    text = {
        "hidden_size": 40,
        "intermediate_size": 56,
        "num_hidden_layers": 3,
        "num_attention_heads": 5,
        "vocab_size": 70,
    }
    text |= {"max_position_embeddings": 10, "projection_size": 60}
    config = transformers.SiglipConfig(vision_config=vision, text_config=text)
    model = saved(randomize(transformers.SiglipModel(config), seed), folder, dtype)
    processor(folder, "Siglip", (48, 48))
    tower = model.vision_model
    return Reference(
        model,
        (48, 48),
        images=lambda x: model.get_image_features(x).pooler_output,
        blocks=list(tower.encoder.layers),
        prefix=0,
        norm=tower.post_layernorm,
        texts=lambda ids: model.get_text_features(ids).pooler_output,
        vocabulary=70,
        context=10,
        end=69,
        unused=("logit",),
    )


def siglip_vision(folder, seed):
    config = transformers.SiglipVisionConfig(
        hidden_act="gelu", **siglip_vision_config(image_size=52, patch_size=13)
    )
    model = saved(randomize(transformers.SiglipVisionModel(config), seed), folder, torch.float32)
    processor(folder, "Siglip", (52, 52))
    rows = lambda x: model(x).pooler_output
    return Reference(model, (52, 52), rows, list(model.encoder.layers), prefix=0, norm=model.post_layernorm)


def vit(folder, seed, *, size, patch, **more):
    config = transformers.ViTConfig(
        hidden_size=54,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=3,
        image_size=size,
        patch_size=patch,
        **more,
    )
    model = saved(randomize(transformers.ViTModel(config), seed), folder, torch.float32)
    processor(folder, "ViT", size)
    rows = lambda x: model(x).last_hidden_state[:, 0]
    return Reference(
        model, size, rows, list(model.layers), norm=model.layernorm, unused=("pooler", "mask_token")
    )


def open_clip_folder(folder, seed, *, vision, text=None, dtype=torch.float32, **more):
    text = {"context_length": 12, "vocab_size": 90, "width": 32, "heads": 4, "layers": 2} | (text or {})
    config = dict(embed_dim=24, vision_cfg=vision, text_cfg=text, **more)
    parts = {k: v for k, v in config.items() if k != "custom_text"}
    kind = open_clip.CustomTextCLIP if config.get("custom_text") else open_clip.CLIP
    model = randomize(kind(**parts), seed).to(dtype).to(torch.float32)
    size = vision["image_size"]
    size = (size, size) if isinstance(size, int) else tuple(size)
    write(
        folder,
        "open_clip_config.json",
        {"model_cfg": config, "preprocess_cfg": {"size": list(size), "mean": MEAN, "std": STD}},
    )
    weights = {k: v.to(dtype).contiguous() for k, v in model.state_dict().items() if k != "attn_mask"}
    save_file(weights, folder / "open_clip_model.safetensors")
    timm_trunk = "timm_model_name" in vision
    tower = model.visual.trunk if timm_trunk else model.visual
    return Reference(
        model,
        size,
        images=model.encode_image,
        blocks=list(tower.blocks if timm_trunk else tower.transformer.resblocks),
        prefix=tower.num_prefix_tokens if timm_trunk else 1,
        norm=timm_norm(tower) if timm_trunk else tower.ln_post,
        texts=model.encode_text,
        vocabulary=90,
        context=12,
        end=89,
        unused=("logit",),
    )


def timm_norm(model):
    return model.fc_norm if isinstance(model.norm, torch.nn.Identity) else model.norm


def timm_folder(folder, seed, name, *, image, dtype=torch.float32, **arguments):
    size = (image, image) if isinstance(image, int) else tuple(image)
    model = timm.create_model(name, num_classes=0, **arguments)
    model = randomize(model, seed).to(dtype).to(torch.float32)
    dynamic = bool(arguments.get("dynamic_img_size"))
    pretrained = {
        "input_size": [3, *size],
        "fixed_input_size": not dynamic,
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "crop_mode": "center",
        "mean": MEAN,
        "std": STD,
        "num_classes": 0,
    }
    config = {
        "architecture": name,
        "num_classes": 0,
        "global_pool": model.global_pool,
        "model_args": arguments,
    }
    write(folder, "config.json", config | {"pretrained_cfg": pretrained})
    save_file(
        {k: v.to(dtype).contiguous() for k, v in model.state_dict().items()}, folder / "model.safetensors"
    )
    return Reference(
        model, size, model, list(model.blocks), prefix=model.num_prefix_tokens, norm=timm_norm(model)
    )
