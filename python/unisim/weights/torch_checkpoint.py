"""Checkpoints of torch.save, read without running anything that they name.

A child process reads the pickle with torch's own restricted reader (weights_only=True), under limits on memory and on
what it may write, and hands back nothing but the tensors of the state dict, as a safetensors file.
"""

import json
import os
import re
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

TIME_LIMIT = 600  # seconds
ROOM = 2 << 30  # bytes of address space for the child, besides what torch itself and the tensors take


TYPES = {
    f"torch.{name}": short
    for name, short in (
        ("float32", "F32"), ("float16", "F16"), ("bfloat16", "BF16"), ("float64", "F64"), ("bool", "BOOL"),
        ("int64", "I64"), ("int32", "I32"), ("int16", "I16"), ("int8", "I8"), ("uint8", "U8"),
    )
}  # fmt: skip

# Name, type, shape, and what gives the torch tensor.
Entry = tuple[str, str, tuple[int, ...], Callable[[], Any]]


def read(checkpoint: Path, tensors: Path, under: str = "state_dict", as_stored: bool = False) -> None:
    """Write the tensors of a checkpoint's state dict to the safetensors file `tensors`.

    The state dict is what stands under the key `under`, else the checkpoint itself. "module." is taken out of the
    names, numbers of 16 bits become float32, which changes none of them, unless they are wanted as they are stored.

    Raises
    ------
    OSError
        If the checkpoint cannot be opened.
    ValueError
        If it is damaged, holds or names anything but tensors and plain containers, or the child exceeds its limits; the
        message names the checkpoint.
    """
    with open(checkpoint, "rb"):  # a file that is not there is an OSError, before any child
        pass
    from unisim import child_reader  # not at the top: the child is this file, and stands alone

    child_reader.output_of(
        __file__,
        str(checkpoint),
        str(tensors),
        under,
        "stored" if as_stored else "wide",
        said_by=f"[convert] {checkpoint}",
        what="it",
        seconds=TIME_LIMIT,
    )


def _limit(size: int) -> None:
    """Limits of this process, for a checkpoint of `size` bytes."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    # Read, widened from 16 bits, written: each at most twice the file.
    memory = pages * os.sysconf("SC_PAGESIZE") + 6 * size + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    written = 2 * size + (1 << 20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))


def _reason(error: Exception) -> str:
    """What torch says, without its advice to switch the restriction off, which stands around it."""
    text = str(error)
    if found := re.search(r"(Trying to load unsupported|Unsupported) .*", text):
        text = found[0].split(" Please use ")[0]
    return " ".join(text.split())[:200] or type(error).__name__


def save_streamed(file: Path, entries: Sequence[Entry]) -> None:
    """A safetensors file, of which no more than one tensor is in memory at a time."""
    import torch

    # Larger numbers first, as the format's own library writes them, so that each lies where its size divides.
    entries = sorted(entries, key=lambda entry: (-_item_size(entry[1]), entry[0]))
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, kind, shape, _ in entries:
        begin, end = end, end + _item_size(kind)
        for extent in shape:
            end = begin + (end - begin) * extent
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(file, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for name, kind, shape, take in entries:
            tensor = take()
            if TYPES[str(tensor.dtype)] != kind or tuple(tensor.shape) != shape:
                raise AssertionError(f"{name} is not what was announced")
            stream.write(memoryview(tensor.contiguous().reshape(-1).view(torch.uint8).numpy()))


def _item_size(kind: str) -> int:
    return 1 if kind == "BOOL" else int(kind.lstrip("BFIU")) // 8


def _state_dict(checkpoint: Any, under: str) -> dict[str, Any]:
    """Name to tensor, on the CPU."""
    import torch

    if isinstance(checkpoint, dict) and under in checkpoint:
        checkpoint = checkpoint[under]
    if not isinstance(checkpoint, dict):
        raise ValueError(f"a {type(checkpoint).__name__}, expected a state dict")
    tensors: dict[str, Any] = {}
    for key, tensor in checkpoint.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{key!r} is a {type(tensor).__name__}, expected names and tensors alone")
        name = key.replace("module.", "")
        if name in tensors:
            raise ValueError(f"two tensors are named {name}")
        if tensor.layout != torch.strided or tensor.is_quantized or str(tensor.dtype) not in TYPES:
            raise ValueError(f"tensor {name} is not of plain numbers")
        tensors[name] = tensor.detach()
    return tensors


def _entry(name: str, tensor: Any, wide: bool) -> Entry:
    import torch

    if wide and tensor.dtype in (torch.float16, torch.bfloat16):
        return name, "F32", tuple(tensor.shape), tensor.float
    return name, TYPES[str(tensor.dtype)], tuple(tensor.shape), lambda: tensor


def main() -> int:
    """The child: checkpoint, safetensors file, the state dict's key and "wide" or "stored"; an error on stderr."""
    import torch

    checkpoint, tensors, under, kept = sys.argv[1:]
    _limit(os.path.getsize(checkpoint))
    try:
        # Mapped, what has been written can leave the memory; torch's format before 1.6, no zip file, cannot be.
        mapped = zipfile.is_zipfile(checkpoint)
        loaded = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # a damaged file may raise nearly anything
        print(f"not a checkpoint of plain tensors: {_reason(error)}", file=sys.stderr)
        return 1
    try:
        found = _state_dict(loaded, under)
        save_streamed(Path(tensors), [_entry(name, one, kept == "wide") for name, one in found.items()])
    except Exception as error:
        print(" ".join(str(error).split()) or "out of memory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
