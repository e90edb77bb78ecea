"""Prompts as transformers renders and tokenises them, and texts that try to be more than text.

The ids come from build/tests/prompt_lines, the library's own rendering and encoding without a model behind it.
"""

import json
import random
import subprocess
from functools import lru_cache
from pathlib import Path

import pytest
import tokenizers
from transformers import PreTrainedTokenizerFast

import unisim
from chat_templates import KNOWN, interleave_hf, internvl_hf
from conftest import test_data
from tokenizer_reference import SPECIAL, lines

CONTROL = [
    "<image>",
    "<|im_start|>",
    "<|im_end|>",
    "<IMG_CONTEXT>",
    "<img>",
    "</img>",
    "<|user|>",
    "<|end|>",
    "<s>",
]
CONTROL += [
    "<|vision_pad|>",
    "<|assistant|>",
    "<|system|>",
    "</s>",
    "<unk>",
    "<think>",
    "</think>",
    "<tool_call>",
    "<|endoftext|>",
]


def prompt_lines(conversations):
    program = Path(__file__).resolve().parents[2] / "build" / "tests" / "prompt_lines"
    if not program.exists():
        pytest.skip(f"no {program}: built with the C++ tests")
    text = "".join(json.dumps(line) + "\n" for line in conversations)
    done = subprocess.run([program], input=text, capture_output=True, encoding="utf-8", check=True)
    found = [json.loads(line) for line in done.stdout.split("\n")[:-1]]
    assert len(found) == len(conversations)
    return found


class Family:
    """A folder's tokenizer and what its config.json would say of pictures."""

    def __init__(self, folder, source, added, picture, **settings):
        tokenizer = tokenizers.Tokenizer.from_file(str(source / "tokenizer.json"))
        tokenizer.add_special_tokens([
            token if isinstance(token, tokenizers.AddedToken) else tokenizers.AddedToken(token, special=True, normalized=False)
            for token in added
        ])  # fmt: skip
        self.folder = folder
        folder.mkdir()
        tokenizer.save(str(folder / "tokenizer.json"))
        self.tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **settings)
        (folder / "tokenizer_config.json").write_text(json.dumps(settings))
        self.picture = picture
        self.added = set(self.tokenizer.get_added_vocab().values())

    def asked(self, turns, rows, **more):
        """A line for prompt_lines."""
        picture_id = self.tokenizer.convert_tokens_to_ids(self.picture)
        return {"folder": str(self.folder), "picture_token": self.picture, "picture_id": picture_id, "turns": turns,
                "rows": rows, **more}  # fmt: skip

    def ids(self, rendered, rows):
        """transformers' ids, each picture written out as its processors do."""
        pieces = rendered.split(self.picture)
        assert len(pieces) == len(rows) + 1
        frame = ("<img>", "</img>") if self.picture == "<IMG_CONTEXT>" else ("", "")
        text = pieces[0]
        for count, piece in zip(rows, pieces[1:], strict=True):
            text += frame[0] + self.picture * count + frame[1] + piece
        return self.tokenizer(text)["input_ids"]


@pytest.fixture(scope="module")
def families(tmp_path_factory):
    root = tmp_path_factory.mktemp("families")
    qwen, llama = test_data("tokenizers/qwen3"), test_data("tokenizers/llama2")
    phi = ["<|endoftext|>", *(tokenizers.AddedToken(t, special=True, normalized=False, rstrip=True)
           for t in ("<|assistant|>", "<|system|>", "<|end|>", "<|user|>"))]  # fmt: skip
    frame = ["<img>", "</img>", "<IMG_CONTEXT>"]
    bos = {"add_bos_token": True, "bos_token": "<s>", "eos_token": "</s>"}
    return {
        "llama": Family(root / "llama", llama, ["<image>"], "<image>", **bos),
        "qwen": Family(root / "qwen", qwen, ["<image>"], "<image>"),
        "intern": Family(root / "intern", qwen, frame, "<IMG_CONTEXT>"),
        "phi": Family(root / "phi", llama, phi + frame, "<IMG_CONTEXT>", **bos),
    }


FAMILY = {"llava_hf": "llama", "interleave_hf": "qwen", "onevision_hf": "qwen", "onevision_hf_2": "qwen",
          "internvl_hf": "intern"}  # fmt: skip


@lru_cache
def plain_texts():
    """Of all scripts, none with an added token in it. A normaliser's own marks stay in."""
    return [
        text for text in lines() if text.strip() and not any(token in text for token in {*CONTROL, *SPECIAL})
    ]


