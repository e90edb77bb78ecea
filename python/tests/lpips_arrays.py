"""Small arrays under the names of LPIPS's pickles."""

import numpy as np

from unisim.weights import lpips


def lpips_arrays(net):
    """Arrays as the pickles have them, of the right shapes and small random numbers."""
    generator = np.random.default_rng(7)
    arrays, i, width = {}, 0, 3
    for places, channels in zip(lpips.SLICES[net], lpips.CHANNELS[net], strict=True):
        for _ in places:
            arrays[f"{lpips.ROOTS[net]}/Conv_{i}/kernel"] = generator.random(
                (3, 2, width, channels), np.float32
            )
            arrays[f"{lpips.ROOTS[net]}/Conv_{i}/bias"] = generator.random(channels, np.float32)
            i, width = i + 1, channels
    for k, channels in enumerate(lpips.CHANNELS[net]):
        arrays[f"NetLinLayer_{k}/Conv_0/kernel"] = generator.random((1, 1, channels, 1), np.float32)
    return arrays
