"""unisim embed: rows in order, bad images, outputs whole or not at all."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny_models
import unisim
from unisim import rows, sources, whole_files

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


def embedded(folder="rows"):
    return np.load(f"{folder}.npy"), json.loads(Path(f"{folder}.json").read_text())


def test_embed_writes_a_row_for_each_image_in_the_order_of_the_names(run, models, photos):
    code, out, err = run("embed", models[0], "photos", "-o", "rows.npy", "--json")
    found = json.loads(out)
    assert code == 0 and (found["rows"], found["dim"], found["failed"]) == (4, 16, [])
    assert found["seconds"] > 0 and found["device"] == "cpu" and found["dtype"] == "float32"
    assert "1 files are no images" in err
    matrix, record = embedded()
    assert record["names"] == photos and record["model"]["family"] == "dinov2"
    assert "model.safetensors" in record["model"]["files"] and record["model"]["facts"]
    expected = unisim.Encoder.load(models[0]).embed_images([f"photos/{name}" for name in photos])
    np.testing.assert_array_equal(matrix, expected.numpy())
    assert sorted(os.listdir()) == ["photos", "rows.json", "rows.npy"]


def test_a_bad_image_is_one_failed_item_and_the_other_rows_keep_their_bits(run, models, photos):
    assert run("embed", models[0], "photos", "-o", "clean.npy")[0] == 0
    whole = Path("photos/b.png").read_bytes()
    Path("photos/a/bad.png").write_bytes(b"\x89PNG\r\n\x1a\n no picture")
    Path("photos/cut.png").write_bytes(whole[: len(whole) // 2])
    Path("photos/empty.jpg").touch()
    code, out, err = run("embed", models[0], "photos", "-o", "rows.npy", "--json")
    assert code == 3
    bad = ["a/bad.png", "cut.png", "empty.jpg"]
    assert [f["file"] for f in json.loads(out)["failed"]] == bad and all(name in err for name in bad)
    matrix, record = embedded()
    assert record["names"] == photos and [f["file"] for f in record["failed"]] == bad
    assert matrix.tobytes() == np.load("clean.npy").tobytes()


def test_many_batches_give_the_rows_of_one(run, models, monkeypatch, picture):
    for seed in range(7):
        picture(f"photos/{seed}.png", seed)
    Image.open("photos/3.png").save("photos/0.bmp")
    Image.open("photos/3.png").save("photos/7.gif")
    run("embed", models[0], "photos", "-o", "one.npy")
    monkeypatch.setattr(rows, "READ_AT_ONCE", 1)
    run("embed", models[0], "photos", "-o", "many.npy", "--batch-size", 2)
    assert Path("one.npy").read_bytes() == Path("many.npy").read_bytes()


def test_a_list_keeps_its_order_and_names_what_is_missing(run, models, photos):
    Path("list.txt").write_text("photos/b.png\n\nphotos/missing.png\r\nphotos/B.PNG\nphotos/b.png\n")
    code, out, err = run("embed", models[0], "list.txt", "-o", "rows.npy", "--json")
    assert code == 3 and "photos/missing.png" in err
    matrix, record = embedded()
    assert record["names"] == ["photos/b.png", "photos/B.PNG", "photos/b.png"]
    np.testing.assert_array_equal(matrix[0], matrix[2])


def test_a_list_is_read_from_stdin(models, photos, shell):
    done = shell("embed", models[0], "-", "-o", "rows.npy", "--json", "-q", input=b"photos/b.png\n")
    assert done.returncode == 0 and json.loads(done.stdout)["rows"] == 1 and done.stderr == b""


def test_other_formats_are_embedded_too(run, models, picture):
    picture("photos/a.png", 1)
    for ending in ("gif", "bmp", "tiff", "ppm"):
        Image.open("photos/a.png").convert("RGB").save(f"photos/a.{ending}")
    code, _, err = run("embed", models[0], "photos", "-o", "rows.npy")
    assert code == 0, err
    matrix, record = embedded()
    assert record["names"] == ["a.bmp", "a.gif", "a.png", "a.ppm", "a.tiff"]
    np.testing.assert_array_equal(matrix[0], matrix[2])


def test_strange_file_names_survive(run, models, picture):
    strange = ["new\nline.png", "=formula.png", '"quoted", name.png', "<script>.png"]
    for seed, name in enumerate(strange):
        picture(f"photos/{name}", seed)
    picture("photos/plain.png", 7)
    os.rename(b"photos/plain.png", b"photos/\xff.png")
    Path("photos/\udcfe\nbad.png").touch()
    code, out, err = run("embed", models[0], "photos", "-o", "rows.npy", "--json")
    assert code == 3, err
    assert [f["file"] for f in json.loads(out)["failed"]] == ["\udcfe\nbad.png"]
    assert err.count("\n") == 1 and "bad.png" in err
    assert embedded()[1]["names"] == sorted([*strange, "\udcff.png"], key=os.fsencode)


@pytest.mark.parametrize(
    "line, words",
    [
        ("embed {model} empty -o rows.npy", "no images in this folder (0 other files)"),
        ("embed {model} missing -o rows.npy", "missing: No such file"),
        ("embed {model} photos -o missing/rows.npy", "missing/rows.npy: No such file"),
        ("embed {model} photos -o folder.npy", "folder.npy: Is a directory"),
        ("embed no-such-model photos -o rows.npy", "no-such-model"),
        ("embed pickled photos -o rows.npy", "model.safetensors"),
        ("embed {model},layer=99 photos -o rows.npy", "99"),
        ("embed {model},pool=max photos -o rows.npy", "max"),
        ("embed {model} texts.txt --texts -o rows.npy", "text"),
        ("embed {model} empty.txt -o rows.npy", "no file is named"),
        ("embed {model} photos/b.png -o rows.npy", "b.png"),
        ("embed {model} photos -o rows.npy --device moon", "moon"),
        ("embed {model} photos -o rows.npy --dtype float8", "float8"),
        ("embed {model} broken -o rows.npy", "none of 1 files could be read"),
    ],
)
def test_what_cannot_be_embedded_is_one_error_and_leaves_nothing(run, models, photos, line, words):
    Path("empty").mkdir(), Path("folder.npy").mkdir(), Path("empty.txt").touch()
    Path("texts.txt").write_text("a red cup\n")
    Path("broken").mkdir(), Path("broken/x.png").touch()
    tiny_models.dinov2_folder(Path("pickled"), 1)
    Path("pickled/model.safetensors").write_bytes(pickle.dumps({"a": [1]}))
    before = sorted(os.listdir())
    code, out, err = run(*line.format(model=models[0]).split())
    assert (code, out) == (1, ""), err
    assert words in err.splitlines()[-1] and err.splitlines()[-1].startswith("unisim: error: "), err
    assert sorted(os.listdir()) == before


def test_a_failed_run_keeps_the_output_of_the_last(run, models, photos):
    run("embed", models[0], "photos", "-o", "rows.npy")
    before = Path("rows.npy").read_bytes()
    assert run("embed", "no-such-model", "photos", "-o", "rows.npy")[0] == 1
    assert Path("rows.npy").read_bytes() == before


def test_outputs_are_renamed_together_or_not_at_all(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    with pytest.raises(RuntimeError), whole_files.written_whole(a, b) as (first, _):
        first.write(b"half")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [tmp_path / "work"]
    with whole_files.written_whole(a, b) as (first, second):
        first.write(b"1"), second.write(b"2")
    assert (a.read_bytes(), b.read_bytes()) == (b"1", b"2")
    assert a.stat().st_mode & 0o777 == 0o666 & ~os.umask(os.umask(0o22) or 0o22)


def test_a_folder_is_read_in_the_order_of_bytes_without_following_links(photos):
    os.symlink("..", "photos/loop")
    os.symlink("b.png", "photos/link.png")
    found = sources.images_of("photos")
    assert found.names == ["B.PNG", "a/z.png", "b.png", "link.png", "é.png"] and found.others == 1


def test_a_list_with_zero_bytes_is_no_list():
    Path("list").write_bytes(b"a\0b")
    with pytest.raises(ValueError, match="holds zero bytes"):
        sources.images_of("list")
