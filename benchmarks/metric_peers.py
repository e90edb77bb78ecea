"""Metrics beside the packages that define them."""

import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from peers import Row, photograph

import unisim


def lpips():
    folder = lpips_folder()
    if not folder.exists():
        print(f"lpips: skipped, no {folder}; run: unisim get lpips-alex")
        return
    ours_alone = unisim.metric(f"lpips-alex:{folder}")
    module = package_with_our_weights(folder)
    pictures = [np.array(photograph(256, 256, seed)) for seed in range(9)]
    reference, others = pictures[0], pictures[1:]

    def another_reference():
        """Differs by a grey level from the last: a reference that comes again would not be computed again."""
        reference[0, 0, 0] ^= 1
        return reference

    def theirs(candidates):
        x, y = as_input([another_reference()]), as_input(candidates)
        with torch.inference_mode():
            return module(x.expand(len(candidates), -1, -1, -1), y).flatten().tolist()

    for count in (1, len(others)):
        candidates = others[:count]

        def ours(candidates=candidates):
            return ours_alone.ranking(another_reference(), candidates).scores

        def difference(candidates=candidates):
            mine = ours_alone.ranking(reference, candidates).scores
            with torch.inference_mode():
                x = as_input([reference]).expand(len(candidates), -1, -1, -1)
                peer = module(x, as_input(candidates)).flatten().tolist()
            worst = max(abs(a - b) / b for a, b in zip(mine, peer, strict=True))
            return f"largest relative difference {worst:.1e}"

        work = f"AlexNet 256x256, one against {count}"
        yield Row("lpips", work, "lpips", ours, lambda candidates=candidates: theirs(candidates), difference)


def as_input(pictures):
    """[n, 3, H, W] in [-1, 1], as the package's own example makes it."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1


def package_with_our_weights(folder):
    """The lpips package ships its heads alone: its AlexNet gets our folder's weights."""
    import lpips as package
    from safetensors.torch import load_file

    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = package.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    tensors = load_file(folder / "model.safetensors")
    module.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=False)
    return module


def lpips_folder():
    """Where `unisim get lpips-alex` puts its weights."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unisim"
    return Path(os.environ.get("UNISIM_CACHE") or cache) / "models" / "lpips-alex"


def ssim():
    from skimage.metrics import structural_similarity

    metric = unisim.metric("ssim")
    x, y = (np.array(photograph(768, 512, seed)) for seed in (0, 1))

    def ours():
        return metric(x, y)

    def theirs():
        grey = [picture @ np.array([0.299, 0.587, 0.114]) for picture in (x, y)]
        weights = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
        return structural_similarity(*grey, data_range=255, **weights)

    def difference():
        return f"difference {abs(ours() - theirs()):.1e}"

    yield Row("ssim", "768x512", "scikit-image", ours, theirs, difference)


GROUPS = {"lpips": lpips, "ssim": ssim}
