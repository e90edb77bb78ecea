"""The folders that the encoder tests go through: each makes a model, saves it and gives what to compare with."""

import torch

from encoder_models import (
    OPEN_CLIP_TOWER,
    clip,
    clip_text,
    clip_vision,
    dinov2,
    open_clip_folder,
    siglip,
    siglip_vision,
    timm_folder,
    vit,
)

SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 4}

FOLDERS = {
    "dinov2": lambda f: dinov2(f, 1),
    "dinov2-resized-oblong": lambda f: dinov2(f, 2, table=56, image=(70, 98), layer_norm_eps=1e-3),
    "dinov2-swiglu-fp16": lambda f: dinov2(f, 3, use_swiglu_ffn=True, dtype=torch.float16),
    "dinov2-registers": lambda f: dinov2(f, 4, registers=3, qkv_bias=False),
    "dinov2-registers-resized-bf16": lambda f: dinov2(
        f, 5, table=98, image=42, registers=1, dtype=torch.bfloat16
    ),
    "clip-argmax": lambda f: clip(f, 6, eos=2),
    "clip-eos-gelu-fp16": lambda f: clip(f, 7, act="gelu", image=51, patch=17, dtype=torch.float16),
    "clip-remainder": lambda f: clip(f, 8, image=47, patch=9),
    "clip-vision-projected": lambda f: clip_vision(f, 9, projection=True),
    "clip-vision": lambda f: clip_vision(f, 10, projection=False),
    "clip-text": lambda f: clip_text(f, 11),
    "siglip": lambda f: siglip(f, 12),
    "siglip-bf16": lambda f: siglip(f, 13, dtype=torch.bfloat16),
    "siglip-vision": lambda f: siglip_vision(f, 14),
    "vit-oblong": lambda f: vit(f, 15, size=(36, 60), patch=(9, 12)),
    "vit-relu": lambda f: vit(f, 16, size=(40, 40), patch=8, hidden_act="relu", qkv_bias=False),
    "open-clip-quickgelu": lambda f: open_clip_folder(
        f, 17, vision=OPEN_CLIP_TOWER | {"image_size": 45, "patch_size": 9}, quick_gelu=True
    ),
    "open-clip-oblong": lambda f: open_clip_folder(
        f,
        18,
        vision=OPEN_CLIP_TOWER
        | {
            "image_size": [36, 54],
            "patch_size": 9,
            "ls_init_value": 0.1,
            "no_ln_pre": True,
            "final_ln_after_pool": True,
        }
        | {
            "pool_type": "avg",
            "mlp_ratio": 2.5,
            "act_kwargs": {"approximate": "tanh"},
            "norm_kwargs": {"eps": 1e-3},
        },
        text={"no_causal_mask": True, "pool_type": "last", "proj_bias": True, "ls_init_value": 0.1},
        custom_text=True,
        dtype=torch.bfloat16,
    ),
    "open-clip-eos": lambda f: open_clip_folder(
        f,
        19,
        vision=OPEN_CLIP_TOWER | {"image_size": 40, "patch_size": 8},
        text={"pool_type": "eos", "eos_id": 89},
        custom_text=True,
    ),
    "open-clip-siglip": lambda f: open_clip_folder(
        f,
        20,
        vision={"image_size": 160, "timm_model_name": "test_vit3", "timm_pool": "map", "timm_proj": None},
        text={"pool_type": "first", "proj_type": "linear", "no_causal_mask": True},
        custom_text=True,
    ),
    "open-clip-timm-mean": lambda f: open_clip_folder(
        f,
        21,
        vision={"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj_bias": True},
    ),
    "timm-token": lambda f: timm_folder(f, 22, "vit_tiny_patch16_224", image=48, img_size=48, **SMALL),
    "timm-mean-registers": lambda f: timm_folder(
        f,
        23,
        "vit_tiny_patch16_224",
        image=(32, 64),
        img_size=(32, 64),
        global_pool="avg",
        reg_tokens=2,
        qk_norm=True,
        init_values=0.1,
        qkv_bias=False,
        **SMALL,
    ),
    "timm-map-registers": lambda f: timm_folder(
        f,
        24,
        "vit_base_patch16_siglip_224",
        image=48,
        img_size=48,
        reg_tokens=3,
        dtype=torch.float16,
        **SMALL,
    ),
    "timm-clip": lambda f: timm_folder(
        f, 25, "vit_base_patch16_clip_quickgelu_224", image=54, img_size=54, patch_size=9, **SMALL
    ),
    "timm-dynamic": lambda f: timm_folder(
        f, 26, "vit_base_patch14_reg4_dinov2", image=(70, 42), img_size=98, dynamic_img_size=True, **SMALL
    ),
    "timm-swiglu": lambda f: timm_folder(
        f, 27, "vit_giant_patch14_dinov2", image=56, img_size=56, mlp_ratio=3, **SMALL
    ),
    "timm-mean-of-all": lambda f: timm_folder(
        f,
        28,
        "vit_tiny_patch16_224",
        image=48,
        img_size=48,
        global_pool="avg",
        pool_include_prefix=True,
        fc_norm=False,
        proj_bias=False,
        mlp_ratio=2.7,
        **SMALL,
    ),
}
