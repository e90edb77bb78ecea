"""What `unisim convert vlm` makes, read by unisim.Vlm: rows of pictures and logits of the original, composed in float64 of
transformers' own towers and decoders out of the original's tensors."""

import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image

import original_folders as folders
import original_vlms as original
import tiny_vlms
import unisim
from test_convert_vlm_internvl import reference_decoder, rows_of
from unisim.weights import vlm

TOLERANCE = 1e-4  # of float32 against float64, relative to the largest; logits are held to the same
linear, gelu = torch.nn.functional.linear, torch.nn.functional.gelu


def pictures():
    rng = np.random.default_rng(11)
    shapes = [(60, 40), (33, 90)]
    return [Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8)).resize(shape) for shape in shapes]


def close(found, expected):
    assert found.shape == expected.shape
    expected = expected.detach()
    assert float((found.double() - expected).abs().max()) < TOLERANCE * float(expected.abs().max())


def mlp(tensors, name, x):
    layers = [[tensors[f"{name}.{k}.{part}"].double() for part in ("weight", "bias")] for k in (0, 2)]
    return linear(gelu(linear(x, *layers[0])), *layers[1])


def check(folder, decoder, eyes, prompt, token):
    """Rows, and the logits behind a prompt with two pictures, which must come in order."""
    ours, images = unisim.Vlm.load(folder), pictures()
    rows = [eyes(pixels.double()) for pixels in ours.preprocess(images)]
    for found, expected in zip(ours.image_features(images), rows, strict=True):
        close(found, expected)
    ids = torch.tensor([ours.encode(images, prompt)])
    at = ids[0] == token
    assert int(at.sum()) == sum(len(one) for one in rows)
    embeds = decoder.get_input_embeddings()(torch.where(ids == token, 0, ids)).clone()
    embeds[0, at] = torch.cat(rows)
    with torch.no_grad():
        expected = decoder(inputs_embeds=embeds).logits[0, -1]
    close(ours.logits(images, prompt), expected)
    return ours, ids[0].tolist()


def said(folder, name="config.json"):
    return json.loads((folder / name).read_text())


@pytest.fixture
def made(tmp_path):
    return tmp_path / "made"


PROMPT = "<image> and <image>: which of the two is it?"


@pytest.mark.parametrize(
    "rows", [original.VOCABULARY, None], ids=["more rows than tokens", "as many rows as tokens"]
)
@pytest.mark.parametrize("newline", [True, False], ids=["newline rows", "none"])
def test_llava_qwen(tmp_path, made, newline, rows):
    config, tensors = original.llava_qwen()
    folders.qwen_tokenizer(folders.save(tmp_path / "source", config, tensors))
    rows = rows or tokens_in(tmp_path / "source")
    tensors["model.embed_tokens.weight"] = tensors["model.embed_tokens.weight"][:rows].clone()
    if not newline:
        del tensors["model.image_newline"]
        config["mm_patch_merge_type"] = "flat"
    folders.save(tmp_path / "source", config | {"vocab_size": rows}, tensors)
    siglip = folders.siglip_folder(tmp_path / "siglip")
    vlm.convert(tmp_path / "source", made, vlm.Parts(vision=tmp_path / "siglip"))

    prefix = "model.vision_tower.vision_tower.vision_model."
    state = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    siglip.load_state_dict(siglip.state_dict() | state)
    siglip.double()

    def eyes(pixels):
        found = mlp(
            tensors, "model.mm_projector", siglip(pixels, output_hidden_states=True).hidden_states[-2][0]
        )
        return torch.cat([found, tensors["model.image_newline"].double()[None]]) if newline else found

    shape = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 3}
    decoder = transformers.Qwen2ForCausalLM(
        transformers.Qwen2Config(
            **shape, num_key_value_heads=1, vocab_size=rows, tie_word_embeddings=True,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    )  # fmt: skip
    own = {name: tensors[name] for name in decoder.state_dict() if name in tensors}
    decoder.load_state_dict(own | {"lm_head.weight": tensors["model.embed_tokens.weight"]})
    ours, _ = check(made, decoder.double(), eyes, PROMPT, said(made)["image_token_index"])
    assert ours.facts["template"] == "qwen_1_5"
    assert ours.prompt(pictures(), PROMPT).text.startswith(
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    )


def tokens_in(folder):
    import tokenizers

    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size()


@pytest.mark.parametrize("kind", ["interleaved", "additive"])
def test_mixtures_of_features(tmp_path, made, kind):
    width = 64 if kind == "interleaved" else 48
    config, tensors = original.mof()
    if kind == "additive":
        tensors = {name: tensor for name, tensor in tensors.items() if "dino_mm_projector" not in name}
    folders.llama_tokenizer(folders.save(tmp_path / "source", config, tensors))
    clip = folders.clip_folder(tmp_path / "clip").double()
    dino = folders.dinov2_folder(tmp_path / "dino", width).double()
    share = 0.25 if kind == "additive" else None
    vlm.convert(
        tmp_path / "source",
        made,
        vlm.Parts(clip=tmp_path / "clip", dino=tmp_path / "dino", mof=kind, alpha=share),
    )

    def eyes(pixels):
        first = clip(pixels, output_hidden_states=True).hidden_states[-2][0, 1:]
        second = dino(pixels, output_hidden_states=True).hidden_states[-1][0, 1:]  # before the last norm
        if kind == "additive":
            return mlp(tensors, "model.mm_projector", 0.25 * first + 0.75 * second)
        pair = [mlp(tensors, "model.mm_projector", first), mlp(tensors, "model.dino_mm_projector", second)]
        return torch.stack(pair, 1).flatten(0, 1)

    shape = {"hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 3}
    decoder = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**shape, num_key_value_heads=3, vocab_size=32000, rms_norm_eps=1e-5)
    )
    decoder.load_state_dict({name: tensors[name] for name in decoder.state_dict()})
    ours, ids = check(made, decoder.double(), eyes, PROMPT, said(made)["image_token_index"])
    assert ours.facts["template"] == "llava_v1"
    assert ids[0] == 1  # a beginning, once


