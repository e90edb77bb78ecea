"""unisim.Tokenizer held to the tokenizers package: ids, decoded text, every code point, hostile bytes."""

import json
import random
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import pytest
import unisim

tokenizers = pytest.importorskip("tokenizers")
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

LINES = 10_000

SCRIPTS = {
    "latin": (0x41, 0x17F),
    "greek": (0x370, 0x3FF),
    "cyrillic": (0x400, 0x4FF),
    "armenian": (0x531, 0x58A),
    "hebrew": (0x5B0, 0x5EA),
    "arabic": (0x610, 0x6FF),
    "devanagari": (0x900, 0x97F),
    "bengali": (0x980, 0x9FE),
    "tamil": (0xB82, 0xBFA),
    "telugu": (0xC00, 0xC7F),
    "thai": (0xE01, 0xE5B),
    "tibetan": (0xF00, 0xFDA),
    "georgian": (0x10A0, 0x10FF),
    "jamo": (0x1100, 0x11FF),
    "ethiopic": (0x1200, 0x137C),
    "khmer": (0x1780, 0x17F9),
    "mongolian": (0x1800, 0x18AA),
    "vietnamese": (0x1EA0, 0x1EF9),
    "kana": (0x3041, 0x30FF),
    "han": (0x4E00, 0x9FFF),
    "hangul": (0xAC00, 0xD7A3),
    "fullwidth": (0xFF01, 0xFFEF),
    "gothic": (0x10330, 0x1034A),
    "mathematical": (0x1D400, 0x1D7FF),
}
EMOJI = ["😀", "👍🏽", "👩🏿‍🚀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇩🇪", "❤️", "1️⃣", "🫠", "©️", "™", "ℹ️"]
MARKS = ["\u0301", "\u0323", "\u0308", "\u0345", "\u093c", "\u064b", "\u200d", "\ufe0f", "\u20e3"]
CONTROLS = ["\0", "\x01", "\x07", "\t", "\n", "\r", "\r\n", "\x0b", "\x0c", "\x1b", "\x7f", "\x85", "\xa0"]
CONTROLS += ["\u00ad", "\u200b", "\u2028", "\u2029", "\u202e", "\u3000", "\ufeff", "\ufffd", "\ufffe", "\u1680"]
WORDS = ["the", "photo", "of", "a", "cat", "Don't", "WE'LL", "I'm", "it’s", "'s", "'ſ", "o'clock", "HTTP", "naïve"]
WORDS += ["ﬁne", "①", "½", "3.14", "2024", "１２３", "٣٤", "x" * 300, "antidisestablishmentarianism" * 4, "...", "!!!"]
WORDS += ["—", "«»", "C++", "e-mail@example.com", "▁", "▁▁a", "<0x41>", "</w>", "Ġ", "İstanbul", "ǅ", "ß", "\u212b"]
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|im_start|>", "<|im_end|>", "<s>", "</s>", "<unk>"]
SPECIAL += ["<think>", "</think>", "<tool_call>", "<|vision_pad|>", "<|endoftext|", "[MASK]", "[mask]"]
SPACES = [" ", "  ", "   ", "        ", " \n ", "\n\n", "\t ", "\u00a0", " \u3000"]


@lru_cache
def lines(seed=20261123, count=LINES):
    """Lines of mixed scripts, marks, emoji, controls, digits, spaces and special tokens, the same on every machine."""
    rng = random.Random(seed)
    scripts = list(SCRIPTS.values())

    def word():
        kind = rng.random()
        if kind < 0.35:
            first, last = rng.choice(scripts)
            text = "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 9)))
            return "".join(c + (rng.choice(MARKS) if rng.random() < 0.08 else "") for c in text)
        if kind < 0.70:
            return rng.choice(WORDS)
        if kind < 0.78:
            return rng.choice(EMOJI) * rng.randint(1, 3)
        if kind < 0.86:
            return str(rng.randint(0, 10 ** rng.randint(1, 12)))
        if kind < 0.92:
            return rng.choice(CONTROLS)
        if kind < 0.96:
            return rng.choice(SPECIAL)
        while True:
            code = rng.randrange(0x110000)
            if not 0xD800 <= code < 0xE000:
                return chr(code)

    def line():
        parts = [rng.choice(SPACES)] if rng.random() < 0.2 else []
        for _ in range(rng.randint(1, 12)):
            parts.append(word())
            if rng.random() < 0.75:
                parts.append(" " if rng.random() < 0.8 else rng.choice(SPACES))
        return "".join(parts)

    return tuple(line() for _ in range(count))


