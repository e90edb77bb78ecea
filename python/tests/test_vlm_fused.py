"""The decoder by the library's own kernels on the CPU, beside LibTorch's operations.

Tolerance: float32 sums of a few thousand terms in another order are off by some 1e-6 of a logit.
"""

import json
import shutil

import numpy as np
import pytest

import tiny_vlms
import unisim

CHOICES = ("A", "B", "Yes", "No, not at all", "Image 2")
PROMPTS = (
    ("Is it? Say yes or no.", 0),
    ("<image>\nWhich colour has the cup, and why is it not the other one?", 1),
    ("Image 1 <image>, image 2 <image>. Which is sharper?", 2),
)


@pytest.fixture(scope="module", params=tiny_vlms.NAMES)
def both(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("fused") / "tiny"
    tiny_vlms.make(request.param, folder)
    return unisim.Vlm.load(folder, executor="aten"), unisim.Vlm.load(folder, executor="fused")


def asked():
    for seed, (prompt, count) in enumerate(PROMPTS):
        yield [np.asarray(picture) for picture in tiny_vlms.pictures(count, seed)], prompt


def test_fused_chooses_and_says_what_aten_does(both):
    aten, fused = both
    assert (aten.executor, fused.executor) == ("aten", "fused")
    for images, prompt in asked():
        ours, theirs = fused.choose(images, prompt, CHOICES), aten.choose(images, prompt, CHOICES)
        assert np.abs(np.subtract(ours.probabilities, theirs.probabilities)).max() < 1e-5
        assert np.allclose(ours.log_probabilities, theirs.log_probabilities, rtol=1e-6, atol=2e-5)
        logits, expected = fused.logits(images, prompt), aten.logits(images, prompt)
        assert (logits - expected).abs().max() < 1e-5 * max(1, expected.abs().max())
        said, same = (vlm.generate(images, prompt, 12, return_ids=True)[1] for vlm in both)
        for step in range(min(len(said), len(same))):
            if said[step] != same[step]:  # only where the two best are as good as one
                best = aten.logits(images, prompt).topk(2).values if step == 0 else None
                assert best is None or best[0] - best[1] < 1e-4
                break


def test_many_questions_share_and_keep_what_they_begin_with(both):
    aten, fused = both
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
