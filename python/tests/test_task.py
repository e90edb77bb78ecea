"""Task folders: written the same twice, read back, and refused where they are not what they say."""

import json
import os
from pathlib import Path

import pytest

import unisim
from tiny_tasks import operand, pair, pictures, written
from unisim.task_folder import TaskContent, write_task

NAMES = ["a.png", "b/c.png", "é.png"]


@pytest.fixture
def data(tmp_path):
    return pictures(tmp_path / "data", NAMES)


@pytest.fixture
def folder(tmp_path, data):
    items = [
        pair("a.png", "b/c.png", "é.png", 1, group="x", vote=0.75),
        pair("é.png", "a.png", "a.png", 0, group="y"),
    ]
    return written(tmp_path / "task", data, "img-2afc", items)


def test_a_task_is_read_as_it_was_written(folder, data):
    task = unisim.Task.load(folder, data)
    assert (task.name, task.question, task.measure, len(task)) == ("tiny", "img-2afc", "accuracy", 2)
    first = task[0]
    assert (first.reference, first.candidates, first.label) == ("a.png", ["b/c.png", "é.png"], 1)
    assert (first.group, first.vote, task[-1].vote) == ("x", 0.75, None)
    assert task.file_of("é.png") == str(data / "é.png")
    with pytest.raises(IndexError):
        task[2]


def test_the_bytes_are_the_same_twice_and_a_task_is_replaced_whole(tmp_path, folder, data):
    items = [
        pair("a.png", "b/c.png", "é.png", 1, group="x", vote=0.75),
        pair("é.png", "a.png", "a.png", 0, group="y"),
    ]
    again = written(tmp_path / "again", data, "img-2afc", items)
    for name in ("task.json", "items.jsonl", "files.jsonl"):
        assert (folder / name).read_bytes() == (again / name).read_bytes()
    written(again, data, "img-2afc", items[:1])
    assert len(unisim.Task.load(again)) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again", "data", "task"]


def test_the_manifest_by_hand(folder):
    manifest = json.loads((folder / "task.json").read_bytes())
    assert manifest["items"]["count"] == 2 and manifest["files"]["count"] == 3
    assert (folder / "items.jsonl").read_text().splitlines()[1] == (
        '{"reference":{"image":"é.png"},"candidates":[{"image":"a.png"},{"image":"a.png"}],"label":0,"group":"y"}'
    )
    assert [json.loads(line)["path"] for line in (folder / "files.jsonl").read_text().splitlines()] == NAMES


def test_what_a_writer_refuses(tmp_path, data):
    good = pair("a.png", "a.png", "é.png", 1)
    for items, said in [
        ([{**good, "label": 2}], "label 2"),
        ([{**good, "vote": 1.5}], "vote 1.5"),
        ([{**good, "candidates": good["candidates"][:1]}], "item 0 of img-2afc"),
        ([{**good, "reference": operand(("a text",))}], "item 0 of img-2afc"),
        ([pair("../a.png", "a.png", "é.png", 0)], "leads out"),
        ([pair("/a.png", "a.png", "é.png", 0)], "leads out"),
        ([pair("b//c.png", "a.png", "é.png", 0)], "empty part"),
        ([pair("./a.png", "a.png", "é.png", 0)], "leads out"),
        ([], "leaves no item"),
    ]:
        with pytest.raises(ValueError, match=said):
            written(tmp_path / "task", data, "img-2afc", items)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "diary.txt").write_text("dear diary")
    with pytest.raises(ValueError, match="is no task"):
        written(tmp_path / "mine", data, "img-2afc", [good])
    with pytest.raises(FileNotFoundError):
        written(tmp_path / "task", data, "img-2afc", [pair("no.png", "a.png", "é.png", 0)])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "mine"]


def reseal(folder, **tables):
    """Replaces tables, and makes the manifest say that they are right: what a hostile author would do."""
    import hashlib

    manifest = json.loads((folder / "task.json").read_bytes())
    for name, content in tables.items():
        (folder / f"{name}.jsonl").write_text(content, "utf-8")
        sealed = hashlib.sha256(content.encode()).hexdigest()
        manifest[name] = {"count": content.count("\n"), "sha256": sealed}
    (folder / "task.json").write_text(json.dumps(manifest))


