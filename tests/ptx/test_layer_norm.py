"""layer_norm from its PTX."""

import pytest

from .norm_rows import *  # its tests


@pytest.fixture
def source():
    return "cuda/layer_norm.cu"
