"""No command but get opens a network connection."""

import json
import socket

import pytest

import tiny_models
from unisim.cli.app import main

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


@pytest.fixture
def no_network(monkeypatch):
    """Every attempt to make a socket or to resolve a name fails the test, whoever makes it."""
    attempts = []

    def refused(*arguments, **options):
        attempts.append(arguments)
        raise AssertionError(f"a network connection: {arguments}")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket, "getaddrinfo", refused)
    yield
    assert attempts == []


def test_no_command_but_get_opens_a_socket(no_network, tmp_path, picture, capfd):
    model = str(tiny_models.dinov2_folder(tmp_path / "tiny", 1))
    a, b = picture("photos/a.png", 1), picture("photos/b.png", 2)
    for line, code in [
        (["models"], 0),
        (["doctor", model], 0),
        (["compare", "ssim", a, b], 0),
        (["compare", f"encoder:{model}", a, b], 0),
        (["compare", "lpips-alex", a, b], 1),  # not installed: an error, no download
        (["embed", model, "photos", "-o", "rows.npy"], 0),
        (["embed", "org/repo", "photos", "-o", "rows.npy"], 1),
        (["mine", "photos", "--alike", model, "--apart", "rows.npy", "-o", "p.csv", "--report", "p.html"], 0),
    ]:
        assert main(line) == code, (line, capfd.readouterr().err)


def test_a_model_that_is_there_is_got_without_a_network(no_network, tmp_path, capfd):
    folder = tiny_models.dinov2_folder(tmp_path / "cache/models/lpips-alex", 1)
    assert main(["get", "lpips-alex", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["path"] == str(folder)
