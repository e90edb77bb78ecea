"""SICE: scenes photographed at several exposures, for brightness. Cai, Gu and Zhang 2018.

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): Dataset_Part1 and Dataset_Part2 with a folder for
each scene; no person judged them. The original takes scenes and files as the file system lists them; here both are
sorted by name. The shrunk pictures are the task's own. No real files were seen.
"""

import re
from fractions import Fraction
from pathlib import Path

import numpy
from numpy.typing import NDArray
from PIL import Image

from unisim._pillow import read_rgb
from unisim.importers.data_set import Options
from unisim.importers.reading import PICTURES, home, names_in
from unisim.plain_png import png
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://github.com/csjcai/SICE"
OPTIONS: Options = {"share": ("0.1", "of all scenes, sorted by name, the share that is used: the first ones")}
PARTS = ("Dataset_Part1", "Dataset_Part2")
NO_SCENE = "Label"  # the well-exposed pictures that are made of the others
MOST_PIXELS = 200_000_000


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """All pairs of a scene's pictures whose brightness differs; the brighter one is right."""
    if not re.fullmatch(r"0\.\d{1,9}|1|1\.0+", options["share"]):
        raise ValueError(f"[import] option share is {options['share']!r}, expected a number from 0 to 1")
    share = Fraction(options["share"])
    place = home(data, ("", "sice/"), PARTS[0])
    scenes = [
        f"{part}/{scene}"
        for part in PARTS
        if part == PARTS[0] or (data / place / part).exists()
        for scene in names_in(data / place / part)
        if scene != NO_SCENE
    ]
    items: list[Item] = []
    made: dict[str, bytes] = {}
    for scene in scenes[: max(1, int(share * len(scenes)))]:
        found = []
        for name in names_in(data / place / scene, PICTURES):
            brightness, shrunk = _measured(data / place / scene / name)
            made[f"{scene}/{name}.png"] = png(shrunk)
            found.append((f"{scene}/{name}.png", brightness))
        items += [
            {"candidates": [image(first), image(second)], "label": 0 if brightness > other else 1}
            for k, (first, brightness) in enumerate(found)
            for second, other in found[k + 1 :]
            if brightness != other
        ]
    shown = {operand["image"] for item in items for operand in item["candidates"]}
    return TaskContent(
        name="sice-pairs-h", task="paa", attribute="brightness", origin=ORIGIN, rule="sice-pairs-h", version=1,
        seed=seed, options={"share": float(share), "order": "scenes and files sorted by name"}, items=items,
        made={path: content for path, content in made.items() if path in shown},
    )  # fmt: skip


def _measured(file: Path) -> tuple[int, NDArray[numpy.uint8]]:
    """The brightness of the picture (the mean of L, cut to a whole number), and its pixels at a fifth of the size."""
    pixels = read_rgb(str(file), str(file), False, MOST_PIXELS)
    if pixels is None:
        raise ValueError(f"[import] {file}: found no picture that Pillow reads")
    picture = Image.fromarray(pixels)
    light = numpy.asarray(picture.convert("L"))
    size = max(1, picture.width // 5), max(1, picture.height // 5)
    shrunk = picture.resize(size, Image.Resampling.LANCZOS)
    return int(light.sum(dtype=numpy.int64)) // light.size, numpy.asarray(shrunk)