ITEM = '{"reference":{"image":"a.png"},"candidates":[{"image":"a.png"},{"image":"é.png"}],"label":0}\n'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (ITEM.replace('"label":0', '"label":2'), r"items.jsonl:2.*label"),
        (ITEM.replace('"label":0', '"label":0,"votes":1'), r"items.jsonl:2.*votes"),
        (ITEM.replace('"label":0', '"label":0,"vote":2'), r"items.jsonl:2.*vote"),
        (ITEM.replace('{"image":"a.png"},{"image"', '{"text":"a.png"},{"image"'), r"items.jsonl:2"),
        (ITEM.replace("a.png", "../a.png", 1), r"items.jsonl:2.*inside"),
        (ITEM.replace("a.png", "/etc/passwd", 1), r"items.jsonl:2.*inside"),
        (ITEM.replace("a.png", "zz.png", 1), r"items.jsonl:2.*zz.png, which files.jsonl does not"),
        (ITEM.replace("}\n", "\n"), r"items.jsonl:2"),
        (ITEM.replace('"label":0', '"label":1.5'), r"items.jsonl:2.*label"),
    ],
)
def test_a_line_that_is_no_item_is_named(folder, line, said):
    reseal(folder, items=ITEM + line)
    with pytest.raises(
        (ValueError, NotImplementedError), match=said
    ):  # the latter for a field we do not know
        unisim.Task.load(folder)


def test_tables_that_are_not_those_of_the_manifest(folder):
    (folder / "items.jsonl").write_text(ITEM)
    with pytest.raises(ValueError, match=r"items.jsonl.*its SHA-256 is"):
        unisim.Task.load(folder)
    (folder / "items.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        unisim.Task.load(folder)


def test_a_file_row_may_not_lead_out_either(folder):
    sha = "0" * 64
    reseal(folder, files=f'{{"path":"../x.png","sha256":"{sha}","bytes":1,"made":true}}\n')
    with pytest.raises(ValueError, match=r"files.jsonl:1.*inside"):
        unisim.Task.load(folder)


def test_a_link_in_the_task_may_not_lead_out(tmp_path, data):
    secret = pictures(tmp_path / "elsewhere", ["s.png"]) / "s.png"
    content = TaskContent(
        name="t", task="img-2afc", origin="", rule="t", version=1, items=[pair("m.png", "m.png", "m.png", 0)],
        made={"m.png": secret.read_bytes()},
    )  # fmt: skip
    write_task(content, data, tmp_path / "task")
    task = unisim.Task.load(tmp_path / "task")
    assert Path(task.file_of("m.png")).read_bytes() == secret.read_bytes()
    (tmp_path / "task" / "made" / "m.png").unlink()
    os.symlink(secret, tmp_path / "task" / "made" / "m.png")
    with pytest.raises(ValueError, match="leads out of the task"):
        task.file_of("m.png")


def test_the_folder_of_made_pictures_may_be_no_link(tmp_path, data):
    content = TaskContent(
        name="t", task="img-2afc", origin="", rule="t", version=1, items=[pair("m.png", "m.png", "m.png", 0)],
        made={"m.png": (data / "a.png").read_bytes()},
    )  # fmt: skip
    write_task(content, data, tmp_path / "task")
    (tmp_path / "task" / "made").rename(tmp_path / "away")
    os.symlink(tmp_path / "away", tmp_path / "task" / "made")
    with pytest.raises(ValueError, match="leads out of the task"):
        unisim.Task.load(tmp_path / "task").file_of("m.png")
    os.rename(tmp_path / "task" / "items.jsonl", tmp_path / "items.jsonl")
    os.symlink(tmp_path / "items.jsonl", tmp_path / "task" / "items.jsonl")
    with pytest.raises(ValueError, match="items.jsonl.*leads out of the task"):
        unisim.Task.load(tmp_path / "task")


def test_pictures_of_the_data_set_need_its_folder(folder):
    with pytest.raises(ValueError, match=r"\(--data\)"):
        unisim.Task.load(folder).file_of("a.png")
