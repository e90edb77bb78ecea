"""UniSim-Bench's questions put to transformers directly, in float64: what asked metrics are held to.

Prompts and string rules are typed here from the benchmark's specification, never taken from the library.

    vlm = talkative(tiny_vlms.make("llava", folder))   # so that its answers name options
    asked = Asked("img-2afc", reference=picture, candidates=[a, b])
    judged(vlm, asked)              # Judged(scores, coverage, bias): both orders, by probability
    written(vlm, asked)             # the same by greedy answers: also replies, and the smallest margin of their tokens
"""

import json
from dataclasses import dataclass, field
from typing import Any

import torch
from safetensors.torch import load_file, save_file

LETTERS = "ABC"
TWO = "Answer the following multiple-choice question:\nGiven two images: image 1 <image> and image 2 <image>."
PROMPTS = {
    "img-2afc": "Answer the following multiple-choice question:\nHere are three images: <image> <image> <image>. If image 1 is the "
    "reference image, which image of the other two is more similar to the reference image?\nOptions:\n(A) Image 2\n(B) Image 3",
    "ooo": "Answer the following multiple-choice question:\nHere are three images: <image> <image> <image>Which one (A, B, C) is the "
    "odd-one-out of the group?\nOptions:\n(A) Image 1\n(B) Image 2\n(C)Image 3",
    "it-2afc": "Answer the following question:\nHere are two images: <image> <image>, and here is the reference caption: "
    '"{prompt}". which of the two images is more aligned to the reference caption?\nOptions:\n(A) Image 1\n(B) Image 2',
    "text-2afc": "Answer the following multiple-choice question:\n Given the reference image: <image>. and two captions, caption 1: "
    '"{cap1}", caption 2: "{cap2}" \nwhich caption has a better alignment with the reference image?  \n\nOptions:\n'
    "(A) Caption 1\n(B) Caption 2",
    "quality": TWO + "which image has a better quality?\n\nOptions:\n(A) Image 1\n(B) Image 2",
    "colorfulness": TWO + " which image is more colorful?\nOptions:\n(A) Image 1\n(B) Image 2",
    "brightness": TWO + " which image is brighter?\nOptions:\n(A) Image 1\n(B) Image 2",
    "contrast": TWO + " which image has more contrast?\nOptions:\n(A) Image 1\n(B) Image 2",
    "sharpness": TWO + " which image is sharper in color?\nOptions:\n(A) Image 1\n(B) Image 2",
}
OPTIONS = {
    "img-2afc": "Options:\n(A) Image 2\n(B) Image 3",
    "ooo": "Options:\n(A) Image 1\n(B) Image 2\n(C)Image 3",
    "text-2afc": "Options:\n(A) Caption 1\n(B) Caption 2",
}
DIFFERENCES = "\nBefore you answer, describe the visible differences that bear on it."
LETTER = "\nAnswer with the option's letter."
# Pieces of both kinds of vocabularies: what a talkative model says, and where it stops.
SPOKEN = [
    mark + word
    for mark in ("", "▁", "Ġ")
    for word in ("A", "B", "C", "left", "right", "1", "2", "3", ".", ":", "no")
]
STOPS = [mark + word for mark in ("", "▁", "Ġ") for word in ("x", "the", "Image", "is", "one")]


def place_said(question, text):
    """The published rules: substrings of the decoded text."""
    if question == "ooo":
        text = text.split(".")[0].replace("Answer: ", "")
        return 0 if "A" in text or "1" in text else 1 if "B" in text or "2" in text else 2
    if question == "img-2afc":
        text = text.split(".")[0]
        text = text.split(":", 1)[1] if ":" in text else text
        return 0 if "A" in text or "left" in text or "2" in text else 1
    return 0 if "A" in text or "left" in text or "1" in text else 1