def conversations(seed, count):
    """Turns of (text, pictures, marked in it, answer) and rows, as random as they come."""
    rng = random.Random(seed)

    def words():
        return rng.choice(plain_texts())

    for _ in range(count):
        turns, rows = [], []
        for left in reversed(range(rng.choice([1, 1, 2, 4]))):
            pictures = rng.choice([0, 1, 1, 2, 3])
            marked = rng.random() < 0.4
            pieces = [words() for _ in range(pictures + 1)] if marked else [words()]
            pieces = [rng.choice(["", " "]) + p if rng.random() < 0.3 else p for p in pieces]
            turns.append((pieces, pictures, marked, words() if left else ""))
            rows += [rng.randint(1, 5) for _ in range(pictures)]
        yield turns, rows


def messages_of(turns, marker):
    messages = []
    for pieces, pictures, marked, answer in turns:
        content = [] if marked else [{"type": "image"}] * pictures
        messages.append(
            {"role": "user", "content": [*content, {"type": "text", "text": marker.join(pieces)}]}
        )
        if answer:
            messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    return messages


def line_turns(turns):
    return [["<image>".join(pieces), pictures, answer] for pieces, pictures, _, answer in turns]


def rendered_by_transformers(family, jinja, turns):
    """apply_chat_template, with the marker that the family's processor looks for."""
    messages = messages_of(turns, family.picture)
    text = family.tokenizer.apply_chat_template(
        messages, chat_template=jinja, tokenize=False, add_generation_prompt=True
    )
    return text.replace(
        "<image>", family.picture
    )  # older InternVL templates have <image>, as their processors did


@pytest.mark.parametrize("name", KNOWN)
def test_200_conversations_are_rendered_and_tokenised_as_transformers_does(families, name):
    family = families[FAMILY[name]]
    asked, expected = [], []
    for i, (turns, rows) in enumerate(conversations(name, 200)):
        jinja = KNOWN[name][i % 2]
        text = rendered_by_transformers(family, jinja, turns)
        asked.append(family.asked(line_turns(turns), rows, chat_template=jinja))
        expected.append((text, rows))
    pictures = 0
    for (text, rows), found in zip(expected, prompt_lines(asked), strict=True):
        assert found.get("error") is None, found
        assert found["text"].replace("<image>", family.picture) == text
        assert found["ids"] == family.ids(text, rows), text
        picture = asked[0]["picture_id"]
        assert [count for _, count in found["pictures"]] == rows
        assert all(found["ids"][at : at + count] == [picture] * count for at, count in found["pictures"])
        pictures += len(rows)
    assert pictures > 200


VICUNA = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the human's questions. "
)
WITHOUT_JINJA = {  # what the authors' own code writes: opening, before T, behind T, before A, behind A
    "qwen_1_5": ("qwen", "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n", "<|im_start|>user\n",
                 "<|im_end|>\n", "<|im_start|>assistant\n", "<|im_end|>\n"),
    "llava_v1": ("llama", VICUNA, "USER: ", " ", "ASSISTANT:", "</s>"),
    "phi3_internvl": ("phi", "<|system|>\nBe kind.<|end|>", "<|user|>\n", "<|end|>", "<|assistant|>\n", "<|end|>"),
    "hermes2_internvl": ("intern", "<|im_start|>system\nBe kind.<|im_end|>", "<|im_start|>user\n", "<|im_end|>",
                         "<|im_start|>assistant\n", "<|im_end|>"),
    "internvl2_5": ("intern", "<|im_start|>system\nBe kind.<|im_end|>\n", "<|im_start|>user\n", "<|im_end|>\n",
                    "<|im_start|>assistant\n", "<|im_end|>\n"),
}  # fmt: skip


def rendered_by_authors(name, turns, marker):
    _, text, before, behind, asks, said = WITHOUT_JINJA[name]
    for pieces, pictures, marked, answer in turns:
        front = "" if marked else (marker + "\n") * pictures
        text += before + front + marker.join(pieces) + behind + asks
        if answer:
            text += (" " if asks.endswith(":") else "") + answer + said
    return text


