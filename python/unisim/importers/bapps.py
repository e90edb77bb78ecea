"""BAPPS: which of two distorted patches is nearer to the reference? Zhang et al. 2018 (arXiv 1801.03924).

Layout and rule as UniSim-Bench's loader reads them (arXiv 2412.10594): val/SUBSET/{ref,p0,p1,judge}/NAME. No real files
were seen. The published rule takes the first files of each subset alone; ratio=1 and a high limit take all.
"""

import math
import re
from fractions import Fraction
from pathlib import Path
from tokenize import TokenError

import numpy

from unisim.importers.data_set import Options, whole_number
from unisim.importers.reading import home, names_in, number, picture
from unisim.seeded import Seeded
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "https://github.com/richzhang/PerceptualSimilarity"
OPTIONS: Options = {
    "ratio": ("0.15", "of each subset, the share of its sorted files that is used, and one file more"),
    "limit": ("5000", "the most items, drawn of what is used"),
}
SUBSETS = ("cnn", "color", "deblur", "frameinterp", "superres", "traditional")
MOST_BYTES = 4096  # of a judgement, which is one number and its header


def make(data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Patches in random order. The vote is the share that prefers p1; label: the vote rounded, a half to even."""
    if not re.fullmatch(r"0\.\d{1,9}|1|1\.0+", options["ratio"]) or Fraction(options["ratio"]) == 0:
        raise ValueError(
            f"[import] option ratio is {options['ratio']!r}, expected a number above 0, at most 1"
        )
    ratio = Fraction(options["ratio"])
    limit = whole_number("limit", options["limit"], 1, 10_000_000)
    places = ("", "bapps/", "dataset/2afc/", "bapps/dataset/2afc/", "2afc/", "bapps/2afc/")
    place = home(data, places, "val")
    used = []
    for subset in SUBSETS:
        stems = [name[:-4] for name in names_in(data / place / "val" / subset / "judge", (".npy",))]
        used += [(subset, stem) for stem in stems[: math.floor(ratio * len(stems)) + 1]]
    items = [
        _item(data, f"{place}val/{subset}", stem)
        for subset, stem in Seeded("bapps", seed).shuffled(used)[:limit]
    ]
    return TaskContent(
        name="bapps", task="img-2afc", origin=ORIGIN, rule="bapps", version=1, seed=seed,
        options={"ratio": float(ratio), "limit": limit}, items=items,
    )  # fmt: skip


def _item(data: Path, folder: str, stem: str) -> Item:
    judge = data / folder / "judge" / f"{stem}.npy"
    vote = _vote(judge)
    reference, first, second = (
        image(picture(data, f"{folder}/{part}/{stem}.png", str(judge))) for part in ("ref", "p0", "p1")
    )
    return {
        "reference": reference,
        "candidates": [first, second],
        "label": round(vote),
        "group": folder.rsplit("/", 1)[1],
        "vote": vote,
    }


def _vote(file: Path) -> float:
    if file.stat().st_size > MOST_BYTES:  # before numpy believes what the header says of the size
        raise ValueError(f"[import] {file}: found {file.stat().st_size} bytes, expected one number")
    try:
        found = numpy.load(file, allow_pickle=False)
    except (ValueError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise ValueError(f"[import] {file}: found no readable .npy file: {error}") from None
    if not isinstance(found, numpy.ndarray) or found.dtype.kind != "f" or found.size != 1:
        kind = f"{found.dtype} {list(found.shape)}" if isinstance(found, numpy.ndarray) else "an archive"
        raise ValueError(f"[import] {file}: found {kind}, expected one number of float32")
    return number(float(found.ravel()[0]), str(file), 0, 1)
