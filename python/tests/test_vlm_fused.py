"""The decoder by the library's own kernels on the CPU, beside LibTorch's operations.

Tolerance: float32 sums of a few thousand terms in another order are off by some 1e-6 of a logit. A greedy token is compared
up to the first step where float64 itself has the two best within 1e-4.
"""

import json
import shutil

import numpy as np
import pytest

import tiny_vlms
import unisim
from test_vlm import steps

CHOICES = ("A", "B", "Yes", "No, not at all", "Image 2")
PROMPTS = (
    ("Is it? Say yes or no.", 0),
    ("<image>\nWhich colour has the cup, and why is it not the other one?", 1),
    ("Image 1 <image>, image 2 <image>. Which is sharper?", 2),
)


@pytest.fixture(scope="module", params=tiny_vlms.NAMES)
def both(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fused") / "tiny"
    reference = tiny_vlms.make(request.param, folder)
    return (unisim.Vlm.load(folder, executor="aten"), unisim.Vlm.load(folder, executor="fused")), reference


def asked():
    for seed, (prompt, count) in enumerate(PROMPTS):
        pictures = tiny_vlms.pictures(count, seed)
        yield pictures, [np.asarray(picture) for picture in pictures], prompt


def steps_decided(reference, prompt, pictures, said):
    """How many steps of an answer float64 decides, the one that ends it among them."""
    for step, logits in enumerate(steps(reference, reference.ids(prompt, pictures), pictures, said)):
        best = logits.topk(2).values
        if float(best[0] - best[1]) < 1e-4:
            return step
    return len(said) + 1


def test_fused_chooses_and_says_what_aten_does(both):
    (aten, fused), reference = both
    assert (aten.executor, fused.executor) == ("aten", "fused")
    tokens = compared = 0
    for pictures, images, prompt in asked():
        ours, theirs = fused.choose(images, prompt, CHOICES), aten.choose(images, prompt, CHOICES)
        assert np.abs(np.subtract(ours.probabilities, theirs.probabilities)).max() < 1e-5
        assert np.allclose(ours.log_probabilities, theirs.log_probabilities, rtol=1e-6, atol=2e-5)
        logits, expected = fused.logits(images, prompt), aten.logits(images, prompt)
        assert (logits - expected).abs().max() < 1e-5 * max(1, expected.abs().max())
        said, same = (vlm.generate(images, prompt, 12, return_ids=True)[1] for vlm in (fused, aten))
        decided = steps_decided(reference, prompt, pictures, same)
        assert said[:decided] == same[:decided]  # so of the same length, if no step was open
        tokens += len(same)
        compared += min(decided, len(same))
    assert compared > 0.5 * tokens, f"only {compared} of {tokens} greedy tokens could be compared"


def test_many_questions_share_and_keep_what_they_begin_with(both):
    (aten, fused), _ = both
    images = [np.asarray(picture) for picture in tiny_vlms.pictures(2, 9)]
    start = "<image><image>\nA long beginning that all of these questions have, word for word. "
    items = [(images, f"{start}{k}: is A or B better?", ("A", "B")) for k in range(6)]
    for _ in range(2):  # the second time behind what was kept
        for ours, theirs in zip(fused.choose_many(items), aten.choose_many(items), strict=True):
            assert np.abs(np.subtract(ours.probabilities, theirs.probabilities)).max() < 1e-5
    assert fused.counts.prefix_rows == aten.counts.prefix_rows > 0
    assert fused.counts.decoder_rows == aten.counts.decoder_rows


def test_heads_that_no_kernel_takes_stay_with_aten(tmp_path):
    tiny_vlms.make("llava", tmp_path / "tiny")
    shutil.copytree(tmp_path / "tiny", tmp_path / "narrow")
    file = tmp_path / "narrow" / "config.json"
    config = json.loads(file.read_bytes())
    text = config["text_config"]
    for key in ("num_attention_heads", "num_key_value_heads"):
        text[key] *= 2
    text["head_dim"] = text["hidden_size"] // text["num_attention_heads"]
    assert text["head_dim"] % 8 != 0
    file.write_text(json.dumps(config))
    vlm = unisim.Vlm.load(tmp_path / "narrow", executor="fused")
    assert vlm.executor == "aten"
    assert "multiples of 8" in dict(vlm.facts)["executor"]
    assert unisim.Vlm.load(tmp_path / "tiny").executor == "aten"
    with pytest.raises(ValueError, match='executor "cuda" is neither auto nor fused nor aten'):
        unisim.Vlm.load(tmp_path / "tiny", executor="cuda")
