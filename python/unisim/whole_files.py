"""Outputs that appear whole or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any


@contextlib.contextmanager
def written_whole(*files: Path) -> Iterator[list[IO[Any]]]:
    """Open a temporary file beside each of `files`, for bytes; when the block ends, make them durable and rename them.

    If the block raises, none of `files` is touched and nothing is left. The temporary files are opened at once, so that
    a folder that cannot be written is known before the work is done. A stream's `name` is its temporary file.

    Raises
    ------
    OSError
        With the output's name, if its folder is missing or cannot be written, or if it is a folder itself.
    """
    mask = os.umask(0)
    os.umask(mask)
    with contextlib.ExitStack() as cleanup:
        streams: list[IO[Any]] = []
        for file in files:
            if file.is_dir():
                raise IsADirectoryError(21, os.strerror(21), str(file))
            try:
                descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name[:100]}.tmp-", dir=file.parent)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(file)) from None
            cleanup.callback(_remove, temporary)
            os.fchmod(descriptor, 0o666 & ~mask)
            os.close(descriptor)
            streams.append(cleanup.enter_context(open(temporary, "wb")))
        yield streams
        for stream in streams:
            stream.flush()
            os.fsync(stream.fileno())
        for stream, file in zip(streams, files, strict=True):
            os.replace(stream.name, os.path.realpath(file))  # a symbolic link stays, its target is replaced
        for folder in {file.parent for file in files}:
            descriptor = os.open(folder, os.O_RDONLY)
            cleanup.callback(os.close, descriptor)
            os.fsync(descriptor)


def _remove(file: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(file)


@contextlib.contextmanager
def folder_made_whole(out: Path) -> Iterator[Path]:
    """A new folder beside `out`, which becomes `out` when the block ends; if it raises, nothing is left.

    What was there is replaced by two renames: whoever looks in between finds nothing, never half of a folder.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.tmp-", dir=out.parent))
    try:
        made = temporary / "made"
        made.mkdir()
        yield made
        old = temporary / "old"
        replaces = out.exists()
        if replaces:
            out.rename(old)
        try:
            made.rename(out)
        except OSError:
            if replaces:
                old.rename(out)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
