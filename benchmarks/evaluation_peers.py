"""What asking a task adds to embedding its pictures: evaluate beside embed_files."""

import shutil
import tempfile
from pathlib import Path

from peers import Row, clip_folder, photograph

import unisim
from unisim.seeded import Seeded
from unisim.task_folder import TaskContent, image, write_task

PICTURES, TRIPLETS = 64, 2000


def evaluate():
    with tempfile.TemporaryDirectory() as place:
        place = Path(place)
        names = [f"{k:02}.jpg" for k in range(PICTURES)]
        (place / "pictures").mkdir()
        for seed, name in enumerate(names):
            photograph(320, 240, seed).save(place / "pictures" / name, quality=90)
        task = unisim.Task.load(triplets(place, names), place / "pictures")
        encoder = unisim.Encoder.load(clip_folder(place / "model"))
        metric = unisim.by_cosine(encoder)
        files = [place / "pictures" / name for name in names]

        def theirs():
            return encoder.embed_files(files)[0]

        def difference():
            """Every item's scores beside the cosines of the rows that the other side makes."""
            rows = theirs().double()
            worst = 0.0
            for k, item in enumerate(unisim.evaluate(task, metric).items):
                at = [names.index(name) for name in (task[k].reference, *task[k].candidates)]
                wanted = (rows[at[1:]] @ rows[at[0]]).tolist()
                worst = max(worst, *(abs(a - b) for a, b in zip(item.scores, wanted, strict=True)))
            return f"largest difference of a score {worst:.1e}"

        def stored():
            shutil.rmtree(place / "store", ignore_errors=True)
            return unisim.evaluate(task, metric, store=place / "store")

        work = f"{TRIPLETS} triplets of {PICTURES} pictures, ViT-B/32"
        peer = "embed_files of the pictures"
        yield Row("evaluate", work, peer, lambda: unisim.evaluate(task, metric), theirs, difference, rounds=5)
        yield Row("evaluate", f"{work}, into an empty store", peer, stored, theirs, lambda: "", rounds=5)


def triplets(place, names):
    random = Seeded("triplets")
    items = []
    for _ in range(TRIPLETS):
        reference, first, second = random.sample(names, 3)
        candidates = [image(first), image(second)]
        items.append({"reference": image(reference), "candidates": candidates, "label": random.below(2)})
    content = TaskContent(
        name="triplets", task="img-2afc", origin="made", rule="made", version=1, items=items
    )
    write_task(content, place / "pictures", place / "task")
    return place / "task"


GROUPS = {"evaluate": evaluate}
