"""The report: self-contained, escaped, complete; the sample of all pairs behind it."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from unisim import pair_sample
from unisim.report import Closest, Table, write_report


class Pairs(SimpleNamespace):
    """What mine_blind_pairs returns, as far as the report looks."""

    def __len__(self):
        return len(self.i)


def cosines(rows):
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return rows @ rows.T


def brute_force(alike, apart, above, below):
    i, j = np.triu_indices(len(alike), 1)
    a, b = cosines(alike)[i, j], cosines(apart)[i, j]
    kept = (a > above) & (b < below)
    return Pairs(i=i[kept], j=j[kept], alike=a[kept], apart=b[kept])


@pytest.fixture
def collection(tmp_path):
    """Twelve small pictures with hostile names, and random rows for two encoders."""
    random = np.random.default_rng(0)
    files = []
    for k in range(12):
        name = ["<script>alert(1)<", 'say "hi" & bye', "plain"][k] if k < 3 else f"picture {k}"
        file = tmp_path / f"{name.replace('/', '')}.png"
        Image.fromarray(random.integers(0, 255, (20, 30, 3), dtype=np.uint8)).save(file)
        files.append(file)
    return files, random.normal(size=(12, 6)), random.normal(size=(12, 5))


def report_of(collection, out, **changes):
    files, alike, apart = collection
    given = {
        "files": files,
        "alike": alike,
        "apart": apart,
        "pairs": brute_force(alike, apart, 0.3, 0.2),
        "alike_above": 0.3,
        "apart_below": 0.2,
        "alike_name": "first <b>",
        "apart_name": "second",
        "settings": {"key": "value"},
    }
    write_report(out, **(given | changes))
    return out.read_text("utf-8")


def test_every_mined_pair_is_on_the_page_with_both_numbers(collection, tmp_path):
    page = report_of(collection, tmp_path / "report.html")
    pairs = brute_force(collection[1], collection[2], 0.3, 0.2)
    assert len(pairs) > 0
    assert page.count('data-mined="1"') == len(pairs)
    for number in (*pairs.alike, *pairs.apart):
        assert f"<dd>{number:.4f}</dd>" in page


def test_nothing_is_loaded_from_elsewhere(collection, tmp_path):
    page = report_of(collection, tmp_path / "report.html")
    assert not re.search(r'<(?:script|img|link|iframe)[^>]*(?:src|href)\s*=\s*["\']?(?:https?:)?//', page)
    assert "@import" not in page.split("</style>")[0]
    assert '"showSendToCloud": false' in page  # plotly's own button, which sends the data away


def test_names_settings_and_errors_are_escaped(collection, tmp_path):
    hostile = "<img src=x onerror=alert(2)>"
    page = report_of(
        collection,
        tmp_path / "report.html",
        failures=[(hostile, hostile)],
        settings={hostile: hostile},
        title=hostile,
        tables=[Table(hostile, hostile, ["a", "b"], [[hostile, "1"]])],
        closest=[Closest(collection[0][0], [(hostile, collection[0][1], hostile)])],
    )
    assert hostile not in page
    assert "<script>alert(1)" not in page


def test_a_collection_without_pairs_still_gives_a_page(collection, tmp_path):
    none = brute_force(collection[1], collection[2], 2, -2)
    page = report_of(collection, tmp_path / "report.html", pairs=none, alike_above=2, apart_below=-2)
    assert 'data-mined="1"' not in page
    assert 'data-mined="0"' in page


def test_a_picture_that_vanished_is_said_to_be_unreadable(collection, tmp_path):
    for file in collection[0]:
        file.unlink()
    assert "not readable" in report_of(collection, tmp_path / "report.html")


def test_a_failed_report_leaves_the_old_one(collection, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("old")
    with pytest.raises(ValueError):
        report_of(collection, out, apart=np.ones((3, 2)))
    assert out.read_text() == "old"
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_the_sample_sees_every_pair_once_across_blocks(monkeypatch):
    monkeypatch.setattr(pair_sample, "BLOCK", 7)
    random = np.random.default_rng(1)
    alike, apart = random.normal(size=(45, 4)), random.normal(size=(45, 3))
    sample = pair_sample.sample_pairs(alike, apart, 0.5, 0.1, most_points=10_000, most_near=30)
    i, j = np.triu_indices(45, 1)
    points = np.sort(sample.points, order=["i", "j"])
    assert points["i"].tolist() == i.tolist() and points["j"].tolist() == j.tolist()
    # float32 rows of unit length, four terms: a few roundings of 6e-8 each
    assert np.abs(points["alike"] - cosines(alike)[i, j]).max() < 1e-6
    margin = np.minimum(cosines(alike)[i, j] - 0.5, 0.1 - cosines(apart)[i, j])
    best = np.argsort(-margin)[:30]
    assert set(zip(sample.near["i"], sample.near["j"], strict=True)) == set(
        zip(i[best], j[best], strict=True)
    )
    binned = pair_sample.sample_pairs(alike, apart, 0.5, 0.1, most_points=10, most_near=5)
    assert binned.points is None
    assert binned.counts.sum() == len(i)