def test_what_stands_between_pictures_is_tokenised_alone(tmp_path, made):
    config, tensors = original.mof(vocabulary=400)
    source = folders.save(tmp_path / "source", config, tensors)
    pieces = folders.sentencepiece_model(
        source,
        "which of the two pictures is more similar to the reference, USER: ASSISTANT: a chat of curious humans",
    )
    # Behind a token this tokenizer's texts open with no word mark; alone they do.
    (source / "tokenizer_config.json").write_text(
        json.dumps({"legacy": False, "unk_token": "<unk>", "bos_token": "<s>"})
    )
    folders.clip_folder(tmp_path / "clip")
    folders.dinov2_folder(tmp_path / "dino")
    vlm.convert(source, made, vlm.Parts(clip=tmp_path / "clip", dino=tmp_path / "dino"))
    ours = unisim.Vlm.load(made)
    ids = ours.encode(pictures(), "which<image>and<image>why")
    first, last = tiny_vlms.TURNS["llava_v1"].format("which|why").split("|")
    row = said(made)["image_token_index"]
    spread = [row] * 18
    assert ids == [1, *pieces.encode(first), *spread, *pieces.encode("and"), *spread, *pieces.encode(last)]


def test_internvl_with_phi3(tmp_path, made):
    config, tensors = original.internvl_chat("phi3")
    config["system_message"] = "user says one"
    pieces = folders.phi3_tokenizer(
        folders.save(tmp_path / "source", config | {"max_dynamic_patch": 4}, tensors)
    )
    vlm.convert(tmp_path / "source", made)
    decoder = reference_decoder("phi3", tensors)
    ours, ids = check(
        made, decoder, lambda p: rows_of(tensors, p).flatten(0, 1), PROMPT, said(made)["image_token_id"]
    )
    assert ours.facts["template"] == "phi3_internvl"
    # <s><|system|> takes the line end along; what follows a token opens with no word mark.
    unmarked = pieces.encode("<unk>user says one")[len(pieces.encode("<unk>")) :]
    assert ids[: 2 + len(unmarked) + 1] == [1, 406, *unmarked, 407]


@pytest.mark.parametrize("template, own", [("internvl2_5", "internvl2_5"), ("Hermes-2", "hermes2_internvl")])
def test_internvl_with_qwen2(tmp_path, made, template, own):
    config, tensors = original.internvl_chat("qwen2")
    config |= {"max_dynamic_patch": 4, "template": template}
    folders.qwen_tokenizer(
        folders.save(tmp_path / "source", config, tensors), ["<img>", "</img>", "<IMG_CONTEXT>"]
    )
    assert vlm.convert(tmp_path / "source", made)["template"] == own
    decoder = reference_decoder("qwen2", tensors)
    ours, ids = check(
        made, decoder, lambda p: rows_of(tensors, p).flatten(0, 1), PROMPT, said(made)["image_token_id"]
    )
    assert ours.facts["template"] == own
    assert ids[0] == 257 and ids.count(257) == 3 and ids.count(258) == 2  # <|im_start|> and <|im_end|>
    assert ids.count(259) == ids.count(260) == 2  # <img> and </img>, around each picture
    choices = ("A", "B", "Yes")
    with torch.no_grad():
        embeds = decoder.get_input_embeddings()(torch.tensor([[0 if i == 261 else i for i in ids]])).clone()
        rows = [rows_of(tensors, pixels.double()).flatten(0, 1) for pixels in ours.preprocess(pictures())]
        embeds[0, torch.tensor(ids) == 261] = torch.cat(rows)
        logs = decoder(inputs_embeds=embeds).logits[0, -1].log_softmax(-1)
    first = [ours.encode(None, choice, template="raw")[0] for choice in choices]
    expected = logs[first].softmax(-1).numpy()
    chosen = ours.choose(pictures(), PROMPT, choices, first_token=True)
    assert np.abs(np.array(chosen.probabilities) - expected).max() < 1e-5
    assert len(ours.choose(pictures(), PROMPT, choices).probabilities) == 3
