"""The folders around vision-language models in their authors' layouts: weights in any kind of file, tokenizers, and the
towers that a conversion is given beside them.
"""

import functools
import json
import shutil

import sentencepiece
import tokenizers
import torch
import transformers
from safetensors.torch import load_file, save_file

from conftest import test_data

SIGLIP = {
    "hidden_size": 32,
    "intermediate_size": 40,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 44,
    "patch_size": 14,
}


def same_bits(folder, expected):
    """The folder has these tensors and no others."""
    made = {}
    for file in folder.glob("*.safetensors"):
        made |= load_file(file)
    assert made.keys() == expected.keys()
    for name, tensor in expected.items():
        assert made[name].dtype == tensor.dtype, name
        assert torch.equal(made[name], tensor), name


# ---- towers' folders -----------------------------------------------------------------------------------------------


def clip_folder(folder, whole=True):
    """CLIP, the whole model as OpenAI's folder has it, or the tower; and the tower's transformers model."""
    vision = {
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 3,
        "num_attention_heads": 3,
        "image_size": 42,
        "patch_size": 14,
    }
    torch.manual_seed(4)
    if whole:
        text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        model = transformers.CLIPModel(transformers.CLIPConfig(vision_config=vision, text_config=text))
    else:
        model = transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**vision))
    model.save_pretrained(folder)
    size = {"size": {"shortest_edge": 42}, "crop_size": {"height": 42, "width": 42}}
    pictures = {
        "image_processor_type": "CLIPImageProcessor",
        "do_center_crop": True,
        "do_resize": True,
    } | size
    pictures |= {"image_mean": [0.48145466, 0.4578275, 0.40821073], "resample": 3, "do_normalize": True}
    pictures |= {"image_std": [0.26862954, 0.26130258, 0.27577711]}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return model.vision_model if whole else model


def dinov2_folder(folder, width=64):
    """DINOv2 in transformers' layout; and its model."""
    torch.manual_seed(5)
    config = transformers.Dinov2Config(
        hidden_size=width, num_hidden_layers=2, num_attention_heads=width // 32, image_size=56, patch_size=14
    )
    model = transformers.Dinov2Model(config)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1 * torch.randn_like(p))
    model.save_pretrained(folder)
    return model


def dinov2_own(tensors, depth=2):
    """The tensors of a folder of transformers' under the names of facebookresearch/dinov2."""
    made = {
        "cls_token": tensors["embeddings.cls_token"],
        "mask_token": tensors["embeddings.mask_token"],
        "pos_embed": tensors["embeddings.position_embeddings"],
    }
    for part in ("weight", "bias"):
        made[f"patch_embed.proj.{part}"] = tensors[f"embeddings.patch_embeddings.projection.{part}"]
        made[f"norm.{part}"] = tensors[f"layernorm.{part}"]
        for k in range(depth):
            block = f"encoder.layer.{k}."
            qkv = [tensors[f"{block}attention.attention.{name}.{part}"] for name in ("query", "key", "value")]
            made[f"blocks.{k}.attn.qkv.{part}"] = torch.cat(qkv)
            made[f"blocks.{k}.attn.proj.{part}"] = tensors[f"{block}attention.output.dense.{part}"]
            for name in ("norm1", "norm2", "mlp.fc1", "mlp.fc2"):
                made[f"blocks.{k}.{name}.{part}"] = tensors[f"{block}{name}.{part}"]
    for k in range(depth):
        for n in (1, 2):
            made[f"blocks.{k}.ls{n}.gamma"] = tensors[f"encoder.layer.{k}.layer_scale{n}.lambda1"]
    return made


