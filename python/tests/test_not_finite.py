"""A question whose logits overflow: NotFiniteError, and the fault of that question alone."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import tiny_vlms
import unisim
from benchmark_folders import QUESTIONS, lines_of, mmvp_folder

pytest_plugins = ["command_line"]
pytestmark = pytest.mark.usefixtures("own_world")

WORD = 1  # the question that has the word


@pytest.fixture(scope="module")
def vlm(tmp_path_factory):
    """A folder whose keys and queries overflow in float32 where one token of one of MMVP's questions is read.

    No embedding but that token's, and no row of a picture, has anything in the channel that the first norm makes large.
    """
    tiny = tiny_vlms.make("llava", tmp_path_factory.mktemp("overflow") / "tiny")
    asked = [set(tiny.tokenizer.encode(" ".join(question)).ids) for question in QUESTIONS]
    token = min(asked[WORD] - set.union(*(ids for k, ids in enumerate(asked) if k != WORD)))
    file, channel = tiny.folder / "model.safetensors", 5
    tensors = load_file(file)

    def named(end):
        (name,) = (name for name in tensors if name.endswith(end))
        return tensors[name]

    named("embed_tokens.weight")[:, channel] = 0
    named("embed_tokens.weight")[token, channel] = 1
    named("multi_modal_projector.linear_2.weight")[channel] = 0
    named("multi_modal_projector.linear_2.bias")[channel] = 0
    named("layers.0.input_layernorm.weight")[channel] = 1e37
    save_file(tensors, file, {"format": "pt"})
    return tiny.folder


def test_it_is_a_runtime_error_of_its_own(vlm):
    model = unisim.Vlm.load(vlm)
    assert unisim.NotFiniteError.__mro__[1] is RuntimeError
    question = " ".join(QUESTIONS[WORD])
    for ask in (
        lambda: model.choose([], question, ["A", "B"]),
        lambda: model.choose_many([([], QUESTIONS[0][0], ["A", "B"]), ([], question, ["A", "B"])]),
        lambda: model.generate([], question, 2),
    ):
        with pytest.raises(unisim.NotFiniteError, match="not finite"):
            ask()
    assert sum(model.choose([], QUESTIONS[0][0], ["A", "B"]).probabilities) == pytest.approx(1)


@pytest.mark.parametrize("mode", ["text", "probability"])
def test_it_costs_its_own_question_of_a_benchmark_alone(run, vlm, mode):
    folder = mmvp_folder("mmvp")
    command = ["answer", vlm, "mmvp", folder, "-o", "a.jsonl", "--max-new-tokens", 3, "--mode", mode, "--json"]
    code, out, err = run(*command)
    result = json.loads(out)
    assert code == 3 and (result["questions"], result["asked"]) == (6, 4)
    assert [one["name"] for one in result["failed"]] == ["3", "4"] and err.count("not finite") == 2
    assert [line["question_id"] for line in lines_of("a.jsonl") if line.get("failed")] == [3, 4]
    before = Path("a.jsonl").read_bytes()
    code, out, _ = run(*command)  # the others are not asked again
    assert code == 3 and json.loads(out)["asked"] == 0 and Path("a.jsonl").read_bytes() == before
