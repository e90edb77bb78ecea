"""DISTS (Ding, Ma, Wang, Simoncelli 2022): the authors' alpha and beta, put beside the VGG16 of an lpips-vgg folder.

Both metrics rest on the same torchvision VGG16; the authors publish alpha and beta alone, weights.pt.
"""

import json
from pathlib import Path
from typing import Any

from unisim.weights import torch_checkpoint
from unisim.weights.lpips import CHANNELS, SLICES
from unisim.weights.whole_folder import whole_folder, write_weights

DEPTHS = [3, *CHANNELS["vgg"]]


def convert(weights: Path, base: Path, out: Path) -> dict[str, int]:
    """Make the folder `out` of a dists metric (docs/metrics.md).

    Parameters
    ----------
    weights
        The authors' weights.pt: alpha and beta, [1, 1475, 1, 1] each.
    base
        An lpips-vgg folder, of whose tensors the convolutions are taken and the heads left.
    out
        A folder that does not exist; made whole or not at all.

    Returns
    -------
    dict
        "tensors": how many were written.

    Raises
    ------
    ValueError
        If weights.pt is no file of plain tensors, the base no lpips-vgg folder; if a tensor is missing, left over, of
        another shape or not finite, by its name; if `out` is there.
    OSError
        If a file cannot be read or written.
    """
    convolutions = _convolutions(base)
    with whole_folder(out) as room:
        read, made = room / "read.safetensors", room / "made"
        torch_checkpoint.read(weights, read)
        tensors = convolutions | _learned(read, weights)
        (made / "config.json").write_text(json.dumps(config(), indent=1) + "\n", encoding="utf-8")
        write_weights(tensors, made)
    return {"tensors": len(tensors)}


def config() -> dict[str, Any]:
    """config.json of the folder; mean and std are ImageNet's."""
    return {
        "model_type": "dists",
        "net": "vgg",
        "channels": DEPTHS,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "weight_dtype": "fp32",
    }


def _convolutions(base: Path) -> dict[str, Any]:
    import safetensors

    said = json.loads((base / "config.json").read_text(encoding="utf-8"))
    if not isinstance(said, dict) or (said.get("model_type"), said.get("net")) != ("lpips", "vgg"):
        raise ValueError(f"[convert] {base}: no folder of lpips-vgg, whose VGG16 is needed")
    file = base / "model.safetensors"
    try:
        with safetensors.safe_open(file, framework="numpy") as weights:
            places = [f"net.slice{k}.{place}" for k, slots in enumerate(SLICES["vgg"], 1) for place in slots]
            names = [f"{place}.{part}" for place in places for part in ("weight", "bias")]
            return {name: weights.get_tensor(name).astype("float32") for name in names}
    except (safetensors.SafetensorError, TypeError) as error:
        raise ValueError(f"[convert] {file}: {error}") from error


def _learned(read: Path, weights: Path) -> dict[str, Any]:
    import numpy
    import safetensors.numpy

    found = safetensors.numpy.load_file(read)
    shape = (1, sum(DEPTHS), 1, 1)
    for name in sorted({"alpha", "beta"} | found.keys()):
        if name not in found:
            what = f"is missing, expected {list(shape)}"
        elif name not in ("alpha", "beta"):
            what = f"{list(found[name].shape)} is not of DISTS"
        elif found[name].shape != shape or found[name].dtype.kind != "f":
            what = f"is {found[name].dtype} {list(found[name].shape)}, expected floating point {list(shape)}"
        elif not numpy.isfinite(found[name]).all():
            what = "holds NaN or infinity"
        else:
            continue
        raise ValueError(f"[convert] {weights}: tensor {name} {what}")
    return {name: array.reshape(-1).astype("float32") for name, array in found.items()}
