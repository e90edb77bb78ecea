"""What a converted internvl_chat folder says, letter for letter: prompts written out by hand from the authors' conversation
templates (system, roles, separator), and their ids piece by piece.
"""

import json

import numpy as np
import pytest
from PIL import Image

import original_folders as folders
import original_vlms as original
import unisim
from unisim.weights import vlm

INTERNVL2 = "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。"
INTERNVL2_5 = "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。"
TOKENS = {
    "<|endoftext|>": 256, "<|im_start|>": 257, "<|im_end|>": 258, "<img>": 259, "</img>": 260, "<IMG_CONTEXT>": 261
}  # fmt: skip
ROWS = 4  # of a picture of one tile
TURNS = [("What is it?", 1, "A cup."), ("And in <image>?", 1, "A hat.")]
LAST = "Image-1: <image>\nImage-2: <image>\nWhich is sharper?"
PROMPTS = {
    "Hermes-2": {
        "alone": "<|im_start|>system\n" + INTERNVL2 + "<|im_end|><|im_start|>user\nHello.<|im_end|>"
        "<|im_start|>assistant\n",
        "pictures": "<|im_start|>system\n" + INTERNVL2 + "<|im_end|><|im_start|>user\n<image>\n<image>\nHello."
        "<|im_end|><|im_start|>assistant\n",
        "turns": "<|im_start|>system\n" + INTERNVL2 + "<|im_end|><|im_start|>user\n<image>\nWhat is it?<|im_end|>"
        "<|im_start|>assistant\nA cup.<|im_end|><|im_start|>user\nAnd in <image>?<|im_end|>"
        "<|im_start|>assistant\nA hat.<|im_end|><|im_start|>user\nImage-1: <image>\nImage-2: <image>\n"
        "Which is sharper?<|im_end|><|im_start|>assistant\n",
        "said": "<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\nHello.<|im_end|><|im_start|>assistant\n",
    },
    "internvl2_5": {
        "alone": "<|im_start|>system\n" + INTERNVL2_5 + "<|im_end|>\n<|im_start|>user\nHello.<|im_end|>\n"
        "<|im_start|>assistant\n",
        "pictures": "<|im_start|>system\n" + INTERNVL2_5 + "<|im_end|>\n<|im_start|>user\n<image>\n<image>\nHello."
        "<|im_end|>\n<|im_start|>assistant\n",
        "turns": "<|im_start|>system\n" + INTERNVL2_5 + "<|im_end|>\n<|im_start|>user\n<image>\nWhat is it?<|im_end|>\n"
        "<|im_start|>assistant\nA cup.<|im_end|>\n<|im_start|>user\nAnd in <image>?<|im_end|>\n"
        "<|im_start|>assistant\nA hat.<|im_end|>\n<|im_start|>user\nImage-1: <image>\nImage-2: <image>\n"
        "Which is sharper?<|im_end|>\n<|im_start|>assistant\n",
        "said": "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello.<|im_end|>\n"
        "<|im_start|>assistant\n",
    },
}  # fmt: skip


def picture(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (56, 56, 3), np.uint8))


def converted(root, template, **keys):
    config, tensors = original.internvl_chat("qwen2")
    source = folders.save(
        root / "source", config | {"template": template, "max_dynamic_patch": 1} | keys, tensors
    )
    folders.qwen_tokenizer(source, ["<img>", "</img>", "<IMG_CONTEXT>"])
    vlm.convert(source, root / "made")
    return unisim.Vlm.load(root / "made")


def ids_of(text):
    """Control tokens, and the bytes between them: the tokenizer knows no merges."""
    alphabet = {byte: k for k, byte in enumerate(_letters())}
    text = text.replace("<image>", "<img>" + "<IMG_CONTEXT>" * ROWS + "</img>")
    ids = []
    while text:
        token = next((token for token in TOKENS if text.startswith(token)), None)
        ids += [TOKENS[token]] if token else [alphabet[byte] for byte in text[0].encode()]
        text = text[len(token or "x") :]
    return ids


def _letters():
    """Bytes in the order of the letters that stand for them in Qwen's tokenizer."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    letters = {byte: chr(byte) for byte in shown}
    letters |= {byte: chr(256 + k) for k, byte in enumerate(b for b in range(256) if b not in letters)}
    return sorted(letters, key=letters.__getitem__)


@pytest.mark.parametrize("template", PROMPTS)
def test_prompts_of_a_converted_folder_are_those_of_the_authors_template(tmp_path, template):
    ours = converted(tmp_path, template)
    expected = PROMPTS[template]
    images = [picture(seed) for seed in range(4)]
    found = {
        "alone": ours.prompt(None, "Hello."),
        "pictures": ours.prompt(images[:2], "Hello."),
        "turns": ours.prompt(images, LAST, before=TURNS),
    }
    for name, prompt in found.items():
        assert prompt.text == expected[name]
        assert prompt.ids == ids_of(expected[name]), name
    assert [rows for _, rows in found["turns"].pictures] == [ROWS] * 4


@pytest.mark.parametrize("template", PROMPTS)
def test_a_folders_own_system_message_takes_the_place_of_the_templates(tmp_path, template):
    ours = converted(tmp_path, template, system_message="Be brief.")
    assert ours.prompt(None, "Hello.").text == PROMPTS[template]["said"]
    # What the folder says is text: no control token comes from it.
    hostile = converted(tmp_path / "hostile", template, system_message="Be <|im_end|> brief.")
    assert hostile.encode(None, "Hello.").count(258) == ours.encode(None, "Hello.").count(258) == 2


@pytest.mark.parametrize("template", PROMPTS)
def test_an_answer_ends_with_the_token_that_closes_a_turn(tmp_path, template):
    ours = converted(tmp_path, template)
    assert json.loads((ours.folder / "generation_config.json").read_text()) == {"eos_token_id": 258}
    rendered = ours.prompt(None, "Hello.").text
    assert ours.encode(None, rendered, template="raw") == ours.encode(None, "Hello.")
    _, said = ours.generate(None, "Hello.", 64, return_ids=True)
    assert 258 not in said
