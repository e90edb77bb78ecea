"""Vision-language models in their authors' layouts, two blocks of random numbers each; names written out by hand from the
authors' code, never taken from the conversion.

`llava_qwen`, `internvl_chat` and `mof` give (config, tensors), which a test may change before original_folders.save writes the folder.
"""

import torch

from original_folders import SIGLIP

WIDTH, FFN, VOCABULARY = 48, 80, 352
INTERN_VIT = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2, "num_attention_heads": 2}


def random(shapes, seed, dtype=torch.float32):
    """Numbers that differ everywhere; norms and scales around one, so that nothing vanishes."""
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for name, shape in shapes.items():
        draw = torch.randn(shape, generator=generator)
        around_one = len(shape) == 1 and name.endswith((".weight", "ls1", "ls2", "gamma"))
        scale = (
            0.3
            if around_one or name.endswith("bias")
            else 1.5 / max(draw[0].numel() if draw.ndim else 1, 9) ** 0.5
        )
        made[name] = (draw * scale + around_one).to(dtype)
    return made


def qwen2(prefix, width=WIDTH, heads=3, kv=1, vocabulary=VOCABULARY, bias=True, norm="model.norm"):
    """Qwen2's, and without biases Llama's, decoder."""
    head = width // heads
    shapes = {f"{prefix}model.embed_tokens.weight": (vocabulary, width), f"{prefix}{norm}.weight": (width,)}
    for k in range(2):
        block = f"{prefix}model.layers.{k}."
        for name, rows in (("q", width), ("k", kv * head), ("v", kv * head)):
            shapes[f"{block}self_attn.{name}_proj.weight"] = (rows, width)
            if bias:
                shapes[f"{block}self_attn.{name}_proj.bias"] = (rows,)
        shapes[f"{block}self_attn.o_proj.weight"] = (width, width)
        shapes |= {f"{block}mlp.{name}_proj.weight": (FFN, width) for name in ("gate", "up")}
        shapes[f"{block}mlp.down_proj.weight"] = (width, FFN)
        for name in ("input_layernorm", "post_attention_layernorm"):
            shapes[f"{block}{name}.weight"] = (width,)
    return shapes


def siglip(prefix, layers):
    width, ffn = SIGLIP["hidden_size"], SIGLIP["intermediate_size"]
    shapes = {
        f"{prefix}embeddings.patch_embedding.weight": (width, 3, 14, 14),
        f"{prefix}embeddings.patch_embedding.bias": (width,),
        f"{prefix}embeddings.position_embedding.weight": (9, width),
        f"{prefix}post_layernorm.weight": (width,),
        f"{prefix}post_layernorm.bias": (width,),
    }
    for k in range(layers):
        block = f"{prefix}encoder.layers.{k}."
        linear = {f"self_attn.{name}_proj": (width, width) for name in ("q", "k", "v", "out")}
        linear |= {
            "mlp.fc1": (ffn, width),
            "mlp.fc2": (width, ffn),
            "layer_norm1": (width,),
            "layer_norm2": (width,),
        }
        for name, shape in linear.items():
            shapes |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
    return shapes


def adapter(name, width, out=WIDTH):
    return {
        f"{name}.0.weight": (out, width),
        f"{name}.0.bias": (out,),
        f"{name}.2.weight": (out, out),
        f"{name}.2.bias": (out,),
    }


