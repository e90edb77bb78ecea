"""A model folder that is made whole or not at all."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unisim import cache


@contextlib.contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """Yields a new folder on the file system of `out`; what the block leaves in its sub-folder "made" becomes `out`.

    Raises
    ------
    ValueError
        If `out` is there.
    OSError
        If it cannot be written.
    """
    if out.exists() or out.is_symlink():
        raise ValueError(f"[convert] {out} is there already; give a name that is not")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.tmp-", dir=out.parent) as temporary:
        made = Path(temporary, "made")
        made.mkdir()
        yield Path(temporary)
        cache.publish(made, out)


def write_weights(tensors: dict[str, Any], made: Path) -> None:
    """model.safetensors, beside a config.json that is there."""
    import safetensors.numpy

    file = made / "model.safetensors"
    safetensors.numpy.save_file(tensors, file, metadata={"format": "pt"})
    file.chmod((made / "config.json").stat().st_mode)  # save_file leaves it readable by its owner alone
