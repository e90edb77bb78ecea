"""The fixture of `unisim convert vlm`'s tests."""

import json

import pytest

from unisim.cli.app import main


@pytest.fixture
def convert(tmp_path, capfd):
    """The command: (exit code, stdout as JSON, stderr); a failure leaves nothing and says one line."""

    def convert(folder, *options):
        capfd.readouterr()
        code = main(
            ["convert", "vlm", str(folder), "-o", str(tmp_path / "out"), "--json", *map(str, options)]
        )
        out, err = capfd.readouterr()
        if code:
            assert not list(tmp_path.glob("*out*"))
            assert len(err.splitlines()) == 1
        return code, json.loads(out) if code == 0 else None, err

    return convert
