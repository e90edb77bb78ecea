"""The tensors of a safetensors file held to the shapes that a model has: what does not fit is refused by its name."""

from pathlib import Path
from typing import Any

Shapes = dict[str, tuple[int, ...]]


def shapes_of(weights: Any) -> Shapes:
    """Of every tensor of a file that safe_open opened."""
    names = weights.keys()
    return {name: tuple(weights.get_slice(name).get_shape()) for name in names}


def check_shapes(found: Shapes, expected: Shapes, source: Path) -> None:
    """Raises ValueError for the first tensor, by name, that is missing, left over or of another shape."""
    for name in sorted(found.keys() | expected.keys()):
        if name not in found:
            what = f"is missing, expected {list(expected[name])}"
        elif name not in expected:
            what = f"{list(found[name])} is not of this model"
        elif found[name] != expected[name]:
            what = f"is {list(found[name])}, expected {list(expected[name])}"
        else:
            continue
        raise ValueError(f"[convert] {source}: tensor {name} {what}")


def numbers_of(weights: Any, name: str, source: Path) -> Any:
    """A tensor of an open file in float64; ValueError if it is not of floating point, or not finite."""
    import numpy

    array = weights.get_tensor(name)
    if array.dtype.kind != "f":
        raise ValueError(f"[convert] {source}: tensor {name} is {array.dtype}, expected floating point")
    if not numpy.isfinite(array).all():
        raise ValueError(f"[convert] {source}: tensor {name} holds NaN or infinity")
    return array.astype("float64")
