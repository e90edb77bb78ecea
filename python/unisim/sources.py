"""What a command is to read: the images of a folder, or the lines of a list."""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Tried as images; a file that only pretends is a failure with a name. Files with other endings are passed over.
EXTENSIONS = frozenset(
    "avif avifs bmp dib gif jfif jp2 jpe jpeg jpg pbm pgm png pnm ppm qoi tga tif tiff webp".split()
)


@dataclass
class Sources:
    """Files in the order of their rows."""

    root: Path | None  # the folder that names are relative to; None for a list
    names: list[str]  # as they are shown and stored
    others: int = 0  # files of the folder that are no images by their ending
    failed: list[tuple[str, str]] = field(default_factory=list)  # (sub-folder, why it could not be listed)

    def path(self, name: str) -> Path:
        """Where a name is on disk."""
        return Path(name) if self.root is None else self.root / name

    @property
    def paths(self) -> list[Path]:
        return [self.path(name) for name in self.names]


def images_of(where: str) -> Sources:
    """The images that `where` means: a folder, a list of files (one a line), or "-", a list on stdin.

    A folder is searched with its sub-folders, but not those behind symbolic links; names that begin with a dot are
    passed over. The order is that of the bytes of the relative paths. A list keeps its order; its relative
    paths are relative to the working directory.

    Raises
    ------
    OSError
        If there is no such folder or list.
    ValueError
        If it holds no image.
    """
    if where != "-" and os.path.isdir(where):
        return _folder(Path(where))
    names = lines_of(where)
    if not names:
        raise ValueError(f"[images] {where}: no file is named in this list")
    return Sources(None, names)


def lines_of(where: str) -> list[str]:
    """The lines of a text file, or of stdin for "-"; empty ones are passed over."""
    data = sys.stdin.buffer.read() if where == "-" else Path(where).read_bytes()
    if b"\0" in data:
        raise ValueError(f"[list] {where}: holds zero bytes; a text file with one name a line is expected")
    return [os.fsdecode(line) for line in data.replace(b"\r\n", b"\n").split(b"\n") if line.strip()]


def _folder(root: Path) -> Sources:
    sources = Sources(root, [])

    def failed(error: OSError) -> None:
        if error.filename is None or Path(os.fsdecode(error.filename)) == root:
            raise error
        sources.failed.append((os.path.relpath(os.fsdecode(error.filename), root), error.strerror or str(error)))

    for folder, folders, files in os.walk(root, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.startswith("."):
                continue
            if os.path.splitext(name)[1][1:].lower() in EXTENSIONS:
                sources.names.append(os.path.relpath(os.path.join(folder, name), root))
            else:
                sources.others += 1
    if not sources.names:
        raise ValueError(f"[images] {root}: no images in this folder ({sources.others} other files)")
    sources.names.sort(key=os.fsencode)
    sources.failed.sort()
    return sources


def text(line: str) -> str:
    """A line as the tokenizers take it: bytes that are no UTF-8 become U+FFFD."""
    return os.fsencode(line).decode("utf-8", errors="replace")