@lru_cache
def english():
    """Text to train small tokenizers on."""
    rng = random.Random(7)
    words = "the of and a photo cat dog running quickly house mountain über café naïve small larger image similar".split()
    words += ["don't", "it's", "2024", "3.14", "東京", "привет", "नमस्ते", "สวัสดี", "hello,", "world!"]
    return [" ".join(rng.choice(words) for _ in range(rng.randint(3, 14))) for _ in range(2000)]


def save(reference, folder):
    path = folder / "tokenizer.json"
    reference.save(str(path))
    return path


def pair(path):
    return tokenizers.Tokenizer.from_file(str(path)), unisim.Tokenizer.load(path)


def same_ids(reference, ours, texts, add_special_tokens=True):
    """Every text's ids, and on a difference the shortest text that shows it."""
    expected = reference.encode_batch_fast(list(texts), add_special_tokens=add_special_tokens)
    found = ours.encode_batch(texts, add_special_tokens)
    different = [(t, e.ids, f) for t, e, f in zip(texts, expected, found, strict=True) if e.ids != f]
    if different:
        text, e, f = min(different, key=lambda item: len(item[0]))
        pytest.fail(f"{len(different)} of {len(texts)} differ, so {text!r}: expected {e}, found {f}")
    return [e.ids for e in expected]


def same_text(reference, ours, sequences):
    for skip in (True, False):
        for ids in sequences:
            try:
                expected = reference.decode(ids, skip_special_tokens=skip)
            except BaseException as error:  # the reference's own arithmetic overflows where nothing is left to decode
                if type(error).__name__ != "PanicException":
                    raise
                continue
            assert ours.decode(ids, skip) == expected, (ids, skip)


@lru_cache
def every_code_point():
    """Every code point of the first two planes, the marks of plane 14, and a sample of the ideographs and the rest."""
    codes = [c for c in range(sys.maxunicode + 1) if not 0xD800 <= c < 0xE000]
    dense = ((0, 0x20000), (0x2F800, 0x2FA20), (0xE0000, 0xE0200))
    return tuple(chr(c) for c in codes if any(a <= c < b for a, b in dense) or c % 61 == 0)


@lru_cache
def joined_code_points(between="a"):
    """Every code point between two letters or the like, 16 to a line: one a line would take long."""
    points = every_code_point()
    return tuple(between.join(["", *points[i : i + 16], ""]) for i in range(0, len(points), 16))


def check(path, texts=None, code_points=True):
    """The whole comparison of one tokenizer."""
    reference, ours = pair(path)
    assert ours.vocab_size == reference.get_vocab_size()
    texts = texts or lines()
    ids = same_ids(reference, ours, texts)
    same_ids(reference, ours, texts[:500], add_special_tokens=False)
    rng = random.Random(3)
    size = reference.get_vocab_size()
    drawn = [[rng.randrange(size + 3) for _ in range(rng.randint(1, 12))] for _ in range(500)]
    same_text(reference, ours, ids[:1500] + drawn)
    if code_points:
        same_ids(reference, ours, every_code_point())
        same_ids(reference, ours, joined_code_points("a"))
        same_ids(reference, ours, joined_code_points("'"))
        same_ids(reference, ours, joined_code_points(" "))


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
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(pattern, "removed", invert=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
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
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", end), ("<|startoftext|>", start), False, False)
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
        pytest.param(lambda: metaspace_bpe("never", False, True, False), id="metaspace never, fused unknowns"),
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
    """As transformers' converters and tokenizers' SentencePieceUnigramTokenizer build it from a SentencePiece model."""
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


def transparent(normalizer=None, pre_tokenizer=None):
    """A tokenizer whose ids are the bytes of the normalised text, with a mark behind each word."""
    vocabulary = {f"<0x{b:02X}>": b for b in range(256)}
    t = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, end_of_word_suffix="\x05|"))
    if normalizer:
        t.normalizer = normalizer
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    return t


