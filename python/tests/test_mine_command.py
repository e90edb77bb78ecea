"""unisim mine: the pairs of brute force, stored rows, the CSV and the report."""

import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest

import unisim

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


def mined(file="pairs.csv"):
    return list(csv.DictReader(io.StringIO(Path(file).read_text(errors="surrogateescape"))))


def medians(models, files):
    """Thresholds that half of the pairs are above and half are below; and the cosines of all pairs in double."""
    rows = [unisim.Encoder.load(m).embed_images(files).double().numpy() for m in models]
    cosines = [a @ a.T for a in rows]
    upper = np.triu_indices(len(files), 1)
    return [float(np.median(c[upper])) for c in cosines], cosines


def test_mine_finds_the_pairs_of_brute_force(run, models, picture):
    files = [picture(f"photos/{seed}.png", seed) for seed in range(8)]
    (above, below), (a, b) = medians(models, files)
    line = (
        "mine",
        "photos",
        "--alike",
        models[0],
        "--apart",
        models[1],
        "--alike-above",
        above,
        "--apart-below",
        below,
    )
    code, out, err = run(*line, "-o", "pairs.csv", "--json")
    assert code == 0, err
    expected = [(i, j) for i in range(8) for j in range(i + 1, 8) if a[i, j] > above and b[i, j] < below]
    assert expected, "the test is to have pairs"
    found = mined()
    assert [(int(row["i"]), int(row["j"])) for row in found] == expected
    assert list(found[0]) == ["i", "j", "alike", "apart", "file_i", "file_j"]
    for row in found:
        i, j = int(row["i"]), int(row["j"])
        assert float(row["alike"]) == pytest.approx(a[i, j], abs=1e-6)  # float32 rows of length one
        assert float(row["apart"]) == pytest.approx(b[i, j], abs=1e-6)
        assert (row["file_i"], row["file_j"]) == (f"{i}.png", f"{j}.png")
    result = json.loads(out)
    assert (result["images"], result["pairs"]) == (8, len(expected)) and result["seconds"] > 0


def test_stored_rows_give_the_same_pairs(run, models, picture):
    (above, below), _ = medians(models, [picture(f"photos/{seed}.png", seed) for seed in range(8)])
    limits = ("--alike-above", above, "--apart-below", below)
    Path("photos/bad.png").touch()
    assert (
        run("mine", "photos", "--alike", models[0], "--apart", models[1], *limits, "-o", "direct.csv")[0] == 3
    )
    assert run("embed", models[0], "photos", "-o", "rows.npy")[0] == 3
    code, out, _ = run(
        "mine", "photos", "--alike", "rows.npy", "--apart", models[1], *limits, "-o", "pairs.csv", "--json"
    )
    assert code == 3 and [f["file"] for f in json.loads(out)["failed"]] == ["bad.png"]
    assert Path("pairs.csv").read_bytes() == Path("direct.csv").read_bytes() and len(mined()) > 0


def test_stored_rows_of_other_images_are_refused(run, models, photos, picture):
    run("embed", models[0], "photos", "-o", "rows.npy")
    picture("photos/0.png", 5)
    code, _, err = run("mine", "photos", "--alike", "rows.npy", "--apart", models[1], "-o", "pairs.csv")
    assert code == 1 and "row 0 is of 'B.PNG', the folder has '0.png' there" in err
    os.remove("photos/0.png")
    os.remove("photos/é.png")
    code, _, err = run("mine", "photos", "--alike", "rows.npy", "--apart", models[1], "-o", "pairs.csv")
    assert code == 1 and "rows of 4 images, the folder has 3" in err
    assert not Path("pairs.csv").exists()


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda: os.remove("rows.json"), "rows.json: No such file"),
        (lambda: os.remove("rows.npy"), "rows.npy: No such file"),
        (lambda: Path("rows.json").write_text("[" * 100_000), "rows.json: not the record"),
        (lambda: Path("rows.json").write_text("{}"), "rows.json: not the record"),
        (
            lambda: Path("rows.npy").write_bytes(Path("rows.npy").read_bytes()[:-4]),
            "rows.npy: not a readable .npy",
        ),
        (lambda: Path("rows.npy").write_bytes(b""), "rows.npy: not a readable .npy"),
        (lambda: np.save("rows.npy", np.array([{}], object)), "rows.npy: not a readable .npy"),
        (lambda: np.save("rows.npy", np.zeros((4, 16))), "found float64 [4, 16], expected float32"),
        (lambda: np.save("rows.npy", np.zeros(4, np.float32)), "found float32 [4], expected float32"),
        (lambda: np.save("rows.npy", np.zeros((3, 16), np.float32)), "names 4 rows, rows.npy has 3"),
        (lambda: np.save("rows.npy", np.full((4, 16), np.nan, np.float32)), "row"),
    ],
    ids=[
        "no json",
        "no npy",
        "deep json",
        "other json",
        "short",
        "empty",
        "objects",
        "double",
        "1-d",
        "count",
        "nan",
    ],
)
def test_damaged_stored_rows_are_refused_by_name(run, models, photos, spoil, words):
    run("embed", models[0], "photos", "-o", "rows.npy")
    spoil()
    code, out, err = run("mine", "photos", "--alike", "rows.npy", "--apart", "rows.npy", "-o", "pairs.csv")
    assert (code, out) == (1, "") and words in err
    assert not Path("pairs.csv").exists()


def test_names_that_a_spreadsheet_takes_for_formulas_are_disarmed(run, models, picture):
    for name in ("=cmd.png", "+1.png", "-1.png", "@x.png", 'a "b", c.png'):
        picture(f"photos/{name}", 3)
    limits = ("--alike-above", 0.5, "--apart-below", 1)
    matrix = np.eye(5, 16, dtype=np.float32)
    run("embed", models[0], "photos", "-o", "rows.npy")
    np.save("apart.npy", matrix)
    Path("apart.json").write_text(Path("rows.json").read_text())
    code, _, err = run(
        "mine", "photos", "--alike", "rows.npy", "--apart", "apart.npy", *limits, "-o", "pairs.csv"
    )
    assert code == 0, err
    found = {row["file_i"] for row in mined()} | {row["file_j"] for row in mined()}
    assert found == {"'=cmd.png", "'+1.png", "'-1.png", "'@x.png", 'a "b", c.png'}
    assert len(mined()) == 10


def test_mine_writes_its_report(run, models, photos):
    line = (
        "mine",
        "photos",
        "--alike",
        models[0],
        "--apart",
        models[1],
        "--alike-above",
        0,
        "--apart-below",
        1,
    )
    code, out, err = run(*line, "-o", "pairs.csv", "--report", "pairs.html", "--json")
    assert code == 0 and json.loads(out)["report"] == "pairs.html", err
    assert "<html" in Path("pairs.html").read_text()
    assert sorted(os.listdir()) == ["pairs.csv", "pairs.html", "photos"]
    code, _, err = run(*line, "-o", "other.csv", "--report", "missing/pairs.html")
    assert code == 1 and "missing/pairs.html: No such file" in err and not Path("other.csv").exists()
