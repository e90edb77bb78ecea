"""write_task: a task is written whole, and only what docs/tasks.md describes."""

import hashlib
import json

import pytest

from data_set_folders import images, picture_bytes, texts, whole_folder
from unisim.task_folder import TaskContent, inside, write_task

ITEM = {"reference": {"image": "r.png"}, "candidates": images("sub/a.png", "é.png"), "label": 1, "group": "x"}


@pytest.fixture
def pictures(tmp_path):
    """A folder of three pictures."""
    data = tmp_path / "data"
    (data / "sub").mkdir(parents=True)
    for path in ("r.png", "sub/a.png", "é.png"):
        (data / path).write_bytes(picture_bytes(path))
    return data


def content(*items, task="img-2afc", **more):
    given = {"name": "n", "origin": "o", "rule": "r", "version": 1, **more}
    return TaskContent(task=task, items=list(items), **given)


def digest(data):
    return hashlib.sha256(data).hexdigest()


def test_the_folder_is_byte_for_byte_as_the_page_has_it(pictures, tmp_path):
    found = write_task(content(ITEM, seed=7, options={"b": 1, "a": "x"}), pictures, tmp_path / "task")
    written = whole_folder(tmp_path / "task")
    assert set(written) == {"task.json", "items.jsonl", "files.jsonl"}
    items = (
        '{"reference":{"image":"r.png"},"candidates":[{"image":"sub/a.png"},{"image":"é.png"}],"label":1,"group":"x"}\n'
    ).encode()
    rows = [(path, picture_bytes(path)) for path in ("r.png", "sub/a.png", "é.png")]
    files = "".join(
        f'{{"path":"{path}","sha256":"{digest(file)}","bytes":{len(file)},"made":false}}\n'
        for path, file in rows
    ).encode()
    assert written["items.jsonl"] == items and written["files.jsonl"] == files
    assert written["task.json"] == (
        '{"format":"unisim-task-1","name":"n","task":"img-2afc","measure":"accuracy","tie":"first","origin":"o",'
        '"rule":{"name":"r","version":1,"seed":7,"options":{"a":"x","b":1}},'
        f'"items":{{"count":1,"sha256":"{digest(items)}"}},"files":{{"count":3,"sha256":"{digest(files)}"}}}}\n'
    ).encode()  # fmt: skip
    assert found == digest(written["task.json"])


def test_made_pictures_lie_in_the_task_and_are_marked(pictures, tmp_path):
    item = {"candidates": images("r.png", "cut/1.png"), "label": 0}
    made = {"cut/1.png": b"png"}
    write_task(content(item, task="paa", attribute="brightness", made=made), pictures, tmp_path / "task")
    written = whole_folder(tmp_path / "task")
    assert written["made/cut/1.png"] == b"png"
    rows = [json.loads(line) for line in written["files.jsonl"].splitlines()]
    assert [(row["path"], row["made"], row["bytes"]) for row in rows] == [
        ("cut/1.png", True, 3),
        ("r.png", False, len(picture_bytes("r.png"))),
    ]
    assert json.loads(written["task.json"])["attribute"] == "brightness"


def test_a_database_is_a_file_of_its_own(pictures, tmp_path):
    item = {"reference": {"image": "r.png"}, "easy": [1], "hard": [], "junk": [0]}
    write_task(content(item, task="ir", database=["sub/a.png", "é.png"]), pictures, tmp_path / "task")
    written = whole_folder(tmp_path / "task")
    assert written["database.jsonl"].decode() == '{"image":"sub/a.png"}\n{"image":"é.png"}\n'
    manifest = json.loads(written["task.json"])
    assert manifest["measure"] == "map" and manifest["files"]["count"] == 3
    assert manifest["database"] == {"count": 2, "sha256": digest(written["database.jsonl"])}


