"""Pairs of photographs of odd sizes: pictures with distortions made of them, and different pictures."""

import io

import numpy as np
from PIL import Image, ImageFilter


def _jpeg(picture, quality):
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def _noise(picture, seed):
    pixels = np.asarray(picture).astype(np.float64)
    noisy = pixels + np.random.default_rng(seed).normal(0, 12, pixels.shape)
    return Image.fromarray(np.clip(np.rint(noisy), 0, 255).astype(np.uint8))


DISTORTIONS = {
    "jpeg": lambda picture: _jpeg(picture, 15),
    "blur": lambda picture: picture.filter(ImageFilter.GaussianBlur(1.7)),
    "noise": lambda picture: _noise(picture, 3),
    "mirror": lambda picture: picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "one grey level": lambda picture: picture.point(lambda level: min(255, level + 1)),
}
SIZES = ((127, 95), (160, 121), (201, 133), (99, 150))


def pairs(folder):
    """Twenty (name, x, y), uint8 [H, W, 3] of one odd size: four photographs with five partners each."""
    files = sorted(folder.glob("*.png"))[:8]
    made = []
    for k, (width, height) in enumerate(SIZES):
        with Image.open(files[k]) as whole, Image.open(files[k + 4]) as other:
            corner = (40 * k, 25 * k)
            window = (*corner, corner[0] + width, corner[1] + height)
            picture = whole.convert("RGB").crop(window)
            partners = {name: distort(picture) for name, distort in DISTORTIONS.items()}
            partners["another picture"] = other.convert("RGB").crop(window)
        del partners[list(DISTORTIONS)[k]]
        made += [
            (f"{files[k].stem} {width}x{height} {name}", np.array(picture), np.array(partner))
            for name, partner in partners.items()
        ]
    return made
