"""A vision-language model that is asked, beside transformers with the same weights; see the table in docs/performance.md.

Every question of a row is a new one, and both sides answer it; what they say is compared once the row is measured. Theirs is
handed ids and pixels and has the forward timed alone; ours starts at prompt and pictures.
"""

import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np
import torch
from peers import Fact, Row, photograph, tokenizer_files
from vlm_folder import FULL, write_folder

import unisim

THREADS = 2
ROUNDS = 5
NEW_TOKENS = 32
TEMPLATE = "interleave_hf"
AFC = ("A", "B")
ANSWERS = ("two red cups", "one blue plate", "three green bowls", "four black knives")  # of three tokens each


@dataclass
class Asked:
    """A question as both sides take it."""

    images: list
    prompt: str
    choices: tuple
    ids: torch.Tensor = None  # [1, tokens]
    answers: list = None  # ids of each choice
    pixels: torch.Tensor = None

    @property
    def item(self):
        return self.images, self.prompt, self.choices


@dataclass
class Said:
    """What both sides said to the questions of a row, in their order; the warm-up's too."""

    ours: list = field(default_factory=list)
    theirs: list = field(default_factory=list)


def logs_apart(said):
    """The largest difference of a log probability, and how far those of the row's questions are from each other."""
    ours, theirs = np.array(said.ours), np.array(said.theirs)
    return f"log p {np.abs(ours - theirs).max():.0e} apart (questions: {np.ptp(ours, axis=0).max():.1g})"


class Bench:
    """Both models, and questions that nobody asked before."""

    def __init__(self, folder, processor, dtype="float32", rounds=ROUNDS):
        import tokenizers
        from transformers import LlavaForConditionalGeneration

        self.ours = unisim.Vlm.load(folder, dtype=dtype)
        self.dtype = getattr(torch, dtype)
        self.theirs = LlavaForConditionalGeneration.from_pretrained(folder, dtype=self.dtype).eval()
        self.processor = processor
        self.rounds = rounds
        self.tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.numbers = count(1000)  # of four digits, so that all prompts of a row are equally long
        self.forward = self.theirs

    # ---- questions -----------------------------------------------------------------------------------------------

    def pictures(self):
        return [photograph(500, 375, next(self.numbers)) for _ in range(2)]

    def question(self, pictures, prompt, choices=AFC):
        asked = Asked([np.asarray(picture) for picture in pictures], prompt, choices)
        asked.ids = torch.tensor([self.ours.encode(asked.images, prompt, template=TEMPLATE)])
        asked.answers = [self.tokenizer.encode(choice, add_special_tokens=False).ids for choice in choices]
        asked.pixels = self.processor(images=pictures, return_tensors="pt")["pixel_values"].to(self.dtype)
        return asked

    def in_front(self):
        """The number stands before the pictures: nothing of a prompt before can serve again."""
        return f"Question {next(self.numbers)}: which is the better picture, A: <image> or B: <image>?"

    def behind(self):
        """Of 20 tokens that nobody asked before, the template's closing included."""
        number = str(next(self.numbers))[::-1]  # the digit that changes comes first
        return f"<image><image>\n{number}: is A or B the better one of them?"

    # ---- how each side answers -----------------------------------------------------------------------------------

    def choose(self, asked):
        return self.ours.choose(*asked.item, template=TEMPLATE).log_probabilities

    @torch.inference_mode()
    def forward_once(self, asked, **options):
        """log p of the choices, of which each is one token."""
        logits = self.forward(input_ids=asked.ids, pixel_values=asked.pixels, **options).logits[0, -1]
        return logits.double().log_softmax(-1)[[answer[0] for answer in asked.answers]].tolist()

    def last_logits(self, asked):
        return self.forward_once(asked, logits_to_keep=1)

    def eager(self, asked):
        """The model's own way is given back, which costs nothing."""
        self.theirs.set_attn_implementation("eager")
        try:
            return self.last_logits(asked)
        finally:
            self.theirs.set_attn_implementation("sdpa")

    @torch.inference_mode()
    def forward_of_each_answer(self, asked):
        sums = []
        for answer in asked.answers:
            ids = torch.cat([asked.ids, torch.tensor([answer[:-1]], dtype=torch.long)], 1)
            keep = {"logits_to_keep": len(answer)}
            logs = (
                self.forward(input_ids=ids, pixel_values=asked.pixels, **keep)
                .logits[0]
                .double()
                .log_softmax(-1)
            )
            sums.append(float(logs[range(len(answer)), answer].sum()))
        return sums

    def row(self, work, peer, questions, ours, theirs, apart=logs_apart):
        """A question for the warm-up and for each round."""
        said = Said()
        questions = [questions() for _ in range(self.rounds + 1)]
        of_ours, of_theirs = iter(questions), iter(questions)
        return Row(
            "vlm",
            work,
            peer,
            lambda: said.ours.append(ours(next(of_ours))),
            lambda: said.theirs.append(theirs(next(of_theirs))),
            lambda: apart(said),
            rounds=self.rounds,
        )

    # ---- rows ----------------------------------------------------------------------------------------------------

    def new(self, choices=AFC):
        return self.question(self.pictures(), self.in_front(), choices)

    def new_pictures(self, name, compiled):
        def row(peer, theirs):
            return self.row(f"new pictures, {name}", f"transformers {peer}", self.new, self.choose, theirs)

        yield row("sdpa", self.last_logits)
        yield row("sdpa, all logits", self.forward_once)
        yield row("eager", self.eager)
        if compiled:
            yield from self.compiled(row)

    def compiled(self, row):
        self.forward = torch.compile(self.theirs)
        try:
            self.last_logits(self.new())  # what cannot be compiled says so here
            yield row("compiled", self.last_logits)
        except RuntimeError as error:
            lines = str(error).strip().splitlines() or [type(error).__name__]
            print(f"vlm: transformers compiled, skipped: {lines[0]}")
        finally:
            self.forward = self.theirs

    def asked_again(self):
        same = self.pictures()
        yield self.row(
            "pictures seen before, new prompt",
            "transformers sdpa",
            lambda: self.question(same, self.in_front()),
            self.choose,
            self.last_logits,
        )
        yield self.row(
            "another question, same pictures",
            "transformers sdpa",
            lambda: self.question(same, self.behind()),
            self.choose,
            self.last_logits,
        )
        yield from self.sixteen(same)
        yield self.decoding(same)

    def sixteen(self, same):
        def questions():
            return [self.question(same, self.behind()) for _ in range(16)]

        def packed(asked):
            chosen = self.ours.choose_many([each.item for each in asked], template=TEMPLATE)
            return [log for choice in chosen for log in choice.log_probabilities]

        def singly(asked):
            return [log for each in asked for log in self.choose(each)]

        yield self.row("16 questions on one prefix, packed", "ours, one by one", questions, packed, singly)

    def several(self):
        def both_orders():
            a, b = self.pictures()
            prompt = self.in_front()
            return self.question([a, b], prompt), self.question([b, a], prompt)

        def ours(pair):
            chosen = self.ours.choose_many([asked.item for asked in pair], template=TEMPLATE)
            return [log for choice in chosen for log in choice.log_probabilities]

        def theirs(pair):
            return [log for asked in pair for log in self.last_logits(asked)]

        yield self.row(
            "both orders of a 2AFC question, new pictures", "transformers sdpa", both_orders, ours, theirs
        )
        yield self.row(
            "four answers of three tokens, new pictures",
            "transformers sdpa, a forward each",
            lambda: self.new(ANSWERS),
            self.choose,
            self.forward_of_each_answer,
        )

    def decoding(self, same):
        """Behind the same pictures, whose keys and values both sides have: a question of 20 tokens, then NEW_TOKENS."""
        first = self.question(same, self.behind())
        kept = int((first.ids[0] == self.theirs.config.image_token_id).nonzero()[-1]) + 1
        with torch.inference_mode():
            cache = self.theirs(
                input_ids=first.ids, pixel_values=first.pixels, logits_to_keep=1
            ).past_key_values

        def ours(asked):
            return self.ours.generate(*asked.item[:2], NEW_TOKENS, template=TEMPLATE, return_ids=True)[1]

        @torch.inference_mode()
        def theirs(asked):
            cache.crop(kept - cache.get_seq_length())
            ids, said = asked.ids[:, kept:], []
            for _ in range(NEW_TOKENS):
                logits = self.theirs(input_ids=ids, past_key_values=cache, logits_to_keep=1).logits[0, -1]
                said.append(int(logits.argmax()))
                ids = torch.tensor([[said[-1]]])
            return said

        def apart(said):
            pairs = zip(said.ours, said.theirs, strict=True)
            equal = sum(a == b for one, other in pairs for a, b in zip(one, other, strict=False))
            return f"{equal} of {NEW_TOKENS * len(said.ours)} tokens equal"

        return self.row(
            f"greedy decoding, {NEW_TOKENS} tokens",
            "transformers sdpa, own cache",
            lambda: self.question(same, self.behind()),
            ours,
            theirs,
            apart=apart,
        )


