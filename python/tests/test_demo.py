"""The demo's own parts: variants whose order is known, and what it does with bad pictures."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image

sys.path.insert(0, str(ROOT / "examples"))
import demo_photos  # noqa: E402


@pytest.fixture
def pictures(tmp_path):
    """Three readable pictures, two of one name, and one that is none."""
    random = np.random.default_rng(0)
    for name in ("a/same.png", "b/same.png", "c.jpg"):
        file = tmp_path / "given" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(file)
    (tmp_path / "given" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    (tmp_path / "given" / "notes.txt").write_text("not a picture")
    return tmp_path / "given"


def test_every_picture_gets_all_variants_and_a_bad_one_is_named(pictures, tmp_path):
    made, failures = demo_photos.write_variants(demo_photos.photos_in(pictures), tmp_path / "made")
    assert [file.name for file, _ in failures] == ["broken.png"]
    assert len(made) == 3
    files = [file for picture in made for file in picture.values()]
    assert len(set(files)) == len(files) == 3 * 10
    assert all(Image.open(file).size == (256, 256) for file in files)


def test_a_strong_change_moves_pixels_more_than_a_weak_one(tmp_path):
    skimage = pytest.importorskip("skimage")
    photo = Path(skimage.__file__).parent / "data" / "astronaut.png"
    image = demo_photos.squared(photo)
    for weak, strong in demo_photos.DISTORTIONS.values():
        errors = [
            np.abs(np.asarray(change(image), float) - np.asarray(image, float)).mean()
            for change in (weak, strong)
        ]
        assert 0 < errors[0] < errors[1]


def test_no_picture_is_its_own_stranger():
    pictures = [{"original": k} for k in range(7)]
    assert all(
        picture["original"] != other
        for picture, other in zip(pictures, demo_photos.strangers(pictures), strict=True)
    )


def test_a_folder_without_pictures_ends_in_a_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    ran = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py", tmp_path / "empty", "--out", tmp_path / "out"],
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    assert "holds 0 readable pictures" in ran.stderr
    assert "Traceback" not in ran.stderr
