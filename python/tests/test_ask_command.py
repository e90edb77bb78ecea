"""`unisim ask`: what it prints is what Vlm says, and what it does not understand is a mistake of usage."""

import json

import numpy as np
import pytest

import tiny_vlms
import unisim

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")

WHICH = "Which is sharper, <image> or <image>?"
CHOICES = ["A", "B", "No, not at all"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_vlms.make("llava", tmp_path_factory.mktemp("ask") / "tiny").folder


@pytest.fixture(scope="module")
def vlm(folder):
    return unisim.Vlm.load(folder)


@pytest.fixture
def images(picture):
    return [picture("a.png", 1), picture("b.png", 2, (64, 30))]


@pytest.fixture
def loaded(monkeypatch):
    """The models that commands load."""
    found, load = [], unisim.Vlm.load

    def recording(*arguments, **options):
        found.append(load(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(unisim.Vlm, "load", staticmethod(recording))
    return found


def chosen_of(out):
    """(probabilities, log probabilities, choices, coverage) of the printed table."""
    *rows, coverage = [line.split(None, 2) for line in out.splitlines() if line.strip(" ─")][1:]
    return [float(p) for p, _, _ in rows], [float(l) for _, l, _ in rows], [c.strip() for *_, c in rows], coverage


# ---- generating ----------------------------------------------------------------------------------------------------


def test_without_choices_it_prints_what_the_model_says(run, folder, vlm, images):
    said = vlm.generate(images, WHICH, 6)
    assert run("ask", folder, WHICH, *images, "--max-new-tokens", 6) == (0, said + "\n", "")
    code, out, _ = run("ask", folder, WHICH, *images, "--max-new-tokens", 6, "--json")
    assert code == 0
    result = json.loads(out)
    assert result["text"] == said and result["images"] == images and result["dtype"] == "float32"
    code, out, _ = run("ask", folder, "Is it?", "--json")
    assert code == 0 and json.loads(out)["text"] == vlm.generate([], "Is it?", 64)
    assert vlm.generate([], "Is it?", 64) != vlm.generate([], "Is it?", 6)


def test_a_raw_prompt_is_asked_as_it_stands(run, folder, vlm, images):
    raw = "USER: <image>\nWhat? ASSISTANT:"
    said = vlm.generate(images[:1], raw, 6, template="raw")
    command = ["ask", folder, raw, images[0], "--max-new-tokens", 6]
    assert run(*command, "--template", "raw")[1] == said + "\n"
    assert run(*command)[1] == vlm.generate(images[:1], raw, 6) + "\n" != said + "\n"
    code, _, err = run(*command, "--template", "nobody")
    assert code == 1 and 'the template "nobody" is none of' in err and "llava_hf" in err


# ---- choosing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelled", [["--choices", *CHOICES], [f"--choices={c}" for c in CHOICES],
                                     ["--choices=A", *CHOICES[1:]]])  # fmt: skip
def test_choices_have_the_probabilities_of_choose(run, folder, vlm, images, spelled):
    expected = vlm.choose(images, WHICH, CHOICES)
    code, out, err = run("ask", folder, WHICH, *images, *spelled)
    assert (code, err) == (0, "")
    probabilities, logs, names, coverage = chosen_of(out)
    assert names == CHOICES and np.allclose(probabilities, expected.probabilities, atol=6e-5)
    assert np.allclose(logs, expected.log_probabilities, atol=2e-4)
    assert coverage[0] == "coverage" and float(coverage[1]) == pytest.approx(expected.coverage, rel=1e-3)
    code, out, _ = run("ask", folder, WHICH, *images, *spelled, "--json")
    result = json.loads(out)
    assert [one["text"] for one in result["choices"]] == CHOICES and result["best"] == CHOICES[expected.best]
    assert [one["probability"] for one in result["choices"]] == pytest.approx(expected.probabilities, abs=1e-6)
    assert [one["log_probability"] for one in result["choices"]] == pytest.approx(
        expected.log_probabilities, abs=1e-4
    )
    assert code == 0 and result["coverage"] == pytest.approx(expected.coverage)


def test_a_choice_that_begins_with_a_dash_is_given_by_itself(run, folder, vlm):
    code, out, _ = run("ask", folder, "Which number?", "--choices=-1", "--choices=--json", "1", "-", "--json")
    result = json.loads(out)
    assert code == 0 and [one["text"] for one in result["choices"]] == ["-1", "--json", "1", "-"]
    expected = vlm.choose([], "Which number?", ["-1", "--json", "1", "-"]).probabilities
    assert [one["probability"] for one in result["choices"]] == pytest.approx(expected, abs=1e-6)


def test_options_may_stand_behind_the_choices_and_before_them(run, folder, vlm, images):
    expected = vlm.choose(images, WHICH, CHOICES).probabilities
    for command in (
        ["--choices", *CHOICES, "--json", "--", folder, WHICH, *images],
        ["--json", folder, WHICH, *images, "--choices", *CHOICES],
    ):
        code, out, _ = run("ask", *command)
        assert code == 0
        found = [one["probability"] for one in json.loads(out)["choices"]]
        assert found == pytest.approx(expected, abs=1e-6)


def test_length_and_first_token_are_those_of_choose(run, folder, vlm):
    for option, named in ((["--length", "mean"], {"length": "mean"}), (["--length", "sum"], {}),
                          (["--first-token"], {"first_token": True})):  # fmt: skip
        code, out, _ = run("ask", folder, "Is it?", "--choices", *CHOICES, *option, "--json")
        assert code == 0
        found = [one["probability"] for one in json.loads(out)["choices"]]
        assert found == pytest.approx(vlm.choose([], "Is it?", CHOICES, **named).probabilities, abs=1e-6)
    mean, first = vlm.choose([], "Is it?", CHOICES, length="mean"), vlm.choose([], "Is it?", CHOICES, first_token=True)
    plain = vlm.choose([], "Is it?", CHOICES)
    assert plain.probabilities != mean.probabilities != first.probabilities


# ---- looking at the prompt -----------------------------------------------------------------------------------------


def test_show_prompt_counts_the_tokens_and_computes_nothing(run, folder, vlm, images, loaded):
    seen = vlm.prompt(images, WHICH)
    code, out, _ = run("ask", folder, WHICH, *images, "--show-prompt", "--choices", "A", "B")
    text, *lines = out.splitlines()
    assert code == 0 and text == seen.text and "USER: " in text
    rows = [line.split() for line in lines if line.strip(" ─")][1:]
    assert rows[:2] == [["picture", str(k), str(at), str(n)] for k, (at, n) in enumerate(seen.pictures, 1)]
    words = len(seen.ids) - sum(n for _, n in seen.pictures)
    assert rows[2:] == [["text", str(words)], ["all", str(len(seen.ids))]] and seen.pictures[0][1] == 9
    code, out, _ = run("ask", folder, WHICH, *images, "--show-prompt", "--json")
    result = json.loads(out)
    assert code == 0 and result["prompt"] == seen.text and result["tokens"] == len(seen.ids)
    assert result["pictures"] == [{"at": at, "tokens": n} for at, n in seen.pictures] and "text" not in result
    assert len(loaded) == 2
    assert all(one.counts.decoder_rows == one.counts.tower_tiles == 0 for one in loaded)


# ---- mistakes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, complaint",
    [
        (["--choices"], "--choices misses a choice"),
        (["--choices", "--json"], "--choices misses a choice"),
        (["--choices", "-1"], "--choices=-1"),
        (["--choices", "--", "A"], "--choices misses a choice"),
        (["--choices", "A", "--choices"], "--choices misses a choice"),
        (["--length", "mean"], "--length needs --choices"),
        (["--first-token"], "--first-token needs --choices"),
        (["--length", "bad"], "'bad'"),
        (["--length", "bad", "--choices", "A", "B"], "'bad'"),
        (["--length", "bad", "--show-prompt"], "'bad'"),
        (["--max-new-tokens", "4", "--choices", "A", "B"], "--max-new-tokens is of a generated answer"),
        (["--max-new-tokens", "0"], "--max-new-tokens"),
    ],
)
def test_an_option_that_would_do_nothing_is_a_mistake_of_usage(run, folder, loaded, arguments, complaint):
    code, out, err = run("ask", folder, "Is it?", *arguments)
    assert (code, out) == (2, "") and complaint in err and err.count("\n") == 1
    assert not loaded