def llava_qwen(dtype=torch.float32):
    """lmms-lab/llava-next-interleave-qwen-0.5b's keys, made small; SigLIP has lost the last of its three blocks."""
    config = {
        "_name_or_path": "/somewhere/llava-next-interleave-qwen-0.5b",
        "architectures": ["LlavaQwenForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 256,
        "eos_token_id": 258,
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "image_aspect_ratio": "anyres",
        "image_crop_resolution": None,
        "image_grid_pinpoints": [[384, 768], [768, 384]],
        "image_split_resolution": None,
        "initializer_range": 0.02,
        "intermediate_size": FFN,
        "max_position_embeddings": 4096,
        "max_window_layers": 21,
        "mm_hidden_size": SIGLIP["hidden_size"],
        "mm_patch_merge_type": "spatial_unpad",
        "mm_projector_lr": None,
        "mm_projector_type": "mlp2x_gelu",
        "mm_resampler_type": None,
        "mm_spatial_pool_mode": None,
        "mm_tunable_parts": "mm_vision_tower,mm_mlp_adapter,mm_language_model",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "google/siglip-so400m-patch14-384",
        "mm_vision_tower_lr": 2e-06,
        "model_type": "llava_qwen",
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "pos_skipping_range": 4096,
        "rms_norm_eps": 1e-06,
        "rope_scaling": None,
        "rope_theta": 1000000.0,
        "sliding_window": 32768,
        "tie_word_embeddings": True,
        "tokenizer_model_max_length": 2048,
        "tokenizer_padding_side": "right",
        "torch_dtype": "bfloat16",
        "transformers_version": "4.40.0.dev0",
        "use_cache": True,
        "use_mm_proj": True,
        "use_pos_skipping": False,
        "use_sliding_window": False,
        "vision_tower_pretrained": None,
        "vocab_size": VOCABULARY,
    }
    shapes = qwen2("") | adapter("model.mm_projector", SIGLIP["hidden_size"])
    shapes |= siglip("model.vision_tower.vision_tower.vision_model.", 2) | {"model.image_newline": (WIDTH,)}
    return config, random(shapes, 1, dtype)


def internvl_chat(decoder="phi3"):
    """OpenGVLab/InternVL2-4B's keys, made small; `decoder` phi3 or qwen2 (InternVL2.5-1B's)."""
    vision = INTERN_VIT | {
        "architectures": ["InternVisionModel"],
        "attention_dropout": 0.0,
        "drop_path_rate": 0.1,
        "dropout": 0.0,
        "hidden_act": "gelu",
        "image_size": 56,
        "initializer_factor": 1.0,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-06,
        "model_type": "intern_vit_6b",
        "norm_type": "layer_norm",
        "num_channels": 3,
        "patch_size": 14,
        "qk_normalization": False,
        "qkv_bias": True,
        "torch_dtype": "bfloat16",
        "use_bfloat16": True,
        "use_flash_attn": True,
        "auto_map": {"AutoModel": "modeling_intern_vit.InternVisionModel"},
    }
    text = {
        "attention_dropout": 0.0,
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "intermediate_size": FFN,
        "num_attention_heads": 2,
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "top_k": 50,
        "length_penalty": 1.0,
        "use_cache": True,
    }
    half = WIDTH // 2 // 2
    text |= {
        "phi3": {
            "_name_or_path": "microsoft/Phi-3-mini-128k-instruct",
            "architectures": ["Phi3ForCausalLM"],
            "model_type": "phi3",
            "auto_map": {"AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"},
            "bos_token_id": 1,
            "eos_token_id": 400,
            "pad_token_id": 400,
            "embd_pdrop": 0.0,
            "resid_pdrop": 0.0,
            "max_position_embeddings": 2048,
            "original_max_position_embeddings": 32,
            "rms_norm_eps": 1e-05,
            "rope_scaling": {
                "type": "su",
                "short_factor": [1.0 + 0.05 * k for k in range(half)],
                "long_factor": [1.1 + 0.9 * k for k in range(half)],
            },
            "rope_theta": 10000.0,
            "sliding_window": 262144,
            "vocab_size": 448,
        },
        "qwen2": {
            "_name_or_path": "./pretrained/Qwen2.5-0.5B-Instruct",
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "bos_token_id": 256,
            "eos_token_id": 256,
            "max_position_embeddings": 4096,
            "max_window_layers": 70,
            "moe_config": None,
            "rms_norm_eps": 1e-06,
            "rope_scaling": {"factor": 2.0, "type": "dynamic"},
            "rope_theta": 1000000.0,
            "sliding_window": None,
            "use_sliding_window": False,
            "vocab_size": VOCABULARY,
        },
    }[decoder]
    config = {
        "_commit_hash": None,
        "architectures": ["InternVLChatModel"],
        "auto_map": {"AutoModel": "modeling_internvl_chat.InternVLChatModel"},
        "downsample_ratio": 0.5,
        "dynamic_image_size": True,
        "force_image_size": 56,
        "llm_config": text,
        "max_dynamic_patch": 12,
        "min_dynamic_patch": 1,
        "model_type": "internvl_chat",
        "pad2square": False,
        "ps_version": "v2",
        "select_layer": -1,
        "template": "phi3-chat" if decoder == "phi3" else "internvl2_5",
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_backbone_lora": 0,
        "use_llm_lora": 0,
        "use_thumbnail": True,
        "vision_config": vision,
    }
    return config, random(_internvl_shapes(decoder, text["vocab_size"]), 2)


def _internvl_shapes(decoder, vocabulary):
    width, ffn = INTERN_VIT["hidden_size"], INTERN_VIT["intermediate_size"]
    shapes = {
        "vision_model.embeddings.class_embedding": (1, 1, width),
        "vision_model.embeddings.position_embedding": (1, 17, width),
        "vision_model.embeddings.patch_embedding.weight": (width, 3, 14, 14),
        "vision_model.embeddings.patch_embedding.bias": (width,),
    }
    for k in range(2):
        block = f"vision_model.encoder.layers.{k}."
        linear = {"attn.qkv": (3 * width, width), "attn.proj": (width, width)}
        linear |= {"mlp.fc1": (ffn, width), "mlp.fc2": (width, ffn), "norm1": (width,), "norm2": (width,)}
        for name, shape in linear.items():
            shapes |= {f"{block}{name}.weight": shape, f"{block}{name}.bias": shape[:1]}
        shapes |= {f"{block}ls1": (width,), f"{block}ls2": (width,)}
    projector = {"0": (4 * width,), "1": (WIDTH, 4 * width), "3": (WIDTH, WIDTH)}
    for name, shape in projector.items():
        shapes |= {f"mlp1.{name}.weight": shape, f"mlp1.{name}.bias": shape[:1]}
    language = qwen2("language_model.", heads=2, kv=2, vocabulary=vocabulary, bias=decoder == "qwen2")
    if decoder == "phi3":
        language = {
            name: shape for name, shape in language.items() if ".layers." not in name or "norm" in name
        }
        for k in range(2):
            block = f"language_model.model.layers.{k}."
            language |= {
                f"{block}self_attn.qkv_proj.weight": (3 * WIDTH, WIDTH),
                f"{block}self_attn.o_proj.weight": (WIDTH, WIDTH),
                f"{block}mlp.gate_up_proj.weight": (2 * FFN, WIDTH),
                f"{block}mlp.down_proj.weight": (WIDTH, FFN),
            }
    return shapes | language | {"language_model.lm_head.weight": (vocabulary, WIDTH)}


def mof(dtype=torch.float32, vocabulary=32000):
    """The keys of MMVP's fork of LLaVA-1.5, made small; the towers are not in it."""
    config = {
        "_name_or_path": "./checkpoints/llava-v1.5-13b-dino",
        "architectures": ["LlavaLlamaForCausalLM"],
        "bos_token_id": 1,
        "eos_token_id": 2,
        "freeze_mm_mlp_adapter": False,
        "hidden_act": "silu",
        "hidden_size": WIDTH,
        "image_aspect_ratio": "pad",
        "image_grid_pinpoints": None,
        "initializer_range": 0.02,
        "intermediate_size": FFN,
        "max_length": 4096,
        "max_position_embeddings": 4096,
        "mm_hidden_size": 48,
        "mm_projector_type": "mlp2x_gelu",
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "mm_vision_select_feature": "patch",
        "mm_vision_select_layer": -2,
        "mm_vision_tower": "openai/clip-vit-large-patch14-336",
        "model_type": "llava",
        "num_attention_heads": 3,
        "num_hidden_layers": 2,
        "num_key_value_heads": 3,
        "pad_token_id": 0,
        "pretraining_tp": 1,
        "rms_norm_eps": 1e-05,
        "rope_scaling": None,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.31.0",
        "tune_mm_mlp_adapter": False,
        "use_cache": True,
        "use_mm_proj": True,
        "vocab_size": vocabulary,
    }
    shapes = qwen2("", kv=3, vocabulary=vocabulary, bias=False) | {"lm_head.weight": (vocabulary, WIDTH)}
    shapes |= adapter("model.mm_projector", 48) | adapter("model.dino_mm_projector", 64)
    return config, random(shapes, 3, dtype)
