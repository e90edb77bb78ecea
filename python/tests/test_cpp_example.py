"""examples/cpp, built outside of the tree against the package, prints the digits of Python and the command line."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tiny_vlms
import unisim

ROOT = Path(__file__).resolve().parents[2]
PHOTOS = ["01.png", "02.png", "03.png", "01.png"]


def run(*command, expected=0):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == expected, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def config_folder(tmp_path):
    """Where unisimConfig.cmake is: in the installed package, or put there from the build tree."""
    if (Path(unisim.cmake_path) / "unisimConfig.cmake").exists():
        return unisim.cmake_path
    build = Path(unisim._core.__file__).parents[2]
    if not (build / "CMakeCache.txt").exists():
        pytest.skip(f"no unisimConfig.cmake in {unisim.cmake_path} and no build tree in {build}")
    run("cmake", "--install", build, "--prefix", tmp_path / "prefix")
    return next((tmp_path / "prefix").glob("lib*/**/cmake/unisim"))


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """The folder of the programs."""
    if not shutil.which("cmake"):
        pytest.skip("no cmake")
    folder = tmp_path_factory.mktemp("cpp")
    torch_root = Path(torch.__file__).parent
    run("cmake", "-S", ROOT / "examples" / "cpp", "-B", folder / "build", f"-Dunisim_DIR={config_folder(folder)}",
        f"-DUNISIM_TORCH_ROOT={torch_root}")  # fmt: skip
    run("cmake", "--build", folder / "build")
    return folder / "build"


@pytest.fixture
def alike(programs):
    return programs / "alike"


def digits(value):
    return f"{float(value):.17g}"


@pytest.fixture
def photos(data):
    return [str(data(f"photos/kodak24/{name}")) for name in PHOTOS]


@pytest.mark.parametrize("model", ["vit_tiny_patch16_224", "dinov2_vits14_saliency"])
def test_cosines_and_pairs_have_the_same_digits_in_cpp_and_python(alike, data, photos, model):
    folder = data(f"models/{model}")
    lines = run(alike, folder, "psnr", *photos).stdout.splitlines()
    encoder = unisim.Encoder.load(str(folder))
    rows = encoder.embed_images(photos)
    cosines = unisim.cosine(rows, rows)
    expected = [f"cosine {i} {j} {digits(cosines[i, j])}" for i in range(4) for j in range(4)]
    means = encoder.embed_images(photos, layer=12, pool="mean")
    pairs = unisim.mine_blind_pairs(rows, means, alike_above=0.2, apart_below=0.99)
    expected += [f"pair {pair.i} {pair.j} {digits(pair.alike)} {digits(pair.apart)}" for pair in pairs]
    assert len(pairs) > 0
    assert [line for line in lines if line.startswith(("cosine", "pair"))] == expected


@pytest.mark.parametrize("name", ["ssim", "psnr", "encoder:{folder}", "encoder:{folder},layer=9,pool=mean"])
def test_a_metric_has_the_same_digits_in_cpp_python_and_on_the_command_line(alike, data, photos, name):
    folder = data("models/vit_tiny_patch16_224")
    name = name.format(folder=folder)
    different = photos[:3]
    lines = run(alike, folder, name, *different).stdout.splitlines()
    metric = unisim.metric(name)
    scores = [metric(different[0], photo) for photo in different[1:]]
    direction = "higher" if metric.higher_is_better else "lower"
    assert f"metric {metric.name} {direction} is more alike" in lines
    expected = [f"score 0 {i} {digits(score)}" for i, score in enumerate(scores, 1)]
    assert [line for line in lines if line.startswith("score")] == expected
    printed = run(sys.executable, "-m", "unisim", "compare", "--json", name, *different).stdout
    assert [item["score"] for item in json.loads(printed)["scores"]] == scores


def test_a_model_that_is_asked_has_the_same_digits_in_cpp_python_and_on_the_command_line(programs, tmp_path):
    vlm = tiny_vlms.make("onevision", tmp_path / "onevision")
    images = []
    for k, picture in enumerate(tiny_vlms.pictures(2)):
        images.append(tmp_path / f"{k}.png")
        picture.save(images[-1])
    prompt, choices = "Which is sharper, <image> or <image>?", ["A", "Image 2"]
    lines = run(programs / "ask", vlm.folder, prompt, *choices, *images).stdout.splitlines()
    ours = unisim.Vlm.load(vlm.folder)
    choice = ours.choose([str(image) for image in images], prompt, choices)
    expected = [f"choice {c} {digits(p)}" for c, p in zip(choices, choice.probabilities, strict=True)]
    assert lines[:3] == [*expected, f"coverage {digits(choice.coverage)}"]
    said = unisim.Vlm.load(vlm.folder).generate([str(image) for image in images], prompt, 8)
    assert "\n".join(lines[3:]) == f"says {said}"
    printed = json.loads(
        run(sys.executable, "-m", "unisim", "ask", vlm.folder, prompt, *images, "--choices", *choices, "--json").stdout
    )
    assert [one["probability"] for one in printed["choices"]] == choice.probabilities
    assert run(programs / "ask", expected=2).stderr.startswith("usage: ask")


def test_an_error_is_one_line_that_names_the_folder(alike, data, tmp_path):
    image = data("photos/kodak24/01.png")
    done = run(alike, tmp_path / "nothing", "ssim", image, image, expected=1)
    assert str(tmp_path / "nothing") in done.stderr and len(done.stderr.splitlines()) == 1
    assert run(alike, expected=2).stderr.startswith("usage: alike")
