"""Photographs for the demo, and variants of them whose right order is known."""

import io
import random
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

SIDE = 256
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"}

# What scikit-image and scikit-learn ship and a person would call a photograph.
SKIMAGE = [
    "astronaut.png", "brick.png", "chelsea.png", "coffee.png", "grass.png", "gravel.png", "motorcycle_left.png",
    "motorcycle_right.png", "retina.jpg", "rocket.jpg",
]  # fmt: skip
SKLEARN = ["china.jpg", "flower.jpg"]


def shipped_photos():
    """The photographs of the two packages, as files."""
    import skimage
    import sklearn.datasets

    data = Path(skimage.__file__).parent / "data"
    images = Path(sklearn.datasets.__file__).parent / "images"
    return [data / name for name in SKIMAGE] + [images / name for name in SKLEARN]


def photos_in(folder):
    """The pictures of a folder and its sub-folders, by name."""
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())


def squared(file):
    """The picture as RGB, its middle square, 256 x 256."""
    with Image.open(file) as image:
        return ImageOps.fit(
            ImageOps.exif_transpose(image).convert("RGB"), (SIDE, SIDE), Image.Resampling.BICUBIC
        )


def jpeg(image, quality):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def noisy(image, sigma):
    noise = np.random.default_rng(7).normal(0, sigma, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).round().astype(np.uint8))


def cropped(image, share):
    """The middle of the picture, that share of its width, enlarged to the old size."""
    edge = round(SIDE * (1 - share) / 2)
    return image.crop((edge, edge, SIDE - edge, SIDE - edge)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)


# kind -> (weak, strong): a person sees at a glance which of the two is closer to the picture.
DISTORTIONS = {
    "JPEG": (lambda image: jpeg(image, 50), lambda image: jpeg(image, 5)),
    "blur": (
        lambda image: image.filter(ImageFilter.GaussianBlur(1)),
        lambda image: image.filter(ImageFilter.GaussianBlur(5)),
    ),
    "noise": (lambda image: noisy(image, 8), lambda image: noisy(image, 50)),
    "crop": (lambda image: cropped(image, 0.95), lambda image: cropped(image, 0.6)),
}


def write_variants(files, folder):
    """Writes each picture squared, and its variants, as PNG; says which files could not be read.

    Returns
    -------
    pictures : list of dict
        "original", "mirror", and "JPEG weak", "JPEG strong", ... to the file of each.
    failures : list of (file, error)
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures, failures, taken = [], [], set()
    for file in files:
        try:
            image = squared(file)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            failures.append((file, str(error)))
            continue
        stem = next(name for name in stems(file) if name not in taken)
        taken.add(stem)
        made = {"original": image, "mirror": ImageOps.mirror(image)}
        for kind, (weak, strong) in DISTORTIONS.items():
            made[f"{kind} weak"], made[f"{kind} strong"] = weak(image), strong(image)
        picture = {}
        for name, variant in made.items():
            picture[name] = folder / (f"{stem}.png" if name == "original" else f"{stem} ({name}).png")
            variant.save(picture[name])
        pictures.append(picture)
    return pictures, failures


def stems(file):
    """The file's stem, then the same numbered, for names that two folders share."""
    yield file.stem
    number = 2
    while True:
        yield f"{file.stem}-{number}"
        number += 1


def strangers(pictures, seed=3):
    """For each picture, another one: what no metric should call closer than its own variants."""
    order = list(range(len(pictures)))
    random.Random(seed).shuffle(order)
    following = dict(zip(order, order[1:] + order[:1], strict=True))
    return [pictures[following[k]]["original"] for k in range(len(pictures))]
