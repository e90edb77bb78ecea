"""Vlm against transformers in float64, on eight tiny folders: what it reads, chooses and says.

Tolerances: float32 sums of a few thousand terms are off by some 1e-6 of a logit, a probability by less than 1e-5. A
greedy token is compared up to the first step where float64 itself has the two best within 1e-4.
"""

import functools
import json
import shutil

import numpy as np
import pytest
import torch

import tiny_vlms
import unisim

PROMPTS = (
    ("Hello.", 0),
    ("Is it? Say yes or no.", 0),
    ("<image>\nWhat is it?", 1),
    ("Look at <image> once more.", 1),
    ("<image>\nWhich colour has the cup, and why is it not the other one?", 1),
    ("Image 1 <image>, image 2 <image>. Which is sharper?", 2),
    ('"<image>" against "<image>"', 2),
    ("Here: <image> <image> <image>. Which one (A, B, C) is odd?\nOptions:\n(A) 1\n(B) 2\n(C)3", 3),
    ("<image><image><image>", 3),
    ("Ein Fuß, 日本語 and <image>: \t two\n\nlines.", 1),
)
CHOICES = ("A", "B", "Yes", "No, not at all", "Image 2")


def array(image):
    return np.asarray(image)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """(reference, ours) by name, made when first asked for."""

    @functools.cache
    def made(name):
        folder = tmp_path_factory.mktemp("vlm") / name
        return tiny_vlms.make(name, folder), unisim.Vlm.load(folder)

    return made


def reference_logs(vlm, ids, pictures, answer, longest=0):
    """log p of each token of an answer behind the prompt, [tokens] float64.

    Phi-3's rotary factors depend on the length of all: what stands behind the answer brings it to the longest's.
    """
    behind = [answer[0]] * (longest - len(answer))
    logs = vlm.logits(list(ids) + list(answer) + behind, pictures).log_softmax(-1)
    return [float(logs[len(ids) - 1 + k, token]) for k, token in enumerate(answer)]


@pytest.mark.parametrize("name", tiny_vlms.NAMES)
def test_prompts_choices_and_tokens_are_those_of_transformers(tiny, name):
    vlm, ours = tiny(name)
    tokens = compared = 0
    for seed, (prompt, count) in enumerate(PROMPTS):
        pictures = tiny_vlms.pictures(count, seed)
        images = [array(picture) for picture in pictures]
        ids = vlm.ids(prompt, pictures)
        assert ours.encode(images, prompt) == ids
        expected = vlm.logits(ids, pictures)[-1]
        found = ours.logits(images, prompt)
        assert (found.double().softmax(-1) - expected.softmax(-1)).abs().max() < 1e-5
        chosen = ours.choose(images, prompt, CHOICES)
        answers = [vlm.tokenizer.encode(choice, add_special_tokens=False).ids for choice in CHOICES]
        longest = max(map(len, answers))
        sums = [sum(reference_logs(vlm, ids, pictures, answer, longest)) for answer in answers]
        logs = torch.tensor(sums, dtype=torch.float64)
        assert np.abs(np.array(chosen.probabilities) - logs.softmax(0).numpy()).max() < 1e-5
        assert chosen.best == int(logs.argmax()) and abs(chosen.coverage - float(logs.exp().sum())) < 1e-5
        assert np.allclose(chosen.log_probabilities, logs, atol=1e-4)
        tokens += 64
        compared += greedy_is_the_same(vlm, ours, ids, prompt, pictures, images)
    assert compared > 0.5 * tokens, f"only {compared} of {tokens} greedy tokens could be compared"


def greedy_is_the_same(vlm, ours, ids, prompt, pictures, images):
    """How many tokens were compared: all, up to a step that float64 leaves open."""
    _, said = ours.generate(images, prompt, 64, return_ids=True)
    for step, logits in enumerate(steps(vlm, ids, pictures, said)):
        best = logits.topk(2)
        if step == len(said) or float(best.values[0] - best.values[1]) < 1e-4:
            return step
        assert said[step] == int(best.indices[0]), (vlm.name, prompt, step)
    return len(said)


