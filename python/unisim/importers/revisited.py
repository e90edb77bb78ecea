"""Revisited Oxford and Paris: which photographs show the same building? Radenovic et al. 2018 (arXiv 1803.11285).

Layout and rule as UniSim-Bench's loader has them (arXiv 2412.10594): gnd_NAME.pkl beside jpg/. The pickle is read as
plain data; it runs nothing. No real files were seen.
"""

from pathlib import Path
from typing import Any

import numpy

from unisim._pillow import read_rgb
from unisim.importers import plain_pickle
from unisim.importers.data_set import Options, one_of
from unisim.importers.reading import home, number, picture, shown, words
from unisim.plain_png import png
from unisim.task_folder import Item, TaskContent, image

ORIGIN = "http://cmp.felk.cvut.cz/revisitop"
OPTIONS: Options = {
    "query": (
        "whole",
        "whole: the whole query picture, as UniSim-Bench has it; crop: its box, as the data set's authors do",
    )
}
MOST_PIXELS = 200_000_000


def make(name: str, data: Path, seed: int, options: dict[str, str]) -> TaskContent:
    """Each query with its easy, hard and junk places in the database."""
    query = one_of("query", options["query"], ("whole", "crop"))
    places = ("", f"{name}/", f"revisitop/{name}/", f"retrieval/revisitop/{name}/")
    file = f"gnd_{name}.pkl"
    place = home(data, places, file)
    where = str(data / place / file)
    truth = plain_pickle.read((data / place / file).read_bytes(), where)
    if not isinstance(truth, dict):
        raise ValueError(f"[import] {where}: found {shown(truth)}, expected a dict")
    database = _paths(data, place, where, truth, "imlist")
    queries = _paths(data, place, where, truth, "qimlist")
    answers = truth.get("gnd")
    if not isinstance(answers, list) or len(answers) != len(queries):
        raise ValueError(f"[import] {where}, gnd: found {shown(answers)}, expected a list of {len(queries)}")
    items: list[Item] = []
    made: dict[str, bytes] = {}
    for k, (path, answer) in enumerate(zip(queries, answers, strict=True)):
        at = f"{where}, gnd[{k}]"
        if not isinstance(answer, dict):
            raise ValueError(f"[import] {at}: found {shown(answer)}, expected a dict")
        if query == "crop":
            made[f"query/{k:03}.png"] = _cropped(data / path, answer.get("bbx"), at)
            path = f"query/{k:03}.png"
        places_of = {
            kind: _indices(answer.get(kind), len(database), f"{at}, {kind}")
            for kind in ("easy", "hard", "junk")
        }
        items.append({"reference": image(path), **places_of})
    return TaskContent(
        name=name, task="ir", origin=ORIGIN, rule=name, version=1, seed=seed, options={"query": query}, items=items,
        database=database, made=made,
    )  # fmt: skip


def _paths(data: Path, place: str, where: str, truth: dict[str, Any], key: str) -> list[str]:
    stems = truth.get(key)
    if not isinstance(stems, list) or not stems or not all(isinstance(stem, str) for stem in stems):
        raise ValueError(f"[import] {where}, {key}: found {shown(stems)}, expected a list of texts")
    return [
        picture(data, f"{place}jpg/{words(stem, f'{where}, {key}[{k}]')}.jpg", f"{where}, {key}[{k}]")
        for k, stem in enumerate(stems)
    ]


def _indices(given: object, count: int, where: str) -> list[int]:
    """Places in the database, as a list or an array."""
    if isinstance(given, numpy.ndarray) and given.ndim == 1 and (given.dtype.kind in "iu" or given.size == 0):
        given = [int(k) for k in given]
    if not isinstance(given, list):
        raise ValueError(f"[import] {where}: found {shown(given)}, expected a list of places in the database")
    found: list[int] = []
    for one in given:
        place = (
            int(one) if isinstance(one, numpy.ndarray) and one.ndim == 0 and one.dtype.kind in "iu" else one
        )
        if type(place) is not int or not 0 <= place < count:
            raise ValueError(
                f"[import] {where}: found {shown(place)}, expected a place from 0 to {count - 1}"
            )
        found.append(place)
    if len(set(found)) != len(found):
        raise ValueError(f"[import] {where}: a place is there twice")
    return found


def _cropped(file: Path, given: object, where: str) -> bytes:
    box = given.tolist() if isinstance(given, numpy.ndarray) else given
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"[import] {where}, bbx: found {shown(given)}, expected four numbers")
    pixels = read_rgb(str(file), str(file), False, MOST_PIXELS)
    if pixels is None:
        raise ValueError(f"[import] {file}: found no picture that Pillow reads")
    left, top, right, bottom = (round(number(edge, f"{where}, bbx")) for edge in box)
    height, width = pixels.shape[:2]
    left, top, right, bottom = max(left, 0), max(top, 0), min(right, width), min(bottom, height)
    if left >= right or top >= bottom:
        raise ValueError(f"[import] {where}, bbx: found {shown(box)}, which is outside of {file.name}")
    return png(pixels[top:bottom, left:right])
