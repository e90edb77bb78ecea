"""unisim doctor."""

import json

import pytest

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")


def test_doctor_finds_a_working_installation(run, models):
    code, out, _ = run("doctor", models[0], "--json")
    found = json.loads(out)
    assert code == 0 and found["ok"] is True, found
    checks = {check["name"]: check for check in found["checks"]}
    assert {"unisim", "torch", "codecs", "decode", "resize", "cosine", "mine", "embed"} <= checks.keys()
    assert checks["model.safetensors"]["detail"].startswith("sha256 ")


def test_doctor_of_a_broken_model_fails_by_name(run, models, tmp_path):
    code, out, _ = run("doctor", "no-such-model", "--json")
    found = json.loads(out)
    assert code == 1 and not found["ok"]
    assert [c["name"] for c in found["checks"] if not c["ok"]] == ["load no-such-model"]
