"""Distortions of one's own pictures: what is made, that it is made the same twice, and real metrics on it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image

import unisim
from command_line import own_world, photos, picture, run  # noqa: F401
from tiny_models import dinov2_folder
from unisim.importers import import_task


def test_every_picture_gets_its_distortions_and_the_lower_level_is_right(tmp_path, own_world, photos):  # noqa: F811
    made = import_task("distortions", Path("photos"), tmp_path / "task", options={"pairs": "3"})
    assert (made.task, made.items) == ("img-2afc", 4 * 5 * 3)
    task = unisim.Task.load(made.folder)
    assert [item.group for item in (task[0], task[3], task[6], task[9], task[12])] == [
        "jpeg", "blur", "noise", "shift", "color",
    ]  # fmt: skip
    for k in range(len(task)):
        item = task[k]
        levels = [int(Path(candidate).stem.split("-")[1]) for candidate in item.candidates]
        assert levels[item.label] == min(levels) and levels[0] != levels[1]
        assert {Path(candidate).parent for candidate in item.candidates} == {
            Path(item.reference).with_suffix("")
        }
    assert {task[k].label for k in range(len(task))} == {0, 1}
    assert task[0].reference == "B.png"  # sorted by the bytes of the names: "B.PNG" comes first


def test_a_shift_is_a_shift_and_noise_is_noise(tmp_path, own_world, picture):  # noqa: F811
    picture("one/a.png", 3, size=(40, 32))
    import_task("distortions", Path("one"), tmp_path / "task", options={"pairs": "10"})
    made = tmp_path / "task" / "made"
    whole = np.asarray(Image.open(made / "a.png"))
    moved = np.asarray(Image.open(made / "a" / "shift-3.png"))
    assert (moved[4:, 4:] == whole[:-4, :-4]).all() and (moved[:4, 4:] == whole[0, :-4]).all()
    noisy = np.asarray(Image.open(made / "a" / "noise-2.png")).astype(int) - whole
    inner = noisy[(whole > 60) & (whole < 195)]
    assert 9 < inner.std() < 11 and abs(inner.mean()) < 1  # deviation 10
    grey = np.asarray(Image.open(made / "a" / "color-5.png"))
    assert (grey == grey[:, :, :1]).all()


def test_the_same_pictures_give_the_same_bytes(tmp_path, own_world, photos, run):  # noqa: F811
    said = []
    for name in ("one", "two"):
        code, stdout, stderr = run("import", "distortions", "photos", "-o", tmp_path / name, "--json")
        assert code == 0, stderr
        said.append(json.loads(stdout))
    assert said[0]["manifest"] == said[1]["manifest"] and said[0]["items"] == 40
    for file in sorted((tmp_path / "one").rglob("*")):
        if file.is_file():
            assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()
    code, stdout, _ = run(
        "import", "distortions", "photos", "-o", tmp_path / "three", "--seed", "1", "--json"
    )
    assert json.loads(stdout)["manifest"] != said[0]["manifest"]


def test_a_grey_picture_has_no_colour_to_lose(tmp_path, own_world):  # noqa: F811
    Path("grey").mkdir()
    ramp = np.linspace(0, 255, 40 * 32).reshape(32, 40).astype(np.uint8)
    Image.fromarray(ramp).save("grey/a.png")
    import_task("distortions", Path("grey"), tmp_path / "task")
    task = unisim.Task.load(tmp_path / "task")
    assert {task[k].group for k in range(len(task))} == {"jpeg", "blur", "noise", "shift"}


def test_two_pictures_never_become_one(tmp_path, own_world, picture):  # noqa: F811
    picture("two/a.png", 1)
    picture("two/a/blur-1.png", 2)
    with pytest.raises(ValueError, match="a/blur-1.png: rename"):
        import_task("distortions", Path("two"), tmp_path / "task")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["distortion", "photos", "-o", "task"], 1, "known are distortions, nights, bapps"),
        (["distortions", "nowhere", "-o", "task"], 1, "nowhere"),
        (["distortions", "photos"], 2, "-o TASK"),
        (["distortions", "photos", "-o", "task", "--option", "pairs=11"], 1, "whole number from 1 to 10"),
        (["distortions", "photos", "-o", "task", "--option", "colour=1"], 1, "its options: side, pairs"),
        (["distortions", "photos", "-o", "task", "--option", "pairs"], 2, "KEY=VALUE"),
        (["distortions", "photos", "-o", "photos"], 1, "is no task"),
    ],
)
def test_what_is_refused(own_world, photos, run, arguments, code, said):  # noqa: F811
    found, _, stderr = run("import", *arguments)
    assert found == code and said in stderr
    assert not Path("task").exists()


def test_a_task_by_the_name_of_a_data_set(own_world, photos):  # noqa: F811
    task = unisim.Task.load("distortions", "photos")
    assert len(task) == 40 and unisim.evaluate(task, unisim.metric("psnr")).accuracy > 0.8


def test_real_photographs_and_real_weights(tmp_path, data, own_world, run):  # noqa: F811
    """Two photographs for every metric that this data has weights for: the whole path, twice the same bytes."""
    photographs = sorted(data("photos/kodak24").glob("*.png"))[:2]
    (tmp_path / "few").mkdir()
    for file in photographs:
        (tmp_path / "few" / file.name).write_bytes(file.read_bytes())
    task = tmp_path / "task"
    assert run("import", "distortions", tmp_path / "few", "-o", task, "--option", "pairs=1")[0] == 0
    metrics = [
        f"lpips-alex:{data('models/lpips_alex')}",
        f"lpips-vgg:{data('models/lpips_vgg')}",
        "ssim",
        "ms-ssim",
        "psnr",
        f"encoder:{data('models/dinov2_vits14_saliency')},layer=9,pool=mean",
        f"encoder:{data('models/vit_tiny_patch16_224')}",
    ]
    asked = [part for metric in metrics for part in ("--metric", metric)]
    out, page = tmp_path / "r.json", tmp_path / "r.html"
    code, stdout, stderr = run("evaluate", task, *asked, "-o", out, "--report", page, "--json")
    assert code == 0, stderr
    said = json.loads(stdout)
    assert [one["n"] for one in said["results"]] == [10] * 7
    assert min(one["accuracy"] for one in said["results"]) >= 0.7  # the levels lie far apart
    before = out.read_bytes(), page.read_bytes()
    assert run("evaluate", task, *asked, "-o", out, "--report", page, "--no-store")[0] == 0
    assert (out.read_bytes(), page.read_bytes()) == before  # computed again, not found


def test_a_leaderboard_of_several_runs(tmp_path, own_world, photos, run):  # noqa: F811
    for name, seed in (("a", "0"), ("b", "1")):
        assert run("import", "distortions", "photos", "-o", name, "--seed", seed)[0] == 0
    for metric in ("psnr", "ssim"):
        assert run("evaluate", "a", "--metric", metric, "-o", f"{metric}.json")[0] == 0
    code, stdout, stderr = run("leaderboard", "psnr.json", "ssim.json", "--json")
    assert code == 0, stderr
    board = json.loads(stdout)["tasks"][0]["ranking"]
    assert {row["metric"] for row in board} == {"psnr", "ssim"}
    scores = [row["score"] for row in board]
    assert scores == sorted(scores, reverse=True)
    assert [row["rank"] for row in board] == ([1, 1] if scores[0] == scores[1] else [1, 2])
    assert all(row["model"] == {"sha256": None, "parameters": 0, "image_size": None, "dtype": "float64"} for row in board)
    assert run("evaluate", "b", "--metric", "psnr", "-o", "other.json")[0] == 0
    code, _, stderr = run("leaderboard", "psnr.json", "other.json")
    assert code == 1 and "different items" in stderr  # the same task's name, another seed
    Path("bad.json").write_text('{"results": [{}]}')
    code, _, stderr = run("leaderboard", "bad.json")
    assert code == 1 and "bad.json" in stderr


def test_a_leaderboard_has_the_size_of_models_and_tells_two_of_one_name_apart(own_world, photos, run):  # noqa: F811
    assert run("import", "distortions", "photos", "-o", "task")[0] == 0
    for seed in (0, 1):
        shutil.rmtree("model", ignore_errors=True)
        dinov2_folder(Path("model"), seed)
        assert run("evaluate", "task", "--metric", "encoder:model", "-o", f"{seed}.json")[0] == 0
    code, stdout, stderr = run("leaderboard", "0.json", "1.json", "--json")
    assert code == 0, stderr
    board = json.loads(stdout)["tasks"][0]["ranking"]
    weights = safetensors.numpy.load_file("model/model.safetensors")
    assert len({row["metric"] for row in board}) == 2
    for row in board:
        assert row["metric"] == f"encoder:model [{row['model']['sha256'][:8]}]"
        assert row["model"]["parameters"] == sum(array.size for array in weights.values())
        assert (row["model"]["image_size"], row["model"]["dtype"]) == (unisim.Encoder.load("model").image_size, "float32")
    code, stdout, _ = run("leaderboard", "0.json")
    assert "parameters" in stdout and "pixels" in stdout and "encoder:model [" not in stdout
