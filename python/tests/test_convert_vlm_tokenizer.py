"""tokenizer.json made of tokenizer.model, or of vocab.json and merges.txt: the ids of the original tokenizer."""

import functools
import json
import shutil

import pytest
import tokenizers

import original_folders as folders
import unisim
from conftest import test_data
from unisim.weights import vlm_tokenizer

WORDS = (
    "which of the two pictures is more similar to the reference, USER: ASSISTANT: a chat of curious humans"
)
TEXTS = [
    "which of the two  pictures", "USER: a", "\nWhat is more similar?", "é 漢字 🙂", "1234 + 5", " ", "", "of\tthe ",
    "a<b>c</b>", "</s>x",
]  # fmt: skip


@pytest.fixture
def rooms(tmp_path):
    """(source, made, room)"""
    folders = [tmp_path / name for name in ("source", "made", "room")]
    for folder in folders:
        folder.mkdir()
    return folders


@functools.cache
def _loaded(file, size):
    return unisim.Tokenizer.load(file.parent), tokenizers.Tokenizer.from_file(str(file))


def own_ids(made, text):
    """By this library's tokenizer and by tokenizers', without a beginning."""
    ours, library = _loaded(made / "tokenizer.json", (made / "tokenizer.json").stat().st_size)
    ids = library.encode(text, add_special_tokens=False).ids
    assert list(ours.encode(text, False)) == ids
    return ids


@pytest.mark.parametrize("legacy", [True, None], ids=["legacy", "not said"])
def test_ids_of_a_llama_folder_are_sentencepieces(rooms, legacy):
    source, made, room = rooms
    pieces = folders.sentencepiece_model(source, WORDS)
    (source / "tokenizer_config.json").write_text(json.dumps({} if legacy is None else {"legacy": legacy}))
    tokens = vlm_tokenizer.write_tokenizer(source, made, room, 200000, "<image>")
    assert tokens.origin == "tokenizer.model"
    assert tokens.id("<image>") == 400
    for text in [*TEXTS[:-1], " which opens with a space", "  two"]:
        assert own_ids(made, text) == pieces.encode(text), text
    config = json.loads((made / "tokenizer_config.json").read_text())
    assert config["add_bos_token"] is True  # the class's default
    # A token begins a piece of its own, which opens with the word mark again.
    assert own_ids(made, "of</s>USER") == [*pieces.encode("of"), 2, *pieces.encode("USER")]


def test_of_a_phi3_folder_only_the_first_piece_opens_with_the_word_mark(rooms):
    source, made, room = rooms
    pieces = folders.phi3_tokenizer(source, legacy=False)
    vlm_tokenizer.write_tokenizer(source, made, room, 200000)
    for text in TEXTS[:-1]:
        if not text.startswith(" "):
            assert own_ids(made, text) == pieces.encode(text), text
    # What stands behind a token is read on: "hello" of "<unk>hello".
    system, user, end = 406, 410, 407
    bare = pieces.encode("<unk>user says")[len(pieces.encode("<unk>")) :]
    assert own_ids(made, "<|system|>\nuser says<|end|><|user|>\n user says") == [
        system,
        *bare,
        end,
        user,
        *bare,
    ]


def test_ids_of_qwens_older_files_are_those_of_its_tokenizer_json(rooms):
    source, made, room = rooms
    whole = test_data("tokenizers/qwen3") / "tokenizer.json"
    model = json.loads(whole.read_text())["model"]
    (source / "vocab.json").write_text(json.dumps(model["vocab"]))
    merges = [one if isinstance(one, str) else " ".join(one) for one in model["merges"]]
    (source / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    shutil.copyfile(test_data("tokenizers/qwen3") / "tokenizer_config.json", source / "tokenizer_config.json")
    tokens = vlm_tokenizer.write_tokenizer(source, made, room, 200000, "<image>")
    assert tokens.origin == "vocab.json"
    reference = tokenizers.Tokenizer.from_file(str(whole))
    for text in [*TEXTS, "<|im_start|>user\nwhich?<|im_end|>\n"]:
        assert own_ids(made, text) == reference.encode(text, add_special_tokens=False).ids, text
    assert own_ids(made, "a<image>b")[1] == tokens.id("<image>") == reference.get_vocab_size()


def test_tokens_that_only_the_configuration_has_are_added_and_must_not_contradict(rooms):
    source, made, room = rooms
    folders.llama_tokenizer(source)
    file = source / "tokenizer_config.json"
    config = json.loads(file.read_text())
    config["added_tokens_decoder"]["32000"] = {"content": "<pad>", "special": True, "normalized": False}
    file.write_text(json.dumps(config))
    tokens = vlm_tokenizer.write_tokenizer(source, made, room, 200000, "<image>")
    assert (tokens.ids["<pad>"], tokens.ids["<image>"]) == (32000, 32001)
    assert own_ids(made, "<pad><image>") == [32000, 32001]
    config["added_tokens_decoder"]["32001"] = {"content": "</s>"}
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match="token '</s>' has the id 32001, and 2 in the tokenizer"):
        vlm_tokenizer.write_tokenizer(source, made, room, 200000)


@pytest.mark.parametrize("rows, picture", [(32001, "<image>"), (32000, "<unk>"), (0, None)])
def test_a_decoder_without_a_row_to_spare_gets_none(rooms, rows, picture):
    source, made, room = rooms
    folders.llama_tokenizer(source)
    if picture is None:
        with pytest.raises(ValueError, match="the decoder has 0 tokens and no row to spare for '<image>'"):
            vlm_tokenizer.write_tokenizer(source, made, room, rows, "<image>")
        return
    tokens = vlm_tokenizer.write_tokenizer(source, made, room, rows, "<image>")
    assert tokens.picture == picture and tokens.id(picture) == {"<image>": 32000, "<unk>": 0}[picture]
    assert ("<image>" in (made / "tokenizer.json").read_text()) == (picture == "<image>")


@pytest.mark.parametrize(
    "files, said",
    [
        ({}, "no tokenizer here, expected tokenizer.json, tokenizer.model, or vocab.json"),
        ({"vocab.json": "{}"}, "no tokenizer here"),
        ({"tokenizer.json": "[]"}, "found list, expected an object"),
        ({"tokenizer.json": "{}"}, "no model.vocab"),
        ({"tokenizer.model": "nonsense"}, "its tokenizer cannot be read"),
        (
            {"tokenizer.json": "{}", "tokenizer_config.json": '{"add_eos_token": true}'},
            "add_eos_token is true",
        ),
    ],
)
def test_tokenizers_that_are_none_are_refused(rooms, files, said):
    source, made, room = rooms
    for name, text in files.items():
        (source / name).write_text(text)
    with pytest.raises(ValueError, match="convert") as caught:
        vlm_tokenizer.write_tokenizer(source, made, room, 200000)
    assert said in str(caught.value)


def test_without_transformers_the_error_says_what_to_install(rooms, monkeypatch):
    import sys

    source, made, room = rooms
    (source / "tokenizer.model").write_text("")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(RuntimeError, match="-m pip install transformers sentencepiece protobuf"):
        vlm_tokenizer.write_tokenizer(source, made, room, 200000)