def is_unparsable(question, text):
    """Whether what the rules read names no option at all."""
    names = {"img-2afc": ("A", "B", "left", "right", "2", "3"), "ooo": ("A", "B", "C", "1", "2", "3")}
    if question == "img-2afc":
        text = text.split(".")[0]
        text = text.split(":", 1)[1] if ":" in text else text
    if question == "ooo":
        text = text.split(".")[0].replace("Answer: ", "")
    return not any(name in text for name in names.get(question, ("A", "B", "left", "right", "1", "2")))


@dataclass
class Asked:
    """An item: its operands are pictures (PIL) or texts (str)."""

    question: str  # of PROMPTS; an attribute for iqa and paa
    candidates: list[Any]
    reference: Any = None
    label: int = 0

    def turn(self, order):
        """(prompt, pictures) with the candidates in this order."""
        return self.filled(PROMPTS[self.question], order)

    def filled(self, prompt, order):
        shown = [self.candidates[k] for k in order]
        texts = [it for it in [self.reference, *shown] if isinstance(it, str)]
        pictures = [it for it in [self.reference, *shown] if it is not None and not isinstance(it, str)]
        for blank, text in zip(
            [b for b in ("{prompt}", "{cap1}", "{cap2}") if b in prompt], texts, strict=True
        ):
            prompt = prompt.replace(blank, text)
        return prompt, pictures

    def orders(self, swap=True):
        n = len(self.candidates)
        return [[(k + turn) % n for k in range(n)] for turn in range(n if swap else 1)]


@dataclass
class Judged:
    scores: list[float]
    coverage: float
    bias: float
    replies: list[str] = field(default_factory=list)
    margin: float = float("inf")  # the closest call of all tokens that were chosen


def talkative(vlm):
    """The folder changed so that no probability is close to 0 or 1, and, where the head is its own, so that it writes short
    answers of letters, numbers and signs: all other rows of the head are small, and some words end an answer."""
    file = vlm.folder / "model.safetensors"
    tensors = load_file(file)
    norm = next(name for name in tensors if name.endswith("model.norm.weight"))
    tensors[norm] *= 0.4
    head = next((name for name in tensors if name.endswith("lm_head.weight")), None)
    if head:
        known = {
            name: [vlm.tokenizer.token_to_id(t) for t in of]
            for name, of in (("said", SPOKEN), ("stops", STOPS))
        }
        said, stops = ([id for id in known[name] if id is not None] for name in ("said", "stops"))
        small = torch.full((len(tensors[head]), 1), 0.1)
        small[said + stops] = 1.5
        tensors[head] *= small
        generation = vlm.folder / "generation_config.json"
        config = json.loads(generation.read_text())
        generation.write_text(json.dumps(config | {"eos_token_id": [config["eos_token_id"], *stops]}))
    save_file(tensors, file, {"format": "pt"})
    vlm.model = type(vlm.model).from_pretrained(vlm.folder, dtype=torch.float32).double().eval()
    return vlm


def stop_ids(vlm):
    """The folder's own, and what closes an answer in any template."""
    eos = json.loads((vlm.folder / "generation_config.json").read_text())["eos_token_id"]
    closing = [vlm.tokenizer.token_to_id(token) for token in ("<|im_end|>", "</s>", "<|end|>")]
    return {*(eos if isinstance(eos, list) else [eos]), *(id for id in closing if id is not None)}


@torch.no_grad()
def embedded_turns(vlm, turns):
    """[1, tokens, width] of a conversation by the folder's own Jinja text: turns are (prompt, pictures, answer); the last
    has no answer."""
    said = []
    for prompt, _, *answer in turns:
        said.append({"role": "user", "content": [{"type": "text", "text": prompt}]})
        said += [{"role": "assistant", "content": [{"type": "text", "text": text}]} for text in answer]
    rendered = vlm.processor.apply_chat_template(said, add_generation_prompt=True)
    pictures = [picture for turn in turns for picture in turn[1]]
    pieces = rendered.split("<image>")
    seen = vlm.rows(pictures)
    counts = [len(rows) for rows in seen]
    text = pieces[0]
    for count, piece in zip(counts, pieces[1:], strict=True):
        text += vlm.spread(count) + piece
    ids = torch.tensor(vlm.encode(text))
    embedded = vlm.model.get_input_embeddings()(ids).clone()
    if seen:
        embedded[ids == vlm.picture_id] = torch.cat(seen)
    return embedded[None]


