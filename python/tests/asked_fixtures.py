"""Fixtures of the tests of asked metrics: models beside transformers, tasks beside their items as the reference has them."""

import functools

import numpy as np
import pytest
from PIL import Image

import tiny_vlms
import unisim
from asked_reference import Asked, talkative
from tiny_tasks import pictures, written

NAMES = ("interleave", "llava", "onevision", "internvl")  # whose Jinja text renders a conversation


def shots_of(count, seed=0):
    """PIL pictures, and what the library is given."""
    made = tiny_vlms.pictures(count, seed)
    return made, [np.asarray(picture) for picture in made]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(reference, Vlm) by name, made when first asked for."""

    @functools.cache
    def made(name):
        folder = tmp_path_factory.mktemp("asked") / name
        return talkative(tiny_vlms.make(name, folder)), unisim.Vlm.load(folder)

    return made


@pytest.fixture
def tasks(tmp_path):
    """make(name, items of names, ...): a Task, and its items as the reference has them."""
    data = tmp_path / "data"
    names = [f"{k}.png" for k in range(24)]
    pictures(data, names)

    def opened(it):
        return Image.open(data / it) if isinstance(it, str) else it[0]

    def make(name, question, made, attribute=""):
        more = {"attribute": attribute} if attribute else {}
        task = written(tmp_path / name, data, question, made, **more)
        asked = []
        for item in made:
            operands = [o.get("image") or (o["text"],) for o in item["candidates"]]
            reference = item.get("reference")
            reference = reference and opened(reference.get("image") or (reference["text"],))
            asked.append(
                Asked(attribute or question, [opened(o) for o in operands], reference, item["label"])
            )
        return unisim.Task.load(task, data), asked

    return make
