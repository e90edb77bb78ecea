"""Where models and caches live: `$UNISIM_CACHE`, else `$XDG_CACHE_HOME/unisim`, else `~/.cache/unisim`."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


def cache_folder() -> Path:
    """The folder of everything that unisim keeps between runs. It may not exist yet.

    Raises
    ------
    ValueError
        If no environment variable names a folder and the user has no home.
    """
    if named := os.environ.get("UNISIM_CACHE"):
        return Path(named)
    if (xdg := os.environ.get("XDG_CACHE_HOME")) and os.path.isabs(xdg):
        return Path(xdg, "unisim")
    try:
        return Path.home() / ".cache" / "unisim"
    except RuntimeError:
        raise ValueError("[cache] this user has no home folder: set UNISIM_CACHE to a folder") from None


def models_folder() -> Path:
    """Where `unisim get` installs: one folder a model."""
    return cache_folder() / "models"


def sync(path: Path) -> None:
    """Make a file's or a folder's content durable before anything refers to it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def locked(name: str, waiting: Callable[[], object]) -> Iterator[Path]:
    """Hold the lock of one model's name; `waiting` is called once if another process holds it. Yields models_folder()."""
    models = models_folder()
    models.mkdir(parents=True, exist_ok=True)
    with open(models / f".{name}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield models


@contextlib.contextmanager
def staging(models: Path, name: str) -> Iterator[Path]:
    """A temporary folder on the file system of `models`, gone afterwards; what a killed run left goes first.

    Call it with the lock of `name` held.
    """
    for stale in models.glob(f".{name}.tmp-*"):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}.tmp-", dir=models) as folder:
        yield Path(folder)


def publish(made: Path, final: Path) -> None:
    """Give a finished folder its name: durable first, then visible, whole."""
    for path in made.rglob("*"):
        sync(path)
    sync(made)
    made.rename(final)
    sync(final.parent)
