"""unisim.Tokenizer held to the tokenizers package: published and trained tokenizers, ids and decoded text."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import pytest
import unisim

tokenizers = pytest.importorskip("tokenizers")
from tokenizer_reference import (  # noqa: E402
    check,
    english,
    joined_code_points,
    lines,
    pair,
    same_ids,
    save,
    transparent,
)
from tokenizers import (  # noqa: E402
    AddedToken,
    Regex,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)


@pytest.mark.parametrize("name", ["clip", "qwen3", "llama2"])
def test_published_tokenizers_give_the_reference_ids_and_text(data, name):
    check(data(f"tokenizers/{name}") / "tokenizer.json")


def byte_level(add_prefix_space, use_regex=True):
    t = tokenizers.Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)
    t.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    t.train_from_iterator(english(), trainer)
    return t


def clip_style():
    t = tokenizers.Tokenizer(models.BPE(unk_token="<|endoftext|>", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pattern = Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+")
    split = pre_tokenizers.Split(pattern, "removed", invert=True)
    t.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    special = ["<|startoftext|>", "<|endoftext|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=700,
        special_tokens=special,
        end_of_word_suffix="</w>",
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    t.train_from_iterator(english(), trainer)
    start, end = (t.token_to_id(s) for s in special)
    sep, cls = ("<|endoftext|>", end), ("<|startoftext|>", start)
    t.post_processor = processors.RobertaProcessing(sep, cls, False, False)
    t.decoder = decoders.BPEDecoder(suffix="</w>")
    return t


def metaspace_bpe(scheme, split, fuse_unk, with_bytes):
    t = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=fuse_unk, byte_fallback=with_bytes))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=split)
    special = ["<unk>", "<s>", "</s>"] + ([f"<0x{b:02X}>" for b in range(256)] if with_bytes else [])
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=special, show_progress=False)
    t.train_from_iterator(english(), trainer)
    t.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="$A $B", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    document = json.loads(t.to_str())
    document["added_tokens"] = document["added_tokens"][:3]  # byte tokens are the model's alone
    return tokenizers.Tokenizer.from_str(json.dumps(document))


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: byte_level(False), id="byte level"),
        pytest.param(lambda: byte_level(True), id="byte level with a space in front"),
        pytest.param(lambda: byte_level(True, use_regex=False), id="byte level without words"),
        pytest.param(clip_style, id="CLIP style"),
        pytest.param(lambda: metaspace_bpe("always", True, True, True), id="metaspace, bytes"),
        pytest.param(lambda: metaspace_bpe("first", True, False, True), id="metaspace first, bytes"),
        pytest.param(lambda: metaspace_bpe("never", False, True, False), id="metaspace never, fused"),
        pytest.param(lambda: metaspace_bpe("first", False, False, False), id="metaspace whole, unknowns"),
    ],
)
def test_trained_bpe_gives_the_reference_ids_and_text(make, tmp_path):
    path = save(make(), tmp_path)
    check(path, lines()[:3000], code_points=False)
    same_ids(*pair(path), joined_code_points())


@lru_cache
def sentencepiece_model(folder, rule, with_bytes):
    spm = pytest.importorskip("sentencepiece")
    protocol = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    corpus = folder / "corpus.txt"
    corpus.write_text("\n".join(english()), encoding="utf-8")
    prefix = folder / f"{rule}-{with_bytes}"
    spm.SentencePieceTrainer.train(
        input=str(corpus),
        model_prefix=str(prefix),
        vocab_size=500,
        model_type="unigram",
        normalization_rule_name=rule,
        byte_fallback=with_bytes,
        minloglevel=2,
        hard_vocab_limit=False,
    )
    proto = protocol.ModelProto()
    proto.ParseFromString((folder / f"{rule}-{with_bytes}.model").read_bytes())
    return proto


def unigram(proto, with_bytes, t5_style):
    """As transformers' converters and SentencePieceUnigramTokenizer build it from a SentencePiece model."""
    vocabulary = [(piece.piece, piece.score) for piece in proto.pieces]
    t = tokenizers.Tokenizer(
        models.Unigram(vocabulary, unk_id=proto.trainer_spec.unk_id, byte_fallback=with_bytes)
    )
    charsmap = proto.normalizer_spec.precompiled_charsmap
    steps = [normalizers.Precompiled(charsmap)] if charsmap else []
    steps.append(normalizers.Replace(Regex(" {2,}"), " " if t5_style else "▁"))
    t.normalizer = normalizers.Sequence(steps)
    metaspace = {"replacement": "▁", "prepend_scheme": "always"}
    t.pre_tokenizer = (
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(**metaspace)])
        if t5_style
        else pre_tokenizers.Metaspace(**metaspace)
    )
    t.decoder = decoders.Metaspace(**metaspace)
    t.add_special_tokens(["</s>", "<unk>"])
    t.add_tokens([AddedToken("<extra>", lstrip=True, rstrip=True, normalized=False)])
    t.post_processor = processors.TemplateProcessing(
        single=["$A", "</s>"], pair=["$A", "$B"], special_tokens=[("</s>", t.token_to_id("</s>"))]
    )
    return t


