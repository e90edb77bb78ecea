"""Checkpoints of torch.save, read without running anything that they name.

A child process reads the pickle with torch's own restricted reader (weights_only=True), under limits on memory and on
what it may write, and hands back nothing but the tensors of the state dict, as a safetensors file.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

TIME_LIMIT = 600  # seconds
ROOM = 2 << 30  # bytes of address space for the child, besides what torch itself and the tensors take


def read(checkpoint: Path, tensors: Path) -> None:
    """Write the tensors of a checkpoint's state dict to the safetensors file `tensors`.

    The state dict is what stands under the key "state_dict", else the checkpoint itself. "module." is taken out of the
    names, numbers of 16 bits become float32, which changes none of them.

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


def _state_dict(checkpoint: Any) -> dict[str, Any]:
    """Name to tensor, on the CPU, each with memory of its own."""
    import torch

    if isinstance(checkpoint, dict) and "state_dict" in checkpoint:
        checkpoint = checkpoint["state_dict"]
    if not isinstance(checkpoint, dict):
        raise ValueError(f"a {type(checkpoint).__name__}, expected a state dict")
    tensors: dict[str, Any] = {}
    for key, tensor in checkpoint.items():
        if not isinstance(key, str) or not isinstance(tensor, torch.Tensor):
            raise ValueError(f"{key!r} is a {type(tensor).__name__}, expected names and tensors alone")
        name = key.replace("module.", "")
        if name in tensors:
            raise ValueError(f"two tensors are named {name}")
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise ValueError(f"tensor {name} is not of plain numbers")
        if tensor.dtype in (torch.float16, torch.bfloat16):
            tensor = tensor.float()
        tensors[name] = tensor.detach().contiguous().clone()
    return tensors


def main() -> int:
    """The child: checkpoint and safetensors file as arguments, an error on stderr."""
    import safetensors.torch
    import torch

    checkpoint, tensors = sys.argv[1:]
    _limit(os.path.getsize(checkpoint))
    try:
        loaded = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file may raise nearly anything
        print(f"not a checkpoint of plain tensors: {_reason(error)}", file=sys.stderr)
        return 1
    try:
        safetensors.torch.save_file(_state_dict(loaded), tensors)
    except Exception as error:
        print(" ".join(str(error).split()) or "out of memory", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
