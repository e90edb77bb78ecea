"""Small tasks for tests: pictures of random colours in a folder, items in words."""

import numpy as np
from PIL import Image

from unisim.task_folder import TaskContent, write_task


def pictures(folder, names, size=(48, 40)):
    """A PNG for each name, each of other smooth colours."""
    for seed, name in enumerate(names):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 5, 3), np.uint8)
        Image.fromarray(coarse).resize(size).save(file)
    return folder


def written(out, data, task, items, **more):
    """The task folder `out` of these items; an operand is written "a.png" or ("text",)."""
    content = TaskContent(name="tiny", task=task, origin="none", rule="tiny", version=1, items=items, **more)
    write_task(content, data, out)
    return out


def pair(reference, first, second, label, **more):
    """An item of two candidates."""
    item = {"reference": operand(reference)} if reference is not None else {}
    return {**item, "candidates": [operand(first), operand(second)], "label": label, **more}


def operand(it):
    return {"image": it} if isinstance(it, str) else {"text": it[0]}