def test_a_task_is_replaced_whole(pictures, tmp_path):
    out = tmp_path / "task"
    made = {"old.png": b"png"}
    write_task(
        content(
            {"candidates": images("r.png", "old.png"), "label": 0}, task="iqa", attribute="quality", made=made
        ),
        pictures,
        out,
    )
    assert (out / "made" / "old.png").exists()
    write_task(content(ITEM), pictures, out)
    assert set(whole_folder(out)) == {"task.json", "items.jsonl", "files.jsonl"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "task"]


def test_what_is_no_task_is_never_replaced(pictures, tmp_path):
    out = tmp_path / "photos"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    for there in (out, out / "mine.txt"):
        with pytest.raises(ValueError, match="is no task"):
            write_task(content(ITEM), pictures, there)
    assert whole_folder(out) == {"mine.txt": b"mine"}


def test_when_a_picture_is_missing_the_old_task_stays_and_nothing_is_left(pictures, tmp_path):
    out = tmp_path / "task"
    write_task(content(ITEM), pictures, out)
    before = whole_folder(out)
    (pictures / "é.png").unlink()
    with pytest.raises(FileNotFoundError) as raised:
        write_task(content(ITEM), pictures, out)
    assert raised.value.filename.endswith("é.png")
    assert whole_folder(out) == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "task"]


def changed(**more):
    return {**ITEM, **more}


@pytest.mark.parametrize(
    "item, words",
    [
        (changed(label=2), "label 2"),
        (changed(label=-1), "label -1"),
        (changed(label=None), "label None"),
        ({k: v for k, v in ITEM.items() if k != "label"}, "label None"),
        (changed(candidates=images("r.png")), "['image']"),
        (changed(candidates=[*images("r.png"), *texts("t")]), "['image', 'text']"),
        (changed(reference={"text": "t"}), "'text'"),
        ({k: v for k, v in ITEM.items() if k != "reference"}, "None"),
        (changed(vote=1.5), "vote 1.5"),
        (changed(vote=float("nan")), "vote nan"),
        (changed(reference={"image": "../r.png"}), "leads out"),
        (changed(reference={"image": "sub/../../r.png"}), "leads out"),
        (changed(reference={"image": "/etc/hostname"}), "leads out"),
        (changed(reference={"image": "sub//a.png"}), "empty part"),
        (changed(reference={"image": ""}), "empty part"),
        (changed(reference={"image": "..\\r.png"}), "leads out"),
        (changed(reference={"image": "r.png\0"}), "leads out"),
    ],
)
def test_an_item_that_is_not_as_its_task_needs_it_is_refused(pictures, tmp_path, item, words):
    with pytest.raises(ValueError) as raised:
        write_task(content(item), pictures, tmp_path / "task")
    assert words in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize(
    "bad, words",
    [
        (content(task="2afc"), "'2afc'"),
        (content(), "leaves no item"),
        (content(ITEM, attribute="quality"), "attribute 'quality'"),
        (content(ITEM, task="iqa"), "attribute None"),
        (content(ITEM, task="iqa", attribute="beauty"), "'beauty'"),
        (
            content(
                {"reference": {"image": "r.png"}, "easy": [2], "hard": [], "junk": []},
                task="ir",
                database=["r.png"],
            ),
            "outside",
        ),
        (
            content(
                {"reference": {"image": "r.png"}, "easy": [-1], "hard": [], "junk": []},
                task="ir",
                database=["r.png"],
            ),
            "outside",
        ),
        (content(ITEM, made={"../x.png": b""}), "leads out"),
    ],
)
def test_content_that_is_no_task_is_refused(pictures, tmp_path, bad, words):
    with pytest.raises(ValueError) as raised:
        write_task(bad, pictures, tmp_path / "task")
    assert words in str(raised.value)


def test_progress_counts_the_pictures(pictures, tmp_path):
    seen = []
    write_task(
        content(ITEM, ITEM),
        pictures,
        tmp_path / "task",
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 3), (2, 3), (3, 3)]


@pytest.mark.parametrize("path", ["a.png", "a/b.png", "..a/b..", "a b.png", ".hidden"])
def test_a_path_that_stays_inside_is_given_back(path):
    assert inside(path) == path
