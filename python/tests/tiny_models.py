"""Model folders with random weights, made in milliseconds, for tests of what surrounds a model."""

import json

import numpy as np
import safetensors.numpy

from unisim.weights import dinov2

WIDTH, LAYERS, HEADS, PATCH, GRID = 16, 2, 2, 14, 2


def dinov2_folder(folder, seed):
    """A DINOv2 of two layers and width 16 on pictures of 28 x 28."""
    shapes = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.mask_token": (1, WIDTH),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.position_embeddings": (1, 1 + GRID * GRID, WIDTH),
        "layernorm.bias": (WIDTH,),
        "layernorm.weight": (WIDTH,),
    }
    for layer in range(LAYERS):
        linear = {f"attention.attention.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
        linear |= {
            "attention.output.dense": (WIDTH, WIDTH),
            "mlp.fc1": (4 * WIDTH, WIDTH),
            "mlp.fc2": (WIDTH, 4 * WIDTH),
        }
        for name, shape in linear.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
        for name in (
            "norm1.weight",
            "norm1.bias",
            "norm2.weight",
            "norm2.bias",
            "layer_scale1.lambda1",
            "layer_scale2.lambda1",
        ):
            shapes[f"encoder.layer.{layer}.{name}"] = (WIDTH,)
    generator = np.random.default_rng(seed)
    tensors = {name: generator.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}
    config = dinov2.config() | {
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "image_size": GRID * PATCH,
    }
    size = {"size": {"shortest_edge": 32}, "crop_size": {"height": GRID * PATCH, "width": GRID * PATCH}}
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(safetensors.numpy.save(tensors))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "preprocessor_config.json").write_text(json.dumps(dinov2.preprocessor() | size))
    return folder
