"""Perceptual similarity of images and texts."""

import torch  # noqa: F401  loads LibTorch before the extension asks for it

from unisim import _core

__version__ = _core.__version__