@pytest.mark.parametrize(
    "normalizer",
    [
        normalizers.NFC(),
        normalizers.NFD(),
        normalizers.NFKC(),
        normalizers.NFKD(),
        normalizers.Lowercase(),
        normalizers.Strip(),
        normalizers.Strip(left=True, right=False),
        normalizers.Strip(left=False, right=True),
        normalizers.StripAccents(),
        normalizers.Nmt(),
        normalizers.Prepend("▁<"),
        normalizers.ByteLevel(),
        normalizers.Replace("a", ""),
        normalizers.Replace(Regex(r"\s+"), " "),
        normalizers.Replace(Regex(" {2,}"), "▁"),
        normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " "),
        normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]),
    ],
    ids=repr,
)
def test_a_normalizer_writes_what_the_reference_writes(normalizer, tmp_path):
    path = save(transparent(normalizer), tmp_path)
    same_ids(*pair(path), lines()[:2000] + joined_code_points())


# The split patterns of GPT-2, of GPT-4 with its kin, and of Qwen 3.5.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
GPT4 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN35 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.mark.parametrize(
    "pre_tokenizer",
    [
        pre_tokenizers.Whitespace(),
        pre_tokenizers.WhitespaceSplit(),
        pre_tokenizers.BertPreTokenizer(),
        pre_tokenizers.CharDelimiterSplit("a"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Digits(individual_digits=False),
        *(pre_tokenizers.Punctuation(b) for b in ("isolated", "removed", "contiguous")),
        *(pre_tokenizers.Split(" ", b) for b in ("removed", "isolated", "contiguous")),
        *(pre_tokenizers.Split("a", b) for b in ("merged_with_previous", "merged_with_next")),
        *(pre_tokenizers.Split("a", b, invert=True) for b in ("merged_with_previous", "merged_with_next")),
        pre_tokenizers.Split(Regex(GPT2), "isolated"),
        pre_tokenizers.Split(Regex(GPT2), "contiguous"),
        pre_tokenizers.Split(Regex(GPT4), "isolated"),
        pre_tokenizers.Split(Regex(GPT4.replace("{1,3}", "+")), "isolated"),
        pre_tokenizers.Split(Regex(QWEN35), "isolated"),
        pre_tokenizers.Split(Regex(r"\p{N}{1,3}"), "isolated"),
        pre_tokenizers.Split(Regex(r"[\r\n]"), "isolated"),
        pre_tokenizers.Metaspace(prepend_scheme="first"),
        pre_tokenizers.Metaspace(replacement="_", prepend_scheme="always", split=False),
        pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=True)]
        ),
        pre_tokenizers.Sequence([pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace(prepend_scheme="first")]),
        pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(), pre_tokenizers.Split("Ġ", "merged_with_next")]),
    ],
    ids=repr,
)
def test_a_pre_tokenizer_cuts_where_the_reference_cuts(pre_tokenizer, tmp_path):
    path = save(transparent(normalizers.NFKD(), pre_tokenizer), tmp_path)
    same_ids(*pair(path), lines()[:2000] + joined_code_points())


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
    parts = ["[MASK]", "<s>", "</s>", "</S>", "cat", "Cat", "CAT", "cathedral", "Cathedral", "photo", "photo of"]
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


