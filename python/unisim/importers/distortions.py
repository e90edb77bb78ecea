"""Known distortions of one's own pictures: which of two distorted copies is nearer to the picture itself?

No person judged these pairs: the lower level of one distortion is right by construction, as in KADID's rule in
UniSim-Bench (arXiv 2412.10594). What a metric gets wrong here it has no excuse for.
"""

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy
from PIL import Image, ImageEnhance, ImageFilter

from unisim import sources
from unisim.importers.data_set import Options, whole_number
from unisim.plain_png import png
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

LEVELS = 5
OPTIONS: Options = {
    "side": ("256", "the longer side of the pictures, in pixels; larger ones are shrunk (Lanczos)"),
    "pairs": ("2", "pairs of levels for each picture and distortion, 1 to 10"),
}


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Every picture of the folder, five distortions of it at five levels, and pairs of levels of each."""
    side = whole_number("side", options["side"], 32, 4096)
    pairs = whole_number("pairs", options["pairs"], 1, LEVELS * (LEVELS - 1) // 2)
    found = sources.images_of(str(data))
    items: list[Item] = []
    made: dict[str, bytes] = {}
    for name, stem in zip(found.names, _stems(found.names), strict=True):
        pixels = _shrunk(found.path(name), side)
        _add(made, f"{stem}.png", numpy.asarray(pixels))
        for kind, distort in DISTORTIONS.items():
            for level in range(LEVELS):
                _add(made, _path(stem, kind, level), distort(pixels, level, Seeded(seed, name, kind, level)))
            items += _items(made, stem, kind, pairs, Seeded(seed, name, kind))
    return TaskContent(
        name="distortions", task="img-2afc", origin="made of one's own pictures", rule="distortions", version=1,
        seed=seed, options={"side": side, "pairs": pairs}, items=items, made=made,
    )  # fmt: skip


def _add(made: dict[str, bytes], path: str, pixels: numpy.ndarray) -> None:
    if path in made:
        raise ValueError(
            f"[import] two pictures of the folder would both be made as {path}: rename one of them"
        )
    made[path] = png(pixels)


def _items(made: dict[str, bytes], stem: str, kind: str, pairs: int, random: Seeded) -> list[Item]:
    levels = [(low, high) for low in range(LEVELS) for high in range(low + 1, LEVELS)]
    items = []
    for low, high in random.sample(levels, pairs):
        label = random.below(2)
        shown = (low, high) if label == 0 else (high, low)
        paths = [_path(stem, kind, level) for level in shown]
        if made[paths[0]] == made[paths[1]]:  # a grey picture has no colour to lose: nobody could tell
            continue
        candidates = [image(path) for path in paths]
        items.append(
            {"reference": image(f"{stem}.png"), "candidates": candidates, "label": label, "group": kind}
        )
    return items


def _path(stem: str, kind: str, level: int) -> str:
    return f"{stem}/{kind}-{level + 1}.png"


def _stems(names: list[str]) -> list[str]:
    """A name for each picture's folder: its path without the ending; the ending stays where two differ by it alone."""
    short = [re.sub(r"\.[^./]*$", "", name) for name in names]
    stems = [name if short.count(stem) > 1 else stem for name, stem in zip(names, short, strict=True)]
    return ["/".join(part for part in stem.split("/") if part) for stem in stems]


def _shrunk(file: Path, side: int) -> Image.Image:
    with Image.open(file) as opened:
        picture = opened.convert("RGB")
    longer = max(picture.size)
    if longer <= side:
        return picture
    width, height = (max(1, round(edge * side / longer)) for edge in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _jpeg(picture: Image.Image, level: int, random: Seeded) -> numpy.ndarray:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=(60, 40, 25, 12, 5)[level])
    with Image.open(written) as again:
        return numpy.asarray(again.convert("RGB"))


def _blur(picture: Image.Image, level: int, random: Seeded) -> numpy.ndarray:
    return numpy.asarray(picture.filter(ImageFilter.GaussianBlur((0.7, 1.2, 2.0, 3.5, 6.0)[level])))


def _noise(picture: Image.Image, level: int, random: Seeded) -> numpy.ndarray:
    pixels = numpy.asarray(picture)
    noise = random.normal(pixels.size).reshape(pixels.shape) * (5, 10, 18, 32, 56)[level]
    return numpy.asarray(numpy.clip(numpy.floor(pixels + noise + 0.5), 0, 255), numpy.uint8)


def _shift(picture: Image.Image, level: int, random: Seeded) -> numpy.ndarray:
    """Moved to the right and down; what comes in at the other side repeats the edge."""
    by = (1, 2, 4, 8, 16)[level]
    pixels = numpy.asarray(picture)
    rows, columns = (numpy.maximum(numpy.arange(edge) - by, 0) for edge in pixels.shape[:2])
    return numpy.asarray(pixels[rows][:, columns])


def _color(picture: Image.Image, level: int, random: Seeded) -> numpy.ndarray:
    return numpy.asarray(ImageEnhance.Color(picture).enhance((0.8, 0.6, 0.4, 0.2, 0.0)[level]))


DISTORTIONS: dict[str, Callable[[Image.Image, int, Seeded], numpy.ndarray]] = {
    "jpeg": _jpeg,
    "blur": _blur,
    "noise": _noise,
    "shift": _shift,
    "color": _color,
}
