"""A folder in the layout of llava-interleave-qwen with seeded random weights, at its true size or at one for tests."""

import json
from dataclasses import dataclass

import torch

MARKS = ("<image>", "<video>")


@dataclass(frozen=True)
class Size:
    """What differs from the folder that is published as llava-interleave-qwen-0.5b-hf."""

    vision: dict
    text: dict

    @property
    def tokens_of_picture(self):
        return (self.vision["image_size"] // self.vision["patch_size"]) ** 2


# SigLIP-so400m without its last block, and Qwen2-0.5B: depth as it is, since a cut one flatters skipped work.
FULL = Size(
    vision={
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "num_hidden_layers": 26,
        "num_attention_heads": 16,
        "image_size": 384,
        "patch_size": 14,
    },
    text={
        "vocab_size": 151936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
)
TINY = Size(
    vision=FULL.vision
    | {"hidden_size": 48, "intermediate_size": 72, "num_hidden_layers": 2, "num_attention_heads": 4}
    | {"image_size": 112},
    text=FULL.text
    | {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 3}
    | {"num_key_value_heads": 1},
)


def write_folder(folder, size, tokenizer_file):
    """Half the bytes of float32 on the disk, as checkpoints are published; both sides read it into what they compute in."""
    from transformers import LlavaForConditionalGeneration
    from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(size, write_tokenizer(folder, tokenizer_file))
    with torch.device("meta"):
        model = LlavaForConditionalGeneration(config)
    model = model.to(torch.bfloat16).to_empty(device="cpu")
    model.tie_weights()
    randomize(model)
    model.generation_config.eos_token_id = config.text_config.eos_token_id
    model.save_pretrained(folder)
    half, side = [0.5, 0.5, 0.5], size.vision["image_size"]
    processor = SiglipImageProcessorPil(
        size={"height": side, "width": side}, image_mean=half, image_std=half, resample=3
    )
    processor.save_pretrained(folder)
    return processor


def config_of(size, tokenizer):
    from transformers import LlavaConfig, Qwen2Config, SiglipVisionConfig

    text = Qwen2Config(
        **size.text,
        max_position_embeddings=32768,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.token_to_id("<|im_end|>"),
    )
    return LlavaConfig(
        vision_config=SiglipVisionConfig(**size.vision, vision_use_head=False),
        text_config=text,
        image_token_index=tokenizer.token_to_id("<image>"),
        image_seq_length=size.tokens_of_picture,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
    )


def write_tokenizer(folder, file):
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(file))
    tokenizer.add_special_tokens(
        [tokenizers.AddedToken(mark, normalized=False, special=True) for mark in MARKS]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "add_bos_token": False, "model_max_length": 32768}
    said |= {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(said, indent=1))
    return tokenizer


@torch.no_grad()
def randomize(model):
    """Every product keeps the size of what it is given, so that pictures and words reach the last block; the head spreads
    the logits by a few, so that two sides that differ are seen to."""
    generator = torch.Generator().manual_seed(0)
    for name, p in model.named_parameters():
        if p.ndim == 1:
            p.normal_(1.0 if name.endswith("weight") else 0.0, 0.1, generator=generator)
        elif "embed" in name and "patch" not in name:
            p.normal_(0.0, 0.08, generator=generator)
        else:
            p.normal_(0.0, p[0].numel() ** -0.5, generator=generator)
