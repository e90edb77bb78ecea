"""Perceptual similarity of images and texts.

The names below come from the extension, which brings LibTorch with it. They are loaded when first used, so that the
command line answers `--help` and its own errors at once.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisim._version import __version__

if TYPE_CHECKING:
    from unisim._core import *  # noqa: F403

    cmake_path: str

# One list of what there is: a name added here is found in the extension.
__all__ = [
    "BlindPair",
    "BlindPairs",
    "Encoder",
    "Failure",
    "Image",
    "Metric",
    "Ranking",
    "Text",
    "Tokenizer",
    "__version__",
    "additive_mof",
    "by_cosine",
    "center_crop",
    "cmake_path",
    "cosine",
    "cosine_rows",
    "interleaved_mof",
    "metric",
    "metric_names",
    "mine_blind_pairs",
    "read_image",
    "read_images",
    "resize",
]


def _cmake_path() -> str:
    """The folder of unisimConfig.cmake in an installed package: cmake -Dunisim_DIR=..., for find_package(unisim)."""
    core = importlib.util.find_spec("unisim._core")
    assert core is not None and core.origin is not None
    return str(Path(core.origin).parent / "lib" / "cmake" / "unisim")


def __getattr__(name: str) -> Any:
    if name == "cmake_path":
        return _cmake_path()
    if name != "_core" and name not in __all__:
        raise AttributeError(f"module 'unisim' has no attribute {name!r}")
    importlib.import_module("torch")  # LibTorch, before the extension asks for it
    core = importlib.import_module("unisim._core")
    return core if name == "_core" else getattr(core, name)


def __dir__() -> list[str]:
    return sorted(__all__)
