"""UniSim's fine-tuned encoders (arXiv 2412.10594): a CLIP model with LoRA in its image tower, made a plain CLIP folder.

The released checkpoint holds the whole model under the names that `peft` gives: each of six linear layers a block has
its weight W as `base_layer` and the pair A [rank, in], B [out, rank] beside it. What the model computes with is
W + (alpha / rank) B A, so that the merged folder gives the same numbers with no LoRA left.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

from unisim.weights import torch_checkpoint
from unisim.weights.checked_tensors import Shapes, check_shapes, numbers_of, shapes_of
from unisim.weights.whole_folder import whole_folder, write_weights

RANK, ALPHA = 16, 32
TARGETS = re.compile(
    r"vision_model\.encoder\.layers\.\d+\.(self_attn\.[kvq]_proj|self_attn\.out_proj|mlp\.fc[12])"
)

TOWER, WRAPPED = "vision_model.", "vision_model.base_model.model."

# What makes a folder of the weights, if the base has it.
BESIDE = (
    "config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
)


def convert(checkpoint: Path, base: Path, out: Path) -> dict[str, int]:
    """Make the Hugging Face folder `out` of a released checkpoint and the model that it was tuned from.

    Parameters
    ----------
    checkpoint
        As torch.save wrote it: a state dict, or one under "state_dict"; names may have "module." in them.
    base
        Hugging Face folder of the CLIP model before tuning: config.json, preprocessing and tokenizer are copied from
        it, and so is logit_scale, which the checkpoint does not have.
    out
        A folder that does not exist; made whole or not at all.

    Returns
    -------
    dict
        "tensors": how many were written; "merged": how many of them have a LoRA merged in.

    Raises
    ------
    ValueError
        If the checkpoint is no file of plain tensors; if the base is no CLIP folder; if a tensor is missing, left over,
        of another shape or not finite, by its name; if `out` is there.
    OSError
        If a file cannot be read or written.
    """
    shapes, logit_scale = _base(base)
    with whole_folder(out) as room:
        read, made = room / "read.safetensors", room / "made"
        torch_checkpoint.read(checkpoint, read)
        tensors = _merged(read, shapes, checkpoint)
        tensors["logit_scale"] = logit_scale
        _copy(base, made)
        write_weights(tensors, made)
    return {"tensors": len(tensors), "merged": sum(len(_places(name)) == 3 for name in shapes)}


def _places(name: str) -> list[str]:
    """Where a tensor of the plain model stands in the checkpoint: one name, or W, A and B; a bias has no pair."""
    wrapped = WRAPPED + name.removeprefix(TOWER) if name.startswith(TOWER) else name
    layer, _, part = wrapped.rpartition(".")
    if TARGETS.fullmatch(name.rpartition(".")[0]) is None:
        return [wrapped]
    if part != "weight":
        return [f"{layer}.base_layer.{part}"]
    return [f"{layer}.{one}.weight" for one in ("base_layer", "lora_A.default", "lora_B.default")]


def _base(base: Path) -> tuple[Shapes, Any]:
    """Shapes of the base's tensors but logit_scale, and logit_scale itself, float32."""
    import safetensors

    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "clip":
        raise ValueError(f"[convert] {base / 'config.json'}: model_type is {kind!r}, expected 'clip'")
    if not any((base / name).is_file() for name in ("preprocessor_config.json", "processor_config.json")):
        raise ValueError(
            f"[convert] {base}: no preprocessor_config.json, which says how pictures are prepared"
        )
    shapes: Shapes = {}
    logit_scale = None
    for file in _weight_files(base):
        try:
            with safetensors.safe_open(file, framework="numpy") as weights:
                names = weights.keys()
                for name in names:
                    shapes[name] = tuple(weights.get_slice(name).get_shape())
                if "logit_scale" in names:
                    logit_scale = weights.get_tensor("logit_scale").astype("float32")
        except (safetensors.SafetensorError, TypeError) as error:
            raise ValueError(f"[convert] {file}: {error}") from error
    if logit_scale is None:
        raise ValueError(f"[convert] {base}: tensor logit_scale is missing")
    del shapes["logit_scale"]
    return {name: shape for name, shape in shapes.items() if not name.endswith(".position_ids")}, logit_scale


def _weight_files(base: Path) -> list[Path]:
    """model.safetensors, or the shards that its index names: plain names of files beside it."""
    index = base / "model.safetensors.index.json"
    if not index.is_file():
        return [base / "model.safetensors"]
    names = set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values())
    for name in names:
        if not isinstance(name, str) or Path(name).name != name:
            raise ValueError(f"[convert] {index}: a shard is named {name!r}, expected a file beside it")
    return [base / name for name in sorted(names)]


def _expected(shapes: Shapes) -> Shapes:
    """Shapes of the checkpoint's tensors, by its own names."""
    expected: Shapes = {}
    for name, shape in shapes.items():
        places = _places(name)
        expected[places[0]] = shape
        if len(places) == 3:
            expected[places[1]] = (RANK, shape[1])
            expected[places[2]] = (shape[0], RANK)
    return expected


def _merged(read: Path, shapes: Shapes, checkpoint: Path) -> dict[str, Any]:
    """The plain model's tensors, float32; the products are computed in float64 and rounded once."""
    import safetensors

    with safetensors.safe_open(read, framework="numpy") as weights:
        # Old versions of transformers saved position_ids, the numbers from 0, which say nothing.
        found = {
            name: shape for name, shape in shapes_of(weights).items() if not name.endswith(".position_ids")
        }
        check_shapes(found, _expected(shapes), checkpoint)
        tensors = {}
        for name in shapes:
            array, *lora = (numbers_of(weights, place, checkpoint) for place in _places(name))
            if lora:
                a, b = lora
                array += (ALPHA / RANK) * (b @ a)
            tensors[name] = array.astype("float32")
    return tensors


def _copy(base: Path, made: Path) -> None:
    for name in BESIDE:
        if (base / name).is_file():
            shutil.copyfile(base / name, made / name)
    file = made / "config.json"
    config = json.loads(file.read_text(encoding="utf-8"))
    types = {key: "float32" for key in ("dtype", "torch_dtype") if key in config}
    file.write_text(json.dumps(config | types, indent=2) + "\n", encoding="utf-8")
