"""rms_norm from its PTX."""

import pytest

from .norm_rows import *  # its tests


@pytest.fixture
def source():
    return "cuda/rms_norm.cu"
