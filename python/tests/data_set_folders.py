"""Small folders of exactly the layouts that the importers read, made of tiny pictures."""

import io
import json
import random
from pathlib import Path

import pytest
from PIL import Image

from unisim.importers.catalogue import CATALOGUE
from unisim.importers.data_set import chosen
from unisim.task_folder import write_task


def picture_bytes(name, kind="PNG", size=(2, 2)):
    """A picture whose bytes depend on its name alone."""
    written = io.BytesIO()
    Image.new("RGB", size, tuple(random.Random(name).randbytes(3))).save(written, kind)
    return written.getvalue()


KINDS = {".png": "PNG", ".jpg": "JPEG", ".bmp": "BMP", ".webp": "WEBP"}


class Folder:
    """Files by path; `write` puts them on disk in the order of a shuffle."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = {}

    def pictures(self, *paths):
        self.files |= {path: picture_bytes(path, KINDS[Path(path).suffix.lower()]) for path in paths}
        return self

    def text(self, path, text):
        self.files[path] = text.encode()
        return self

    def json(self, path, value):
        return self.text(path, json.dumps(value))

    def write(self, root=None, order=0):
        root = Path(root or self.root)
        paths = sorted(self.files)
        random.Random(order).shuffle(paths)
        for path in paths:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_bytes(self.files[path])
        return root

    def content(self, name, seed=0, **options):
        """What the importer makes of the folder."""
        data_set = CATALOGUE[name]
        return data_set.make(self.write(), seed, chosen(data_set, options))

    def items(self, name, seed=0, **options):
        return self.content(name, seed, **options).items

    def refused(self, name, words, kind=ValueError, **options):
        with pytest.raises(kind) as raised:
            self.content(name, **options)
        for word in [words] if isinstance(words, str) else words:
            assert word in str(raised.value), str(raised.value)

    def assert_same_bytes(self, name, tmp_path, **options):
        """Imported twice, and once more from a copy whose files were written in another order: the same task."""
        data_set = CATALOGUE[name]
        tasks = []
        for run, (root, order) in enumerate([(self.root, 0), (self.root, 0), (tmp_path / "again", 7)]):
            data = self.write(root, order)
            content = data_set.make(data, 3, chosen(data_set, options))
            assert (content.task, content.attribute) == (data_set.task, data_set.attribute)
            assert (content.name, content.origin) == (data_set.name, data_set.origin)
            write_task(content, data, tmp_path / f"task-{run}")
            tasks.append(whole_folder(tmp_path / f"task-{run}"))
        assert tasks[0] == tasks[1] == tasks[2]
        assert {"task.json", "items.jsonl", "files.jsonl"} <= set(tasks[0])


def whole_folder(root):
    return {
        str(file.relative_to(root)): file.read_bytes() for file in Path(root).rglob("*") if file.is_file()
    }


def images(*paths):
    return [{"image": path} for path in paths]


def texts(*words):
    return [{"text": word} for word in words]
