"""The decoders of vision-language models as their original folders describe them: read, and written as transformers'
text_config with nothing left to a default; and the shapes of their tensors.
"""

import math
from dataclasses import dataclass
from typing import Any

from unisim.weights.checked_tensors import Shapes
from unisim.weights.json_keys import Keys


@dataclass(frozen=True)
class Defaults:
    """What transformers' class has where a folder leaves a key out."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    max_position_embeddings: int
    rms_norm_eps: float
    kv_heads: int  # 0: as many as heads


KINDS = {
    "llama": Defaults(32000, 4096, 11008, 2048, 1e-6, 0),
    "qwen2": Defaults(151936, 4096, 22016, 32768, 1e-6, 32),
    "phi3": Defaults(32064, 3072, 8192, 4096, 1e-5, 0),
}


def read_decoder(keys: Keys, kind: str) -> dict[str, Any]:
    """text_config of the folder to be made, all but tie_word_embeddings, which each layout decides.

    `keys` are the whole config.json or an object in it: who calls finishes them.
    """
    absent = KINDS[kind]
    config: dict[str, Any] = {"model_type": kind}
    for key in ("vocab_size", "hidden_size", "intermediate_size", "max_position_embeddings"):
        config[key] = keys.integer(key, getattr(absent, key))
    config["num_hidden_layers"] = keys.integer("num_hidden_layers", 32)
    heads = config["num_attention_heads"] = keys.integer("num_attention_heads", 32)
    # Written out as null it means "as many as heads" in every class, whatever the default.
    null = "num_key_value_heads" in keys.values or absent.kv_heads == 0
    config["num_key_value_heads"] = keys.integer("num_key_value_heads", heads if null else absent.kv_heads)
    if config["hidden_size"] % heads or heads % config["num_key_value_heads"]:
        raise ValueError(
            f"[convert] {keys.file}: {heads} heads do not divide the width {config['hidden_size']}, or the "
            f"{config['num_key_value_heads']} heads of keys do not divide them"
        )
    width = config["hidden_size"] // heads
    keys.only("head_dim", width)
    config["rms_norm_eps"] = keys.number("rms_norm_eps", absent.rms_norm_eps)
    keys.only("hidden_act", "silu")
    config["hidden_act"] = "silu"
    keys.only("attention_bias", kind == "qwen2")
    keys.only("mlp_bias", False)
    config |= _window(keys, kind)
    config["rope_parameters"] = _rope(keys, kind, config)
    for key in ("bos_token_id", "eos_token_id", "pad_token_id"):
        config[key] = keys.any(key)
    keys.ignore(("embd_pdrop", "resid_pdrop", "pretraining_tp", "_flash_attn_2_enabled", "unk_token_id"))
    return config


def _window(keys: Keys, kind: str) -> dict[str, Any]:
    if kind == "phi3":
        return {"sliding_window": keys.integer("sliding_window", None)}
    if kind == "llama":
        keys.only("sliding_window")
        return {}
    keys.only("use_sliding_window", False)
    layers = keys.any("layer_types") or []
    if set(layers) - {"full_attention"}:
        raise keys.refused("layer_types", "full_attention alone")
    keys.ignore(("sliding_window", "max_window_layers"))  # of use_sliding_window
    return {"use_sliding_window": False}


def _rope(keys: Keys, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    """rope_parameters of either spelling, as transformers 5 writes them."""
    keys.only("partial_rotary_factor", 1.0)
    theta = keys.number("rope_theta", 10000.0)
    if kind == "phi3":
        original = keys.integer("original_max_position_embeddings", 4096)
        config["original_max_position_embeddings"] = original
    if keys.has("rope_parameters") and keys.has("rope_scaling"):
        raise keys.refused("rope_scaling", "nothing beside rope_parameters")
    spelling = "rope_parameters" if keys.has("rope_parameters") else "rope_scaling"
    if not keys.any(spelling):
        return {"rope_type": "default", "rope_theta": theta}
    rope = keys.object(spelling)
    theta = rope.number("rope_theta", theta)
    rope.only("partial_rotary_factor", 1.0)
    key = "rope_type" if rope.has("rope_type") else "type"
    name = rope.string(key, "default")
    rope.ignore(("rope_type", "type"))
    made: dict[str, Any] = {"rope_type": name, "rope_theta": theta}
    if kind == "phi3" and name in ("longrope", "su", "yarn"):
        made |= _long_rope(rope, config, name)
    elif kind != "phi3" and name in ("linear", "dynamic"):
        made["factor"] = rope.number("factor")
    elif name != "default":
        raise rope.refused(key, "longrope (older: su, yarn)" if kind == "phi3" else "linear or dynamic")
    rope.finish()
    return made


def _long_rope(rope: Keys, config: dict[str, Any], name: str) -> dict[str, Any]:
    """`su` is the older name of longrope; `yarn` was, in Phi-3's own code, longrope with another scale."""
    original = config["original_max_position_embeddings"]
    rope.only("original_max_position_embeddings", original)
    half = config["hidden_size"] // config["num_attention_heads"] // 2
    made: dict[str, Any] = {"rope_type": "longrope", "original_max_position_embeddings": original}
    for key in ("short_factor", "long_factor"):
        values = rope.any(key)
        plain = isinstance(values, list) and all(
            type(one) in (int, float) and 0 < one < math.inf for one in values
        )
        if not plain or len(values) != half:
            raise rope.refused(key, f"{half} numbers above 0")
        made[key] = values
    for key in ("factor", "attention_factor"):
        if rope.has(key):
            made[key] = rope.number(key)
    longer = config["max_position_embeddings"] / original
    if name == "yarn" and "attention_factor" not in made:
        made["attention_factor"] = 0.1 * math.log(longer) + 1 if longer > 1 else 1.0
    return made


def decoder_shapes(config: dict[str, Any]) -> Shapes:
    """Of the tensors of transformers' class for causal language models, the head among them even if it is tied."""
    width, rows = config["hidden_size"], config["vocab_size"]
    shapes: Shapes = {
        "model.embed_tokens.weight": (rows, width),
        "model.norm.weight": (width,),
        "lm_head.weight": (rows, width),
    }
    for k in range(config["num_hidden_layers"]):
        shapes |= {f"model.layers.{k}.{name}": shape for name, shape in _block(config).items()}
    return shapes


def _block(config: dict[str, Any]) -> Shapes:
    width, hidden = config["hidden_size"], config["intermediate_size"]
    keys = width // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes: Shapes = {
        "input_layernorm.weight": (width,),
        "post_attention_layernorm.weight": (width,),
        "self_attn.o_proj.weight": (width, width),
        "mlp.down_proj.weight": (width, hidden),
    }
    if config["model_type"] == "phi3":
        packed: Shapes = {
            "self_attn.qkv_proj.weight": (width + 2 * keys, width),
            "mlp.gate_up_proj.weight": (2 * hidden, width),
        }
        return shapes | packed
    for name, rows in (("q", width), ("k", keys), ("v", keys)):
        shapes[f"self_attn.{name}_proj.weight"] = (rows, width)
        if config["model_type"] == "qwen2":
            shapes[f"self_attn.{name}_proj.bias"] = (rows,)
    return shapes | {"mlp.gate_proj.weight": (hidden, width), "mlp.up_proj.weight": (hidden, width)}