@pytest.mark.parametrize(
    "decoder",
    [
        None,
        decoders.ByteLevel(),
        decoders.BPEDecoder(),
        decoders.Metaspace(),
        decoders.Metaspace(prepend_scheme="never"),
        decoders.WordPiece(),
        decoders.ByteFallback(),
        decoders.Sequence([decoders.Replace("a", "bb"), decoders.Fuse(), decoders.Strip("b", 2, 0)]),
    ],
    ids=repr,
)
def test_a_decoder_writes_what_the_reference_writes(decoder, tmp_path):
    tokens = ["a", "b", "ab</w>", "##c", "▁the", "t▁", "<0x41>", "<0xC3>", "<0xA9>", "<0xFF>", "<0x+1>", "Ġa", "Ã"]
    tokens += ["©", "é", " .", " n't", "'", "aaa", "日", "<0xc3>", "bb", " do not"]
    t = tokenizers.Tokenizer(models.BPE(vocab={s: i for i, s in enumerate(tokens)}, merges=[]))
    t.add_special_tokens(["[S]"])
    t.add_tokens(["a", "<extra>"])
    if decoder:
        t.decoder = decoder
    reference, ours = pair(save(t, tmp_path))
    rng = random.Random(11)
    size = t.get_vocab_size()
    same_text(reference, ours, [[rng.randrange(size) for _ in range(rng.randint(1, 8))] for _ in range(3000)])
    assert ours.decode([]) == ""
    assert ours.decode([10**12, -1, 0]) == ours.decode([0])


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


def test_a_character_map_is_applied_by_the_grapheme_clusters(tmp_path):
    spm = pytest.importorskip("sentencepiece")
    protocol = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    (tmp_path / "corpus.txt").write_text("hello world foo bar\n" * 100)
    # Everything that may begin a cluster under 6 bytes becomes X: a mark behind it is lost with its cluster.
    mapped = [0x41, 0xA9, 0xE9, 0x2122, 0x0D, *range(0x900, 0xE00), *range(0x1000, 0x1200), *range(0x1780, 0x1C00)]
    mapped += range(0xA980, 0xAC00)
    (tmp_path / "rules.tsv").write_text("".join(f"{c:X}\t58\n" for c in mapped))
    spm.SentencePieceTrainer.train(
        input=str(tmp_path / "corpus.txt"),
        model_prefix=str(tmp_path / "map"),
        vocab_size=20,
        model_type="unigram",
        normalization_rule_tsv=str(tmp_path / "rules.tsv"),
        hard_vocab_limit=False,
        minloglevel=2,
    )
    proto = protocol.ModelProto()
    proto.ParseFromString((tmp_path / "map.model").read_bytes())
    charsmap = proto.normalizer_spec.precompiled_charsmap
    path = save(transparent(normalizers.Precompiled(charsmap)), tmp_path)
    pool = [chr(c) for c in mapped[:5]] + list("\n\u200c\u200d\ufe0f\u0301\u0308\u0345\u0600\u06dd\u07fd😀🇩")
    pool += [chr(c) for c in (0x915, 0x939, 0x94D, 0x93C, 0x9A8, 0x9CD, 0xD15, 0xD4D, 0xD4E, 0x1000, 0x1039)]
    pool += [chr(c) for c in (0x1100, 0x1161, 0x11A8, 0xAC00, 0xAC01, 0x11A3A, 0x113D1, 0x113C5, 0x1B44, 0x1B13)]
    rng = random.Random(29)
    texts = ["".join(rng.choice(pool) for _ in range(rng.randint(1, 9))) for _ in range(20_000)]
    points = every_code_point()
    pairs = [f"{a}{c}{m}" for c in points for a, m in (("A", ""), ("", "A\u0301"), ("\u0915", "\u0915\u0301"))]
    pairs += [f"\u0915\u094d{c}\u0301" for c in points]
    same_ids(*pair(path), texts + pairs)
