"""Configurations, tokenizers and processors of the small folders of tiny_vlms.py, and their weights."""

import json

import tokenizers
import torch
import transformers
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.got_ocr2.image_processing_pil_got_ocr2 import GotOcr2ImageProcessorPil
from transformers.models.llava_onevision.image_processing_pil_llava_onevision import (
    LlavaOnevisionImageProcessorPil,
)
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

from conftest import test_data

MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
PATCH, CLIP_SIDE, SIGLIP_SIDE, TILE = 14, 42, 44, 56  # 9 patches; 9, two pixels left over; 16, 4 rows a tile
PHI3 = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>"]
PHI3 += ["<|placeholder4|>", "<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>"]
INTERNVL = ["<img>", "</img>", "<IMG_CONTEXT>"]


# ---- weights -----------------------------------------------------------------------------------------------------


def randomize(model, seed):
    """Every parameter moves the output. The head is so large that a few tokens share the probability."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            draw = torch.randn(p.shape, generator=generator, dtype=torch.float32)
            if any(part in name for part in ("lambda", "layer_scale")) or (
                p.ndim == 1 and name.endswith("weight")
            ):
                p.copy_(0.5 + torch.rand(p.shape, generator=generator))
            elif p.ndim == 1 and "newline" not in name:
                p.copy_(0.3 * draw)
            elif p.ndim == 2 and not any(part in name for part in ("embed", "token", "pos", "head")):
                p.copy_(draw * (1.5 / p.shape[1] ** 0.5))
            elif p.ndim == 4:
                p.copy_(draw * (1.5 / p[0].numel() ** 0.5))
            else:
                p.copy_(0.6 * draw)
    return model.eval()


# ---- configurations ------------------------------------------------------------------------------------------------


def clip_config():
    return transformers.CLIPVisionConfig(
        hidden_size=48, intermediate_size=80, num_hidden_layers=4, num_attention_heads=3,
        image_size=CLIP_SIDE, patch_size=PATCH, projection_dim=32,
    )  # fmt: skip


def siglip_config():
    return transformers.SiglipVisionConfig(
        hidden_size=48, intermediate_size=72, num_hidden_layers=3, num_attention_heads=4,
        image_size=SIGLIP_SIDE, patch_size=PATCH, vision_use_head=False,
    )  # fmt: skip


def dinov2_config():
    # Positions learned for another size than pictures have, as published ones are.
    return transformers.Dinov2Config(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, image_size=56, patch_size=PATCH, mlp_ratio=2,
    )  # fmt: skip


def internvl_vision_config():
    return transformers.InternVLVisionConfig(
        hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=3,
        image_size=TILE, patch_size=PATCH, attention_bias=True,
    )  # fmt: skip


def llama_config(vocabulary=32064):
    return transformers.LlamaConfig(
        vocab_size=vocabulary, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=6,
        num_key_value_heads=3, rms_norm_eps=1e-5, bos_token_id=1, eos_token_id=2, max_position_embeddings=2048,
        pad_token_id=None,
    )  # fmt: skip


def qwen2_config(vocabulary, tied):
    return transformers.Qwen2Config(
        vocab_size=vocabulary, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=3,
        num_key_value_heads=1 if tied else 3, rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=tied, max_position_embeddings=4096, bos_token_id=None, eos_token_id=151645,
    )  # fmt: skip


def phi3_config(vocabulary):
    half = 12
    rotary = {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "short_factor": [1.0 + 0.05 * i for i in range(half)],
        "long_factor": [1.1 + 0.9 * i for i in range(half)],
        "original_max_position_embeddings": 48,
    }
    return transformers.Phi3Config(
        vocab_size=vocabulary, hidden_size=48, intermediate_size=96, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=2048, original_max_position_embeddings=48,
        rope_parameters=rotary, eos_token_id=[32000, 32007], pad_token_id=32000, bos_token_id=1,
    )  # fmt: skip


# ---- tokenizers ----------------------------------------------------------------------------------------------------


def tokenizer(kind):
    """A real tokenizer with the tokens that the family adds, and its configuration."""
    source = test_data(f"tokenizers/{'llama2' if kind in ('llama', 'phi3') else 'qwen3'}")
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": kind == "llama",
        "model_max_length": 4096,
    }
    tokenizer = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json"))
    if kind == "phi3":
        named = json.loads(tokenizer.to_str())
        named["post_processor"] = None
        tokenizer = tokenizers.Tokenizer.from_str(json.dumps(named))
        swallow = ("<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
        tokenizer.add_special_tokens(
            [tokenizers.AddedToken(t, normalized=False, special=True, rstrip=t in swallow) for t in PHI3]
        )
    plain = {
        "llama": ["<image>", "<pad>"],
        "qwen": ["<image>", "<video>"],
        "internvl": INTERNVL + ["<video>"],
    }
    added = plain.get(kind, INTERNVL)
    tokenizer.add_special_tokens([tokenizers.AddedToken(t, normalized=False, special=True) for t in added])
    ends = {"llama": "</s>", "phi3": "<|end|>"}
    config |= {"eos_token": ends.get(kind, "<|im_end|>"), "pad_token": ends.get(kind, "<|endoftext|>")}
    config |= {"bos_token": "<s>", "unk_token": "<unk>"} if kind in ("llama", "phi3") else {}
    if kind in ("internvl", "phi3"):
        names = {"start": "<img>", "end": "</img>", "context": "<IMG_CONTEXT>"}
        config["extra_special_tokens"] = {f"{name}_image_token": token for name, token in names.items()}
        config["extra_special_tokens"]["video_token"] = (
            "<video>" if kind == "internvl" else "<|placeholder1|>"
        )
    return tokenizer, config


def write(folder, name, value):
    (folder / name).write_text(json.dumps(value, indent=1))


def write_tokenizer(folder, tokenizer, config):
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    write(folder, "tokenizer_config.json", config)
    return transformers.AutoTokenizer.from_pretrained(folder)


def rows_of_table(tokenizer):
    """More rows than tokens: padding, as real files have it."""
    return (tokenizer.get_vocab_size() + 31) // 32 * 32 + 32


# ---- processors ----------------------------------------------------------------------------------------------------


def clip_processor(**more):
    size = {"size": {"shortest_edge": CLIP_SIDE}, "crop_size": {"height": CLIP_SIDE, "width": CLIP_SIDE}}
    return CLIPImageProcessorPil(**size, image_mean=MEAN, image_std=STD, resample=3, **more)


def siglip_processor():
    half = [0.5, 0.5, 0.5]
    return SiglipImageProcessorPil(
        size={"height": SIGLIP_SIDE, "width": SIGLIP_SIDE}, image_mean=half, image_std=half, resample=3
    )


def onevision_processor():
    half = [0.5, 0.5, 0.5]
    side = {"height": SIGLIP_SIDE, "width": SIGLIP_SIDE}
    return LlavaOnevisionImageProcessorPil(
        size=side, image_mean=half, image_std=half, image_grid_pinpoints=grids()
    )


def grids():
    """OneVision's, for tiles of this size: 1 to 6 tiles on each side."""
    return [[SIGLIP_SIDE * h, SIGLIP_SIDE * w] for h in range(1, 7) for w in range(1, 7)]


def internvl_processor(most):
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    return GotOcr2ImageProcessorPil(
        size={"height": TILE, "width": TILE}, image_mean=mean, image_std=std, max_patches=most
    )