@pytest.mark.parametrize(
    "marks, arguments, complaint",
    [
        (3, [], "the prompt marks 3 pictures by <image>, 2 are given"),
        (1, ["--choices", "A", "B"], "the prompt marks 1 picture by <image>, 2 are given"),
        (1, ["--show-prompt"], "the prompt marks 1 picture by <image>, 2 are given"),
        (1, ["--template", "raw"], "the raw prompt marks 1 picture, 2 are given"),
        (2, ["--choices", "A", ""], "a choice is empty"),
        (2, ["--choices="], "a choice is empty"),
        (2, ["--choices", "A", "B", "A"], 'the choice "A" is there twice'),
        (2, ["--choices", "Image 1", "Image 2", "--first-token"], "begin with the same token"),
    ],
)
def test_what_cannot_be_asked_is_an_error_that_says_why(run, folder, images, marks, arguments, complaint):
    code, out, err = run("ask", folder, "<image>" * marks + " Which?", *images, *arguments)
    assert (code, out) == (1, "") and complaint in err and err.startswith("unisim: error: ")


def test_a_picture_or_a_model_that_is_not_there_is_named(run, folder, images):
    code, out, err = run("ask", folder, WHICH, images[0], "nowhere.png")
    assert (code, out) == (1, "") and "nowhere.png: No such file" in err
    with open("none.png", "wb") as file:
        file.write(b"no picture")
    code, _, err = run("ask", folder, WHICH, images[0], "none.png")
    assert code == 1 and "none.png" in err
    code, out, err = run("ask", "photos", "Is it?")
    assert (code, out) == (1, "") and "photos" in err
    (folder.parent / "empty").mkdir(exist_ok=True)
    code, _, err = run("ask", folder.parent / "empty", "Is it?")
    assert code == 1 and "empty" in err and "config.json" in err


def test_a_picture_behind_the_choices_is_no_choice(run, folder, loaded, images):
    code, out, err = run("ask", folder, "Which is sharper?", "--choices", "A", "B", *images)
    assert (code, out, loaded) == (2, "", []) and "a.png is a file: pictures stand before it" in " ".join(err.split())