@pytest.mark.parametrize("with_bytes", [False, True], ids=["unknowns", "bytes"])
@pytest.mark.parametrize("rule", ["nfkc", "nmt_nfkc", "identity"])
def test_unigram_gives_the_reference_ids_and_text(rule, with_bytes, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    proto = sentencepiece_model(folder, rule, with_bytes)
    path = save(unigram(proto, with_bytes, t5_style=rule != "nfkc"), folder)
    texts = lines() if rule == "nfkc" and not with_bytes else lines()[:3000]
    check(path, texts, code_points=False)
    same_ids(*pair(path), joined_code_points())


def test_added_tokens_are_found_where_the_reference_finds_them(tmp_path):
    t = byte_level(False)
    t.normalizer = normalizers.Sequence([normalizers.Strip(), normalizers.Lowercase()])
    t.add_special_tokens(["[MASK]", AddedToken("<s>", lstrip=True)])
    t.add_special_tokens([AddedToken("</s>", rstrip=True, normalized=True)])
    t.add_tokens(
        [
            AddedToken("Cat", single_word=True),
            AddedToken("cathedral", normalized=False),
            AddedToken("  ", normalized=False),
            AddedToken("photo of", lstrip=True, rstrip=True),
            AddedToken("photo", single_word=True, normalized=False),
            AddedToken("é", normalized=False),
            "a b c",
            "a b",
            "b c d",
        ]
    )
    rng = random.Random(5)
    parts = ["[MASK]", "<s>", "</s>", "</S>", "cat", "Cat", "CAT"]
    parts += ["cathedral", "Cathedral", "photo", "photo of"]
    parts += ["PHOTO OF", "a", "b", "c", "d", " ", " ", "  ", "   ", "\n", "é", "e\u0301", "_", "1", ".", "-"]
    parts += ["\u200d", "日"]
    texts = ["".join(rng.choice(parts) for _ in range(rng.randint(1, 14))) for _ in range(6000)]
    check(save(t, tmp_path), texts, code_points=False)


@pytest.mark.parametrize("direction", ["left", "right"])
def test_truncation_and_padding_are_those_of_the_file(direction, tmp_path):
    t = clip_style()
    t.enable_truncation(max_length=9, direction=direction)
    t.enable_padding(direction=direction, pad_id=3, pad_to_multiple_of=4)
    for length in (None, 12):
        if length:
            t.enable_padding(direction=direction, pad_id=3, length=length)
        reference, ours = pair(save(t, tmp_path))
        same_ids(reference, ours, lines()[:500])
        for text in ("", "a", "a photo of a cat and a dog and a mountain"):
            for special in (True, False):
                expected = reference.encode(text, add_special_tokens=special).ids
                assert ours.encode(text, add_special_tokens=special) == expected


def test_bytes_that_are_no_text_are_read_as_python_replaces_them(data):
    ours = unisim.Tokenizer.load(data("tokenizers/qwen3"))
    rng = random.Random(13)
    alphabet = [*range(256)] + [0xE0, 0xED, 0xF0, 0xF4, 0x80, 0x9F, 0xA0, 0xBF, 0xC2, 0x41] * 12
    for _ in range(1000):
        raw = bytes(rng.choice(alphabet) for _ in range(rng.randint(0, 24)))
        assert ours.encode(raw) == ours.encode(raw.decode("utf-8", errors="replace")), raw


def test_text_is_taken_as_str_or_bytes_up_to_one_mebibyte(data):
    ours = unisim.Tokenizer.load(str(data("tokenizers/clip")))
    assert ours.encode("a\0b") == ours.encode(b"a\0b")
    assert ours.encode("\ud800") == ours.encode("\ufffd")
    assert len(ours.encode("a " * (1 << 19))) == (1 << 19) + 2
    with pytest.raises(ValueError, match="1048577 bytes"):
        ours.encode("a" * ((1 << 20) + 1))
    with pytest.raises(TypeError, match="not int"):
        ours.encode(5)


def test_tokens_and_ids_name_each_other(data):
    ours = unisim.Tokenizer.load(data("tokenizers/clip"))
    assert ours.token_id("<|endoftext|>") == 49407
    assert ours.token(49407) == "<|endoftext|>"
    assert ours.token_id("no such token") is None
    assert ours.token(49408) is None
    assert ours.vocab_size == 49408


def test_a_tokenizer_serves_many_threads_at_once(data):
    ours = unisim.Tokenizer.load(data("tokenizers/qwen3"))
    texts = lines()[:400]
    expected = [ours.encode(t) for t in texts]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: [ours.encode(t) for t in texts], range(8)):
            assert found == expected


def test_an_unknown_part_is_refused_by_name(tmp_path):
    t = transparent(pre_tokenizer=pre_tokenizers.Split(Regex(r"(?<=a)b"), "isolated"))
    with pytest.raises(NotImplementedError, match=r"\(\?<=a\)b"):
        unisim.Tokenizer.load(save(t, tmp_path))
    t = tokenizers.Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    with pytest.raises(NotImplementedError, match="WordLevel"):
        unisim.Tokenizer.load(save(t, tmp_path))
    with pytest.raises(OSError) as missing:
        unisim.Tokenizer.load(tmp_path / "none.json")
    assert missing.value.filename