def siglip_folder(folder):
    """SigLIP's tower of three blocks, with a head; and its model."""
    torch.manual_seed(6)
    model = transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**SIGLIP))
    model.save_pretrained(folder)
    half = [0.5, 0.5, 0.5]
    pictures = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": 44, "width": 44},
        "resample": 3,
    }
    pictures |= {"image_mean": half, "image_std": half, "do_resize": True, "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(pictures))
    return model


# ---- files ---------------------------------------------------------------------------------------------------------


def save(folder, config, tensors, kind="safetensors", shards=1):
    """The folder, without a tokenizer; `kind` safetensors or bin."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    single = "model.safetensors" if kind == "safetensors" else "pytorch_model.bin"
    write = save_file if kind == "safetensors" else torch.save
    if shards == 1:
        write(tensors, folder / single)
        return folder
    names, places = sorted(tensors), {}
    stem, ending = single.split(".")
    for k in range(shards):
        part = names[k::shards]
        file = f"{stem}-{k + 1:05}-of-{shards:05}.{ending}"
        write({name: tensors[name] for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / f"{single}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


@functools.cache
def _small_qwen():
    """Qwen's tokenizer.json with the bytes alone for a vocabulary."""
    whole = json.loads((test_data("tokenizers/qwen3") / "tokenizer.json").read_text())
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    whole["model"] |= {"vocab": {token: k for k, token in enumerate(alphabet)}, "merges": []}
    names = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    whole["added_tokens"] = [{"id": 256 + k, "content": name} | flags for k, name in enumerate(names)]
    return json.dumps(whole)


def qwen_tokenizer(folder, more=()):
    """A small tokenizer.json of Qwen's kind, with more tokens."""
    config = {
        "add_bos_token": False,
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "bos_token": None,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config | {"tokenizer_class": "Qwen2Tokenizer"}))
    tokenizer = tokenizers.Tokenizer.from_str(_small_qwen())
    tokenizer.add_special_tokens([tokenizers.AddedToken(t, normalized=False, special=True) for t in more])
    tokenizer.save(str(folder / "tokenizer.json"))


def llama_tokenizer(folder):
    source = test_data("tokenizers/llama2")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(source / name, folder / name)


def sentencepiece_model(folder, words, size=400):
    """A tokenizer.model as Llama's: BPE, bytes behind it, a word mark in front."""
    text = folder / "words.txt"
    text.write_text("\n".join(f"{words} {k}" for k in range(200)))
    sentencepiece.SentencePieceTrainer.train(
        input=str(text), model_prefix=str(folder / "tokenizer"), vocab_size=size, model_type="bpe",
        byte_fallback=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, normalization_rule_name="identity",
        add_dummy_prefix=True, remove_extra_whitespaces=False, split_digits=True, minloglevel=2,
    )  # fmt: skip
    text.unlink()
    (folder / "tokenizer.vocab").unlink()
    return sentencepiece.SentencePieceProcessor(str(folder / "tokenizer.model"))


def phi3_tokenizer(folder, legacy=False):
    """tokenizer.model with Phi-3's and InternVL's added tokens, some of which take the white space behind them along."""
    words = "the system user says which pictures are similar to the reference image and answers one two three"
    pieces = sentencepiece_model(folder, words)
    names = ["<|endoftext|>", "<|assistant|>", "<|placeholder1|>", "<|placeholder2|>", "<|placeholder3|>"]
    names += ["<|placeholder4|>", "<|system|>", "<|end|>", "<|placeholder5|>", "<|placeholder6|>", "<|user|>"]
    names += ["<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>"]
    flags = {"single_word": False, "lstrip": False, "normalized": False, "special": True}
    taking = ("<|assistant|>", "<|system|>", "<|end|>", "<|user|>")
    decoder = {str(400 + k): {"content": n, "rstrip": n in taking} | flags for k, n in enumerate(names)}
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": decoder,
        "additional_special_tokens": names[11:],
        "bos_token": "<s>",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<unk>",
        "legacy": legacy,
        "model_max_length": 8192,
        "tokenizer_class": "LlamaTokenizer",
        "chat_template": "{{ messages }}",
        "auto_map": {"AutoTokenizer": ["tokenization_of_theirs.Tokenizer", None]},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return pieces