@torch.no_grad()
def probabilities(vlm, turns, choices):
    """(shares, coverage) of choices of one token each, behind a conversation."""
    answers = [vlm.tokenizer.encode(choice, add_special_tokens=False).ids for choice in choices]
    assert all(len(answer) == 1 for answer in answers)
    last = vlm.model(inputs_embeds=embedded_turns(vlm, turns), logits_to_keep=1).logits[0, -1]
    logs = last.log_softmax(-1)[[answer[0] for answer in answers]]
    return logs.softmax(-1).tolist(), float(logs.exp().sum())


@torch.no_grad()
def greedy(vlm, turns, tokens):
    """(text, smallest margin): what the model writes, and how close the closest of its choices was."""
    rows, cache, said, margin, stops = embedded_turns(vlm, turns), None, [], float("inf"), stop_ids(vlm)
    while len(said) < tokens:
        out = vlm.model(inputs_embeds=rows, past_key_values=cache, use_cache=True, logits_to_keep=1)
        cache = out.past_key_values
        best = out.logits[0, -1].topk(2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        token = int(best.indices[0])
        if token in stops:
            break
        said.append(token)
        rows = vlm.model.get_input_embeddings()(torch.tensor([[token]]))
    return vlm.tokenizer.decode(said, skip_special_tokens=False), margin


def averaged(asked, shares, coverages, swap):
    """Each candidate's mean share wherever it stood; the lean is p_A(order 1) - p_B(order 2), of three alike."""
    orders, n = asked.orders(swap), len(asked.candidates)
    scores = [
        sum(share[order.index(k)] for order, share in zip(orders, shares, strict=True)) / len(orders)
        for k in range(n)
    ]
    first = sum(share[0] for share in shares) / len(shares)
    bias = shares[0][0] - shares[1][1] if n == 2 and swap else n / (n - 1) * (first - 1 / n) if swap else 0
    return Judged(scores, sum(coverages) / len(coverages), bias)


def judged(vlm, asked, *, swap=True, before=(), table=lambda order: ""):
    """By probability. `before`: solved turns; `table`: what stands in front of the question."""
    found = []
    for order in asked.orders(swap):
        prompt, pictures = asked.turn(order)
        turns = [*before, (table(order) + prompt, pictures)]
        found.append(probabilities(vlm, turns, LETTERS[: len(asked.candidates)]))
    return averaged(asked, *zip(*found, strict=True), swap)


def written(vlm, asked, *, swap=True, tokens=512):
    """By greedy answers and the published rules."""
    n, replies, shares, margin = len(asked.candidates), [], [], float("inf")
    for order in asked.orders(swap):
        text, closest = greedy(vlm, [asked.turn(order)], tokens)
        margin = min(margin, closest)
        replies.append(text)
        shares.append([float(place == place_said(asked.question, text)) for place in range(n)])
    result = averaged(asked, shares, [1.0] * len(shares), swap)
    result.replies, result.margin = replies, margin
    return result


def reasoned(vlm, asked, *, swap=True):
    """The differences first (at most 128 tokens), then the letter's probability behind them."""
    question = (
        PROMPTS[asked.question].split("question:\n", 1)[1].removeprefix(" ").split("Options:")[0].rstrip()
    )
    found, replies, margin = [], [], float("inf")
    for order in asked.orders(swap):
        first, pictures = asked.filled(question + DIFFERENCES, order)
        reply, closest = greedy(vlm, [(first, pictures)], 128)
        margin = min(margin, closest)
        replies.append(reply)
        options = OPTIONS.get(asked.question, "Options:\n(A) Image 1\n(B) Image 2")
        turns = [(first, pictures, reply), (options + LETTER, [])]
        found.append(probabilities(vlm, turns, LETTERS[: len(asked.candidates)]))
    result = averaged(asked, *zip(*found, strict=True), swap)
    result.replies, result.margin = replies, margin
    return result
