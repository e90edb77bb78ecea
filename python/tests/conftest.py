"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("UNISIM_TEST_DATA", ROOT.parent / "shared" / "data"))


def test_data(name):
    """A file or folder of the real weights, photographs and tokenizers; skips the test, aloud, without it."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"no test data {name} (set UNISIM_TEST_DATA)")
    return path


test_data.__test__ = False


@pytest.fixture
def data():
    """test_data, as a fixture."""
    return test_data
