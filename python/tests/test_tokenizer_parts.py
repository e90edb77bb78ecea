"""unisim.Tokenizer held to the tokenizers package, part by part: normalizers, pre-tokenizers, decoders."""

import random

import pytest

tokenizers = pytest.importorskip("tokenizers")
from tokenizer_reference import (  # noqa: E402
    every_code_point,
    joined_code_points,
    lines,
    pair,
    same_ids,
    same_text,
    save,
    transparent,
)
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers  # noqa: E402


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
        pre_tokenizers.Sequence(
            [pre_tokenizers.Punctuation(), pre_tokenizers.Metaspace(prepend_scheme="first")],
        ),
        pre_tokenizers.Sequence([pre_tokenizers.ByteLevel(), pre_tokenizers.Split("Ġ", "merged_with_next")]),
    ],
    ids=repr,
)
def test_a_pre_tokenizer_cuts_where_the_reference_cuts(pre_tokenizer, tmp_path):
    path = save(transparent(normalizers.NFKD(), pre_tokenizer), tmp_path)
    same_ids(*pair(path), lines()[:2000] + joined_code_points())


def test_a_character_map_is_applied_by_the_grapheme_clusters(tmp_path):
    spm = pytest.importorskip("sentencepiece")
    protocol = pytest.importorskip("sentencepiece.sentencepiece_model_pb2")
    (tmp_path / "corpus.txt").write_text("hello world foo bar\n" * 100)
    # Everything that may begin a cluster under 6 bytes becomes X: a mark behind it is lost with its cluster.
    mapped = [0x41, 0xA9, 0xE9, 0x2122, 0x0D, *range(0x900, 0xE00), *range(0x1000, 0x1200)]
    mapped += range(0x1780, 0x1C00)
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
    pool += [chr(c) for c in (0x1100, 0x1161, 0x11A8, 0xAC00, 0xAC01)]
    pool += [chr(c) for c in (0x11A3A, 0x113D1, 0x113C5, 0x1B44, 0x1B13)]
    rng = random.Random(29)
    texts = ["".join(rng.choice(pool) for _ in range(rng.randint(1, 9))) for _ in range(20_000)]
    points = every_code_point()
    around = (("A", ""), ("", "A\u0301"), ("\u0915", "\u0915\u0301"))
    pairs = [f"{before}{c}{after}" for c in points for before, after in around]
    pairs += [f"\u0915\u094d{c}\u0301" for c in points]
    same_ids(*pair(path), texts + pairs)


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
    tokens = ["a", "b", "ab</w>", "##c", "▁the", "t▁", "<0x41>", "<0xC3>"]
    tokens += ["<0xA9>", "<0xFF>", "<0x+1>", "Ġa", "Ã"]
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
