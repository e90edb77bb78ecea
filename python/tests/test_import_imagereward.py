"""unisim import imagereward1k-pairs."""

import importlib.util
import json
import sys

import pytest

from data_set_folders import Folder

ROWS = [  # image_path, prompt_id, prompt, rank
    ("images/validation/validation_1/a.webp", "000-1", "a cat, 1", 1),
    ("images/validation/validation_2/b.webp", "000-2", "a dog", 4),
    ("images/validation/validation_1/c.webp", "000-1", "a cat, 1", 2),
    ("images/validation/validation_1/d.webp", "000-1", "a cat, 1", 5),
    ("images/validation/validation_1/e.webp", "000-3", "alone", 1),
    ("images/validation/validation_2/f.webp", "000-2", "a dog", 6),
    ("images/validation/validation_2/g.webp", "000-2", "a dog", 3),
    ("images/validation/validation_2/h.webp", "000-4", "equal", 2),
    ("images/validation/validation_2/i.webp", "000-4", "equal", 2),
]
RANK = {path[-6]: rank for path, _, _, rank in ROWS}
# Of each prompt in the table's order its first and last row; "alone" is no pair. Right: the lower rank.
PAIRS = [("a cat, 1", {"a", "d"}), ("a dog", {"b", "g"}), ("equal", {"h", "i"})]

# Drawn with a generator written apart from the library's: is the last row shown first?
IMAGEREWARD = [0, 1, 1]  # of seed 1


def jsonl(rows=ROWS):
    keys = ("image_path", "prompt_id", "prompt", "rank")
    return "".join(json.dumps(dict(zip(keys, row, strict=True), classification="x")) + "\n" for row in rows)


@pytest.fixture
def folder(tmp_path):
    made = Folder(tmp_path / "ImageRewardDB").text("metadata-validation.jsonl", jsonl())
    return made.pictures(*(row[0] for row in ROWS))


def names(item):
    return [one["image"][-6] for one in item["candidates"]]


def test_the_first_and_the_last_row_of_each_prompt_and_the_lower_rank_is_right(folder):
    items = folder.items("imagereward1k-pairs", seed=1)
    assert [(item["reference"]["text"], set(names(item))) for item in items] == PAIRS
    assert [names(item)[0] in ("d", "g", "i") for item in items] == [bool(turned) for turned in IMAGEREWARD]
    for item in items:
        first, second = names(item)
        assert item["label"] == (1 if RANK[first] > RANK[second] else 0)  # equal: the first
    assert items[0]["candidates"][names(items[0]).index("a")] == {"image": ROWS[0][0]}


def test_the_best_and_the_worst_are_an_option(folder):
    items = folder.items("imagereward1k-pairs", pair="best-worst")
    assert [set(names(item)) for item in items] == [{"a", "d"}, {"g", "f"}, {"h", "i"}]


def test_the_same_table_as_csv_gives_the_same_items(folder):
    plain = folder.items("imagereward1k-pairs")
    lines = [f'{path},{number},"{prompt}",{rank}' for path, number, prompt, rank in ROWS]
    del folder.files["metadata-validation.jsonl"]
    (folder.root / "metadata-validation.jsonl").unlink()
    folder.text("metadata-validation.csv", "\n".join(["image_path,prompt_id,prompt,rank", *lines]))
    assert folder.items("imagereward1k-pairs") == plain


def test_parquet_without_pyarrow_says_what_to_install(folder, monkeypatch):
    del folder.files["metadata-validation.jsonl"]
    folder.text("metadata-validation.parquet", "PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    folder.refused(
        "imagereward1k-pairs", ["metadata-validation.parquet", "pip install pyarrow", ".csv"], RuntimeError
    )


@pytest.mark.skipif(importlib.util.find_spec("pyarrow") is None, reason="pyarrow is not installed")
def test_parquet_gives_the_same_items(folder):
    import pyarrow
    import pyarrow.parquet

    plain = folder.items("imagereward1k-pairs")
    (folder.root / "metadata-validation.jsonl").unlink()
    del folder.files["metadata-validation.jsonl"]
    rows = [json.loads(line) for line in jsonl().splitlines()]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder.root / "metadata-validation.parquet")
    assert folder.items("imagereward1k-pairs") == plain
    folder.text("metadata-validation.parquet", "PAR1")
    folder.refused("imagereward1k-pairs", "metadata-validation.parquet")


def test_no_table_is_an_error_that_names_it(folder):
    del folder.files["metadata-validation.jsonl"]
    folder.refused("imagereward1k-pairs", "metadata-validation.parquet", OSError)


def test_the_same_bytes_whatever_the_order_of_the_files(folder, tmp_path):
    folder.assert_same_bytes("imagereward1k-pairs", tmp_path)


@pytest.mark.parametrize(
    "row, words",
    [
        (("images/validation/validation_1/a.webp", "000-1", "another", 1), "has another text before"),
        (("images/validation/validation_1/z.webp", "000-1", "a cat, 1", 1), "z.webp"),
        (("../a.webp", "000-1", "a cat, 1", 1), "leads out"),
        (("images/validation/validation_1/a.webp", "000-1", "a cat, 1", 0), "rank: found 0"),
        (("images/validation/validation_1/a.webp", "000-1", "a cat, 1", "1"), "rank: found '1'"),
        (("images/validation/validation_1/a.webp", "", "a cat, 1", 1), "prompt_id: found an empty"),
    ],
)
def test_a_bad_row_is_refused_by_number(folder, row, words):
    folder.text("metadata-validation.jsonl", jsonl([*ROWS, row]))
    folder.refused(
        "imagereward1k-pairs", ["metadata-validation.jsonl, record 10", words], (ValueError, OSError)
    )


def test_a_line_that_is_no_json_is_refused_by_number(folder):
    folder.text("metadata-validation.jsonl", jsonl() + "{\n")
    folder.refused("imagereward1k-pairs", ["metadata-validation.jsonl, line 10", "no JSON"])
