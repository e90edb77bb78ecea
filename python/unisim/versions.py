"""Versions of unisim and of what its numbers depend on."""

import platform
from typing import Any

from unisim import __version__


def versions() -> dict[str, str]:
    """Name to version: unisim, Python, torch, the CUDA kernels, the image libraries, as far as they can be told."""
    import numpy
    import PIL
    import torch

    from unisim import _core

    found: dict[str, Any] = {
        "unisim": __version__,
        "Python": platform.python_version(),
        "torch": torch.__version__,
        "CUDA kernels": "built" if _core.built_with_cuda else "not built",
        "codecs": codecs(),
        "numpy": numpy.__version__,
        "Pillow": PIL.__version__,
    }
    return {name: str(value) for name, value in found.items()}


def codecs() -> str:
    """The image formats and the libraries that read them."""
    from unisim import _core

    linked = getattr(_core, "codecs", None)
    native = ", ".join(f"{name} {version}" for name, version in linked().items()) if linked else "JPEG, PNG, WebP"
    return f"{native}; other formats by Pillow"