CHOOSE_ONCE = """
import resource, sys, torch, unisim
torch.set_num_threads(int(sys.argv[2]))
vlm = unisim.Vlm.load(sys.argv[1], dtype=sys.argv[3])
pictures = [unisim.read_image(file) for file in sys.argv[4:]]
vlm.choose(pictures, "Which is the better picture, A: <image> or B: <image>?", ("A", "B"), template="interleave_hf")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, vlm.parameters, vlm.counts.decoder_rows)
"""


def memory(folder, size, dtype):
    """What a process that loads and chooses once needs at most, beside what it must have."""
    files = [folder.parent / f"{seed}.png" for seed in range(2)]
    for seed, file in enumerate(files):
        photograph(500, 375, seed).save(file)
    command = [sys.executable, "-c", CHOOSE_ONCE, folder, str(THREADS), dtype, *files]
    printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    peak, parameters, rows = (int(number) for number in printed.split())
    bytes_of_number = getattr(torch, dtype).itemsize
    text = size.text
    width = text["hidden_size"] // text["num_attention_heads"] * text["num_key_value_heads"]
    weights = parameters * bytes_of_number / 1e6
    kept = 2 * text["num_hidden_layers"] * width * rows * bytes_of_number / 1e6
    peak *= 1024 / 1e6
    said = f"{peak:.0f} MB; weights {weights:.0f} + keys and values {kept:.0f} + 900 MB: "
    return Fact(
        "vlm", f"peak memory, load and choose, {dtype}", said + f"{peak / (weights + kept + 900):.2f} of it"
    )


def vlm(size=FULL, compiled=True, rounds=ROUNDS):
    file = tokenizer_files().get("qwen3")
    if file is None:
        print("vlm: skipped, no tokenizer of qwen3 at hand (set UNISIM_TEST_DATA)")
        return
    threads = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place) / "vlm"
            processor = write_folder(folder, size, file)
            for dtype in ("float32", "bfloat16"):
                yield memory(folder, size, dtype)
            bench = Bench(folder, processor, rounds=rounds)
            yield from bench.new_pictures("fp32", compiled)
            yield from bench.asked_again()
            yield from bench.several()
            del bench
            bench = Bench(folder, processor, "bfloat16", rounds)
            yield from bench.new_pictures("bf16", False)
    finally:
        torch.set_num_threads(threads)


GROUPS = {"vlm": vlm}