@torch.no_grad()
def steps(vlm, ids, pictures, said):
    """float64 logits of each step of an answer: at once, but where a step depends on when it is made (Phi-3: keys keep the
    factors of the length at which they were made)."""
    if vlm.name != "internvl_phi3":
        yield from vlm.logits(list(ids) + said, pictures)[len(ids) - 1 :]
        return
    rows, cache = vlm.embeds(ids, pictures), None
    for token in [*said, None]:
        out = vlm.model(inputs_embeds=rows, past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        yield out.logits[0, -1]
        if token is not None:
            rows = vlm.model.get_input_embeddings()(torch.tensor([[token]]))


def test_two_pictures_in_each_others_places_move_a_choice(tiny):
    for name in tiny_vlms.NAMES:
        _, ours = tiny(name)
        moved = 0.0
        for seed, (prompt, count) in enumerate(PROMPTS):
            if count == 2:
                a, b = (array(picture) for picture in tiny_vlms.pictures(2, seed))
                one, other = (ours.choose(pair, prompt, CHOICES).probabilities for pair in ((a, b), (b, a)))
                moved = max(moved, np.abs(np.array(one) - other).max())
        assert moved > 1e-3, name


def test_many_at_once_are_each_alone_and_no_row_is_padding(tiny):
    vlm, _ = tiny("interleave")
    # Nothing is kept from one question to the next.
    ours, many = (unisim.Vlm.load(vlm.folder, prefix_bytes=0) for _ in range(2))
    items = []
    for k in range(16):
        pictures = [array(picture) for picture in tiny_vlms.pictures(k % 3, k)]
        prompt = f"{k} " + "word " * (3 * k) + "<image>" * len(pictures)
        items.append((pictures, prompt, CHOICES[: 2 + k % 4]))
    alone = [ours.choose(*item) for item in items]
    progress = []
    together = many.choose_many(items, progress=lambda done, total: progress.append((done, total)))
    for one, other in zip(alone, together, strict=True):
        assert np.abs(np.array(one.probabilities) - other.probabilities).max() < 1e-6
        assert abs(one.coverage - other.coverage) < 1e-6
    rows = sum(
        len(ours.encode(pictures, prompt))
        + sum(len(vlm.tokenizer.encode(c, add_special_tokens=False).ids) - 1 for c in choices)
        for pictures, prompt, choices in items
    )
    assert ours.counts.decoder_rows == rows == many.counts.decoder_rows
    assert progress[-1] == (16, 16)


def test_a_short_item_keeps_its_rotary_factors_beside_a_long_one(tiny):
    """Phi-3's factors are those of each item's own length, whatever is asked with it."""
    vlm, _ = tiny("internvl_phi3")
    ours = unisim.Vlm.load(vlm.folder, prefix_bytes=0)
    items = [([], "Hello.", ("A", "B")), ([], "word " * 60, ("A", "B")), ([], "Is it?", ("A", "B"))]
    alone = [ours.choose(*item).log_probabilities for item in items]
    together = [choice.log_probabilities for choice in ours.choose_many(items)]
    assert np.abs(np.array(alone) - together).max() < 1e-5


def test_the_model_may_be_asked_from_its_own_progress(tiny):
    _, ours = tiny("interleave")
    counts = []

    def ask(done, total):
        counts.append((ours.counts.decoder_rows, ours.choose([], "Inside.", ("A", "B")).best))

    said = ours.generate([], "Hello.", 4)
    assert ours.generate([], "Hello.", 4, progress=ask) == said and counts


def test_what_is_kept_stays_within_its_bound(tiny):
    """Of a prompt of 20 rows the keys are kept, not the room for what was said behind them."""
    import resource

    vlm, _ = tiny("interleave")
    ours = unisim.Vlm.load(vlm.folder, prefix_bytes=1 << 20)
    ours.generate([], "Warm up.", 8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for k in range(60):
        ours.generate([], f"Question {k}", 700, stop=ours.generate([], f"Question {k}", 1) or None)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 12_000  # kB


def test_greedy_text_heeds_the_repetition_penalty_and_refuses_what_it_does_not_do(tiny, tmp_path):
    vlm, _ = tiny("interleave")
    folder = tmp_path / "penalty"
    shutil.copytree(vlm.folder, folder)
    file = folder / "generation_config.json"
    config = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(config | {"repetition_penalty": 1.3}))
    ours = unisim.Vlm.load(folder)
    _, said = ours.generate([], "Hello.", 16, return_ids=True)
    ids = vlm.ids("Hello.")
    for step, logits in enumerate(vlm.logits(ids + said)[len(ids) - 1 : -1]):
        seen = torch.tensor(sorted({*ids, *said[:step]}))
        logits[seen] = torch.where(logits[seen] > 0, logits[seen] / 1.3, logits[seen] * 1.3)
        best = logits.topk(2).values
        assert float(best[0] - best[1]) < 1e-4 or said[step] == int(logits.argmax())
    assert said != unisim.Vlm.load(vlm.folder).generate([], "Hello.", 16, return_ids=True)[1]
    file.write_text(json.dumps(config | {"no_repeat_ngram_size": 3}))
    ours = unisim.Vlm.load(folder)
    assert ours.choose([], "Hello.", ("A", "B")).best in (0, 1)
    with pytest.raises(NotImplementedError, match="no_repeat_ngram_size"):
        ours.generate([], "Hello.", 4)


def test_one_prefill_reads_off_all_choices(tiny):
    vlm, ours = tiny("llava")
    before = ours.counts.decoder_rows
    prompt = "A prompt that nobody asked before: one, two, three?"
    ours.choose([], prompt, ("A", "B"))
    length = len(ours.encode([], prompt))
    assert ours.counts.decoder_rows - before <= length  # two answers of one token add no row
    assert vlm.tokenizer.encode("A", add_special_tokens=False).ids[1:] == []


def test_pictures_and_prompts_seen_before_are_found_again(tiny):
    vlm, _ = tiny("interleave")
    ours = unisim.Vlm.load(vlm.folder)
    pictures = [array(picture) for picture in tiny_vlms.pictures(3)]
    first = ours.choose(pictures, "<image><image><image> Which one?", ("A", "B"))
    assert (ours.counts.tower_tiles, ours.counts.features_found) == (3, 0)
    rows = ours.counts.decoder_rows
    second = ours.choose(pictures, "<image><image><image> And which is odd?", ("A", "B"))
    assert ours.counts.tower_tiles == 3 and ours.counts.prefix_rows > 27
    assert ours.counts.decoder_rows - rows < 20  # the words behind the pictures
    cold = unisim.Vlm.load(vlm.folder, feature_bytes=0, prefix_bytes=0)
    for one, prompt in ((first, "Which one?"), (second, "And which is odd?")):
        again = cold.choose(pictures, f"<image><image><image> {prompt}", ("A", "B"))
        assert np.abs(np.array(one.probabilities) - again.probabilities).max() < 1e-6
    assert (cold.counts.tower_tiles, cold.counts.features_found, cold.counts.prefix_rows) == (6, 0, 0)
    other = ours.choose(pictures[::-1], "<image><image><image> Which one?", ("A", "B"))
    assert ours.counts.tower_tiles == 3 and ours.counts.features_found >= 3
    assert other.probabilities != first.probabilities


def test_without_kept_prefixes_no_bit_depends_on_what_was_asked_before(tiny):
    vlm, _ = tiny("interleave")
    ours, fresh = (unisim.Vlm.load(vlm.folder) for _ in range(2))
    pictures = [array(picture) for picture in tiny_vlms.pictures(3)]
    asked = (pictures, "<image><image><image> Which one is it, and why?", CHOICES)
    others = [(pictures, f"<image><image><image> Which one {end}", CHOICES) for end in ("is odd?", "is it, or?")]
    expected = fresh.choose(*asked, kept_prefixes=False).log_probabilities
    said = fresh.generate(*asked[:2], 12, kept_prefixes=False, return_ids=True)
    ours.choose(*others[0])
    ours.generate(*others[1][:2], 4)
    assert ours.counts.prefix_rows > 0
    before = ours.counts.prefix_rows
    for _ in range(2):
        assert ours.choose(*asked, kept_prefixes=False).log_probabilities == expected
        assert ours.generate(*asked[:2], 12, kept_prefixes=False, return_ids=True) == said
        (alone,) = ours.choose_many([asked], kept_prefixes=False)
        assert alone.log_probabilities == expected
    assert ours.counts.prefix_rows == before
    # Nor was it kept: what follows finds the rows of `others` alone, and behind them the same question none of its own.
    assert fresh.counts.prefix_rows == 0
    fresh.choose(*asked)
    assert fresh.counts.prefix_rows == 0
    fresh.choose(*asked)
    assert fresh.counts.prefix_rows > 27


def test_many_have_the_earlier_turns_in_front_of_each(tiny):
    vlm, _ = tiny("interleave")
    ours = unisim.Vlm.load(vlm.folder, prefix_bytes=0)
    pictures = [array(picture) for picture in tiny_vlms.pictures(3)]
    before = [("What is <image>?", 1, "A cup."), ("And this?", 0, "A hat.")]
    items = [
        (pictures[:2], "Which of <image>?", ("A", "B")),
        (pictures[::2], "Is it?", ("Yes", "No, not at all")),
    ]
    together = ours.choose_many(items, before=before)
    for item, choice in zip(items, together, strict=True):
        alone = ours.choose(*item, before=before)
        assert np.abs(np.array(choice.log_probabilities) - alone.log_probabilities).max() < 1e-5
        other = ours.choose(item[0][1:], *item[1:])
        assert np.abs(np.array(choice.log_probabilities) - other.log_probabilities).max() > 1e-3
    with pytest.raises(ValueError, match="item 0: .*an earlier turn has 1 pictures, 0 are left"):
        ours.choose_many([([], "Is it?", ("A", "B"))], before=before)


def test_length_and_first_token(tiny):
    vlm, ours = tiny("interleave")
    ids = vlm.ids("Hello.")
    choices = ("A", "No, not at all")
    answers = [vlm.tokenizer.encode(choice, add_special_tokens=False).ids for choice in choices]
    logs = [reference_logs(vlm, ids, [], answer) for answer in answers]
    mean = torch.tensor([sum(each) / len(each) for each in logs], dtype=torch.float64)
    assert np.allclose(ours.choose([], "Hello.", choices, length="mean").probabilities, mean.softmax(0), atol=1e-5)
    first = torch.tensor([each[0] for each in logs], dtype=torch.float64)
    found = ours.choose([], "Hello.", choices, first_token=True)
    assert np.allclose(found.probabilities, first.softmax(0), atol=1e-5)


@pytest.mark.parametrize(
    ("images", "prompt", "choices", "options", "message"),
    [
        (1, "<image> <image>", ("A", "B"), {}, "2"),
        (2, "<image>", ("A", "B"), {}, "1"),
        (0, "Hi", ("A", ""), {}, "a choice is empty"),
        (0, "Hi", ("A", "A"), {}, 'the choice "A" is there twice'),
        (0, "Hi", (), {}, "no choices"),
        (0, "Hi", ("\u00e9", "e\u0301"), {}, "are the same tokens"),
        (0, "", ("A", "B"), {"template": "raw"}, "the prompt is empty"),
        (0, "Hi", ("Image 1", "Image 2"), {"first_token": True}, "begin with the same token"),
        (0, "Hi", ("A", "B"), {"template": "nobody"}, "interleave_hf"),
        (0, "Hi", ("A", "B"), {"length": "max"}, "neither sum nor mean"),
        (0, "word " * 40_000, ("A", "B"), {}, "may follow; .* reads 4096$"),
    ],
)
def test_what_cannot_be_asked_is_refused(tiny, images, prompt, choices, options, message):
    _, ours = tiny("interleave")
    pictures = [array(picture) for picture in tiny_vlms.pictures(images)]
    with pytest.raises(ValueError, match=message):
        ours.choose(pictures, prompt, choices, **options)


def test_many_name_the_item_at_fault_and_a_long_prompt_can_be_looked_at(tiny):
    _, ours = tiny("interleave")
    with pytest.raises(ValueError, match="^item 1: .*a choice is empty"):
        ours.choose_many([([], "Hi", ("A", "B")), ([], "Hi", ("A", ""))])
    assert len(ours.encode([], "word " * 40_000)) > 4096


def test_a_choice_that_goes_on_from_another_is_covered_by_it(tiny):
    _, ours = tiny("interleave")
    one = ours.choose([], "Hello.", ("Image", "Image 2"))
    assert one.coverage == pytest.approx(np.exp(one.log_probabilities[0]))


def test_generation_ends_by_a_text_and_by_a_bound(tiny):
    _, ours = tiny("interleave")
    text, ids = ours.generate([], "Hello.", 12, return_ids=True)
    assert len(ids) <= 12 and isinstance(text, str)
    assert ours.generate([], "Hello.", 12) == text
    stop = text[len(text) // 2 :][:3]
    assert stop and ours.generate([], "Hello.", 12, stop=stop) == text[: text.index(stop)]
    seen = []
    ours.generate([], "Hello.", 5, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(k + 1, 5) for k in range(len(seen))]

    def stops(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ours.generate([], "Hello.", 5, progress=stops)


def test_bfloat16_is_as_near_to_float64_as_transformers_is(tiny):
    """At most 1.5 times as far, over all prompts: both round every row to 8 bits."""
    for name in ("llava", "interleave", "internvl_phi3"):
        vlm, _ = tiny(name)
        ours = unisim.Vlm.load(vlm.folder, dtype="bfloat16")
        apart, theirs = [], []
        narrow = type(vlm.model).from_pretrained(vlm.folder, dtype=torch.bfloat16).eval()
        for seed, (prompt, count) in enumerate(PROMPTS):
            pictures = tiny_vlms.pictures(count, seed)
            ids = vlm.ids(prompt, pictures)
            exact = vlm.logits(ids, pictures)[-1].softmax(-1)
            inputs = {k: v for k, v in dict(vlm.inputs(pictures)).items() if k != "num_patches"} if pictures else {}
            if inputs:
                inputs["pixel_values"] = inputs["pixel_values"].bfloat16()
            with torch.no_grad():
                found = narrow(input_ids=torch.tensor([ids]), **inputs).logits[0, -1].double().softmax(-1)
            theirs.append(float((found - exact).norm()))
            apart.append(float((ours.logits([array(p) for p in pictures], prompt).double().softmax(-1) - exact).norm()))
        assert np.mean(apart) < 1.5 * np.mean(theirs), (name, np.mean(apart), np.mean(theirs))