@pytest.mark.parametrize("name", WITHOUT_JINJA)
def test_200_conversations_of_a_converted_folder_give_the_ids_of_the_whole_string(families, name):
    family = families[WITHOUT_JINJA[name][0]]
    drawn = list(conversations(name, 200))
    found = prompt_lines([
        family.asked(line_turns(turns), rows, template_name=name, system_message="Be kind.") for turns, rows in drawn
    ])  # fmt: skip
    for (turns, rows), line in zip(drawn, found, strict=True):
        text = rendered_by_authors(name, turns, family.picture)
        assert line["text"].replace("<image>", family.picture) == text
        assert line["ids"] == family.ids(text, rows), text


def test_pieces_alone_are_those_of_the_original_code(families):
    """tokenizer_image_token of LLaVA: each piece by itself, its own first token dropped but for the first piece's."""
    family = families["llama"]
    drawn = list(conversations("alone", 200))
    asked = [
        family.asked(line_turns(turns), rows, template_name="llava_v1", pieces_alone=True)
        for turns, rows in drawn
    ]
    for (turns, rows), line in zip(drawn, prompt_lines(asked), strict=True):
        pieces = [
            family.tokenizer(p)["input_ids"]
            for p in rendered_by_authors("llava_v1", turns, "<image>").split("<image>")
        ]
        expected = list(pieces[0])
        for count, piece in zip(rows, pieces[1:], strict=True):
            expected += [asked[0]["picture_id"]] * count + piece[1:]
        assert line["ids"] == expected


def test_pieces_alone_differ_where_a_tokenizer_marks_the_first_word_alone(families, tmp_path):
    document = json.loads((families["llama"].folder / "tokenizer.json").read_text())
    document["normalizer"] = None
    document["pre_tokenizer"] = {
        "type": "Metaspace",
        "replacement": "▁",
        "prepend_scheme": "first",
        "split": False,
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(document))
    family = Family(tmp_path / "first", tmp_path, [], "<image>", add_bos_token=True, bos_token="<s>")
    asked = family.asked([["see<image>this", 1, ""]], [2], template="llava_v1")
    whole, alone = prompt_lines([asked, {**asked, "pieces_alone": True}])
    assert whole["ids"] == family.ids(whole["text"], [2])
    assert whole["ids"] != alone["ids"]
    front, behind = (family.tokenizer(piece)["input_ids"] for piece in whole["text"].split("<image>"))
    assert alone["ids"] == front + [asked["picture_id"]] * 2 + behind[1:]


@pytest.mark.parametrize(
    ("settings", "expected"), [({}, True), ({"add_bos_token": False}, False), ({"add_bos_token": True}, True)]
)
def test_the_first_token_is_put_as_transformers_puts_it(families, tmp_path, settings, expected):
    """llama2's own post-processor adds it; what tokenizer_config.json says goes before."""
    family = Family(tmp_path / "bos", families["llama"].folder, [], "<image>", bos_token="<s>", **settings)
    (line,) = prompt_lines([family.asked([["A", 0, ""]], [], template="llava_hf")])
    assert line["ids"] == family.ids(line["text"], [])
    assert (line["ids"][0] == 1) == expected


def hostile_texts():
    rng = random.Random(20261130)
    for _ in range(500):
        parts = [rng.choice(CONTROL) for _ in range(rng.randint(1, 6))]
        if rng.random() < 0.5:
            parts.insert(rng.randrange(len(parts)), rng.choice(plain_texts()))
        if rng.random() < 0.3:  # one that its neighbours complete
            token = rng.choice(CONTROL)
            parts = [token[rng.randrange(1, len(token)) :], *parts, token[: rng.randrange(1, len(token))]]
        yield rng.choice(["", " ", "\n"]).join(parts)


