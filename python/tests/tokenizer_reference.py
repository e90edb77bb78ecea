"""What the tests of the tokenizer share: texts to try, and the comparison with the tokenizers package."""

import random
import sys
from functools import lru_cache

import pytest
import tokenizers
import unisim
from tokenizers import models

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
CONTROLS += ["\u00ad", "\u200b", "\u2028", "\u2029", "\u202e", "\u3000"]
CONTROLS += ["\ufeff", "\ufffd", "\ufffe", "\u1680"]
WORDS = ["the", "photo", "of", "a", "cat", "Don't", "WE'LL", "I'm", "it’s"]
WORDS += ["'s", "'ſ", "o'clock", "HTTP", "naïve"]
WORDS += ["ﬁne", "①", "½", "3.14", "2024", "１２３", "٣٤"]
WORDS += ["x" * 300, "antidisestablishmentarianism" * 4, "...", "!!!"]
WORDS += ["—", "«»", "C++", "e-mail@example.com", "▁", "▁▁a", "<0x41>", "</w>"]
WORDS += ["Ġ", "İstanbul", "ǅ", "ß", "\u212b"]
SPECIAL = ["<|startoftext|>", "<|endoftext|>", "<|ENDOFTEXT|>", "<|im_start|>", "<|im_end|>"]
SPECIAL += ["<s>", "</s>", "<unk>"]
SPECIAL += ["<think>", "</think>", "<tool_call>", "<|vision_pad|>", "<|endoftext|", "[MASK]", "[mask]"]
SPACES = [" ", "  ", "   ", "        ", " \n ", "\n\n", "\t ", "\u00a0", " \u3000"]


@lru_cache
def lines(seed=20261123, count=LINES):
    """Lines of mixed scripts, marks, emoji, controls, digits, spaces and special tokens, always the same."""
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
    words = "the of and a photo cat dog running quickly house mountain".split()
    words += "über café naïve small larger image similar".split()
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
            except BaseException as error:  # the reference overflows where nothing is left to decode
                if type(error).__name__ != "PanicException":
                    raise
                continue
            assert ours.decode(ids, skip) == expected, (ids, skip)


@lru_cache
def every_code_point():
    """Every code point of the first two planes, the marks of plane 14, and a sample of the others."""
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


def transparent(normalizer=None, pre_tokenizer=None):
    """A tokenizer whose ids are the bytes of the normalised text, with a mark behind each word."""
    vocabulary = {f"<0x{b:02X}>": b for b in range(256)}
    model = models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, end_of_word_suffix="\x05|")
    t = tokenizers.Tokenizer(model)
    if normalizer:
        t.normalizer = normalizer
    if pre_tokenizer:
        t.pre_tokenizer = pre_tokenizer
    return t
