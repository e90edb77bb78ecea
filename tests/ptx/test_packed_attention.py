"""packed_attention from its PTX: items of different lengths, ranges of keys, of any alignment."""

import struct
from dataclasses import dataclass, field

import numpy as np
import pytest

from .run import Memory, compile
from .stored import BF16, F16, FLOAT, KINDS, MMA, Stored, refused, wrong

WIDTHS = (64, 80, 96, 128)


@dataclass
class Packed:
    kind: Stored
    queries: list  # of each item
    ranges: list  # of each item, the numbers of keys of each of its ranges
    heads: int = 1
    kv_heads: int = 1
    width: int = 64
    gap: int = 0  # numbers between one token's heads and the next token's
    told_aligned: bool = True
    most: int = 0  # queries that a launch is for, if more than there are

    x: list = field(init=False)  # q, and k and v of every range

    def __post_init__(self):
        tokens = [(sum(self.queries), self.heads)]
        tokens += [(n, self.kv_heads) for item in self.ranges for n in item for _ in "kv"]
        self.x = [self.kind.random((n, heads, self.width), seed) for seed, (n, heads) in enumerate(tokens)]

    def laid_out(self, memory, x):
        """A pointer to tokens a gap apart; the last gap is not there."""
        flat = np.zeros((len(x), x[0].size + self.gap), x.dtype)
        flat[:, : x[0].size] = x.reshape(len(x), -1)
        return memory.put(flat.reshape(-1)[: flat.size - self.gap])

    def run(self, module, scale=0.25):
        memory, kind = Memory(), self.kind
        q_token, k_token = (n * self.width + self.gap for n in (self.heads, self.kv_heads))
        pointers = [self.laid_out(memory, x) for x in self.x]
        untouched = np.full(self.x[0].shape, 0xFFFF if kind.size == 2 else np.nan, kind.dtype)
        out = self.laid_out(memory, untouched)
        counts = [n for item in self.ranges for n in item]
        ranges = b"".join(
            struct.pack("<QQqqq", *pointers[1 + 2 * r : 3 + 2 * r], k_token, self.width, n)
            for r, n in enumerate(counts)
        )
        items, row, first = b"", 0, 0
        for queries, own in zip(self.queries, self.ranges, strict=True):
            items += struct.pack("<4q", row, queries, first, len(own))
            row, first = row + queries, first + len(own)
        most = max(self.most, *self.queries)
        told = self.told_aligned and self.gap * kind.size % 16 == 0
        args = struct.pack("<QqqqQqqq", pointers[0], -1, q_token, self.width, out, -1, q_token, self.width)
        args += struct.pack(
            "<QQ5qfB3x",
            memory.put(np.frombuffer(ranges, np.int64)),
            memory.put(np.frombuffer(items, np.int64)),
            len(self.queries),
            most,
            self.heads,
            self.kv_heads,
            self.width,
            scale,
            told,
        )
        name, rows, shared = self.instance(most)
        blocks = len(self.queries) * self.heads * -(-most // rows)
        exponent = float(np.float32(scale) * np.float32(1.4426950408889634))
        module.launch(memory, name, blocks, 128, shared, [args, exponent, told])
        flat = np.append(memory.get(out), np.zeros(self.gap, kind.dtype)).reshape(-1, q_token)
        assert (flat[:, self.heads * self.width :] == 0).all()
        return kind.values(flat[:, : self.heads * self.width].reshape(untouched.shape))

    def instance(self, most):
        """(kernel, queries of a block, bytes of shared memory)"""
        width = next(w for w in WIDTHS if self.width <= w)
        if self.kind.size == 4:
            return f"attend_packed_float<{width}>", 64, 4 * (64 * width + 2 * 32 * width + 64 * 40)
        parts = 2 if width == 64 and most > 64 else 1
        return f"attend_packed<{self.kind}, {width}, {parts}>", 64 * parts, 4 * 64 * 16 * 2 * -(-width // 16)

    def want(self, scale=0.25):
        values, out = [self.kind.values(x) for x in self.x], []
        row, at = 0, 1
        for queries, own in zip(self.queries, self.ranges, strict=True):
            q, there = values[0][row : row + queries], values[at : at + 2 * len(own)]
            row, at = row + queries, at + 2 * len(own)
            k, v = (
                np.repeat(np.concatenate(x), self.heads // self.kv_heads, axis=1)
                for x in (there[::2], there[1::2])
            )
            scores = scale * np.einsum("qhw,khw->hqk", q, k)
            unseen = np.arange(len(k)) > len(k) - queries + np.arange(queries)[:, None]
            scores = np.where(unseen, -np.inf, scores)
            p = np.exp(scores - scores.max(axis=-1, keepdims=True))
            out.append(np.einsum("hqk,khw->qhw", p / p.sum(axis=-1, keepdims=True), v))
        return np.concatenate(out)

    def differs(self, module):
        """Beyond one rounding of each probability and of each result, and what exponentials lose."""
        want = self.want()
        return wrong(self.run(module), want, 3 * self.kind.rounding * (1 + np.abs(want)) + 4e-6)


def module_of(kind):
    return compile("cuda/packed_attention_float.cu" if kind is FLOAT else "cuda/packed_attention.cu")


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_items_have_lengths_of_their_own(kind):
    assert not Packed(kind, [1, 17, 3], [[1], [17], [3]], width=24).differs(module_of(kind))
    assert not Packed(kind, [2, 70], [[33, 2], [70]], most=130).differs(module_of(kind))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("ranges", [[31, 66], [33, 1, 64, 40], [65, 5]], ids=str)
def test_every_range_but_the_last_is_seen_as_a_whole(kind, ranges):
    assert not Packed(kind, [5], [ranges], width=24).differs(module_of(kind))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("width", [80, 88, 128])
def test_every_head_width_is_served(kind, width):
    a = Packed(kind, [17, 2], [[5, 66], [2]], heads=2, kv_heads=1, width=width, gap=8)
    assert not a.differs(module_of(kind))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_what_is_not_aligned_is_read_and_written_one_by_one(kind):
    assert not Packed(kind, [3, 18], [[3], [35, 18]], heads=2, kv_heads=2, width=40, gap=3).differs(
        module_of(kind)
    )
    assert not Packed(kind, [3], [[33, 4]], width=40, told_aligned=False).differs(module_of(kind))


FAULTS = {
    "the registers of b swapped": (MMA, r"\1\2,\3,\4,\5}, {\7,\6}"),
    "a group left pending": (r"cp\.async\.wait_group 0;", "cp.async.wait_group 1;"),
    "half of a piece copied": (r"(cp\.async\.cg[^;]*), 16, %r\d+;", r"\1, 16, 8;"),
    "sums of half of the lanes": (r"shfl\.sync\.bfly", "shfl.sync.down"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", [BF16, F16], ids=str)
def test_a_fault_in_the_ptx_is_seen(fault, kind):
    a = Packed(kind, [20, 2], [[70, 30], [2]], width=40)
    assert refused(lambda: a.differs(module_of(kind).edited(*FAULTS[fault])))


@pytest.mark.parametrize("fault", list(FAULTS)[1:])
def test_a_fault_in_the_ptx_of_floats_is_seen(fault):
    a = Packed(FLOAT, [20, 2], [[40, 30], [2]], width=40)
    assert refused(lambda: a.differs(module_of(FLOAT).edited(*FAULTS[fault])))