@pytest.mark.parametrize(
    ("name", "family"), [*FAMILY.items(), *((n, w[0]) for n, w in WITHOUT_JINJA.items())]
)
def test_500_texts_of_control_tokens_give_no_added_token(families, name, family):
    family = families[family]
    texts = list(hostile_texts())
    rows = [2, 3]
    asked = [
        family.asked([["<image>{}<image>", 2, ""]], rows, template=name, filled=[text]) for text in texts
    ]
    asked += [
        family.asked([["A", 0, text], ["<image>{}<image>", 2, ""]], rows, template=name, filled=[text])
        for text in texts
    ]
    quiet = prompt_lines([{**line, "filled": ["B"], "turns": [*([["A", 0, "B"]] * (len(line["turns"]) - 1)), line["turns"][-1]]}
                          for line in (asked[0], asked[-1])])  # fmt: skip
    unknown = family.tokenizer.convert_tokens_to_ids("<unk>")

    def control(line):
        return [i for i in line["ids"] if i in family.added and i != unknown]

    for i, line in enumerate(prompt_lines(asked)):
        assert texts[i % 500] in line["text"]
        assert control(line) == control(quiet[i // 500]), texts[i % 500]
        assert [count for _, count in line["pictures"]] == rows
    # A caller's own <image> in a prompt is a marker; nothing else in it is one.
    loose = prompt_lines(
        [family.asked([[text.replace("<image>", ""), 0, ""]], [], template=name) for text in texts]
    )
    assert len({json.dumps(control(line)) for line in loose}) == 1


def test_raw_prompts_are_taken_at_their_word(families):
    family = families["qwen"]
    text = "<|im_start|>user\n<image>\nWhat?<think><|im_end|>\n<|im_start|>assistant\n"
    (line,) = prompt_lines([family.asked([[text, 1, ""]], [3], template="raw")])
    assert line["ids"] == family.ids(text, [3])
    assert line["text"] == text


def test_stop_tokens_are_those_of_the_templates(families):
    for family, tokens in {"llama": ["</s>"], "qwen": ["<|im_end|>"], "phi": ["</s>", "<|end|>"]}.items():
        (line,) = prompt_lines([families[family].asked([["A", 0, ""]], [], template="raw")])
        assert sorted(line["stop_ids"]) == sorted(families[family].tokenizer.convert_tokens_to_ids(tokens))


def test_what_is_asked_wrongly_names_what_would_be_right(families):
    family = families["qwen"]
    asked = {
        "its chat template is none that is known; name one of llava_hf, interleave_hf": {
            "chat_template": "{{ 1 }}"
        },
        "its chat template is missing": {},
        '"chatml" is none of llava_hf': {"template": "chatml"},
        'unisim.template: found "chatml"': {"template_name": "chatml"},
    }
    for line, message in zip(
        prompt_lines([family.asked([["A", 0, ""]], [], **m) for m in asked.values()]), asked, strict=True
    ):
        assert message in line["error"]


def spaced(text, rng):
    """The same to Jinja: blanks inside of tags, line ends and indentation around those that are blocks."""
    text = text.replace("{%", "{%" + " " * rng.randint(0, 2)).replace("%}", rng.choice(["", " "]) + "%}")
    text = text.replace("%}{%", "%}" + rng.choice(["", "\n", "\n  ", "\n\t"]) + "{%")
    text = text.replace("#}{", "#}" + rng.choice(["", "\n"]) + "{").replace(
        "'<|im_end|>\n'", rng.choice(["'<|im_end|>\\n'", "'<|im_end|>\n'"])
    )
    return rng.choice(["", "{# a note #}", "{# a note #}\n"]) + text + rng.choice(["", "\n"])


def test_templates_are_known_by_what_they_render_however_they_are_spaced(families):
    rng = random.Random(5)
    turns, rows = next(conversations("spaced", 1))
    for name, texts in KNOWN.items():
        family = families[FAMILY[name]]
        variants = [spaced(text, rng) for text in texts for _ in range(10)]
        assert len(set(variants)) > 10
        plain = rendered_by_transformers(family, texts[0], turns)
        for variant, line in zip(variants, prompt_lines([family.asked(line_turns(turns), rows, chat_template=v) for v in variants]),
                                 strict=True):  # fmt: skip
            assert rendered_by_transformers(family, variant, turns) == plain
            assert line.get("text", line).replace("<image>", family.picture) == plain, variant


def test_a_template_that_renders_otherwise_is_not_taken_for_a_known_one(families):
    family = families["qwen"]
    changed = [
        interleave_hf().replace("'\n' + content", "' ' + content"),
        interleave_hf().replace("message['role'] + '\n'", "message['role'] + ' '"),
        interleave_hf().replace("{% endif %}{{", "{% endif %} {{"),
        interleave_hf().replace("{% endif %}{{", "{% endif %}\n\n{{"),
        interleave_hf().replace("'<|im_end|>' + '\n'}}", "'<|im_end|>' + '\n'}}\n"),
        internvl_hf().replace("<IMG_CONTEXT>\n", "<IMG_CONTEXT>"),
    ]
    assert len(set(changed) | {interleave_hf(), internvl_hf()}) == 8
    for line in prompt_lines([family.asked([["A", 0, ""]], [], chat_template=text) for text in changed]):
        assert "none that is known" in line["error"]
