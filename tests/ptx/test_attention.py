"""attention from its PTX: on tensor cores and in float, causal, with grouped heads, of any alignment."""

import struct
from dataclasses import dataclass

import numpy as np
import pytest

from .run import Memory, compile
from .stored import BF16, F16, FLOAT, KINDS, MMA, Stored, refused, wrong

WIDTHS = (64, 72, 80, 96, 128)


@dataclass
class Attention:
    kind: Stored
    items: int = 1
    heads: int = 1
    kv_heads: int = 1
    queries: int = 1
    keys: int = 1
    width: int = 64
    causal: bool = False
    parts: int = 1  # how many times 16 queries a warp takes
    gap: int = 0  # numbers between one token's heads and the next token's
    shift: int = 0  # numbers by which q, k, v and out are misaligned

    def numbers(self, tokens, heads, seed):
        return self.kind.random((self.items, tokens, heads, self.width), seed)

    def tokens(self):
        q = self.numbers(self.queries, self.heads, 1)
        return q, self.numbers(self.keys, self.kv_heads, 2), self.numbers(self.keys, self.kv_heads, 3)

    def laid_out(self, memory, x):
        """The struct of a HeadRows whose tokens are a gap apart; the last gap is not there."""
        items, tokens, heads, width = x.shape
        stride = heads * width + self.gap
        flat = np.zeros((items * tokens, stride), x.dtype)
        flat[:, : heads * width] = x.reshape(items * tokens, -1)
        pointer = memory.put(flat.reshape(-1)[: flat.size - self.gap], self.shift * self.kind.size)
        return pointer, struct.pack("<Qqqq", pointer, tokens * stride, stride, width)

    def run(self, module, scale=0.25):
        memory, kind = Memory(), self.kind
        q, k, v = self.tokens()
        views = [self.laid_out(memory, x)[1] for x in (q, k, v)]
        out, view = self.laid_out(memory, np.full(q.shape, 0xFFFF if kind.size == 2 else np.nan, kind.dtype))
        args = b"".join(views) + view
        args += struct.pack(
            "<6qfB3x",
            self.items,
            self.heads,
            self.kv_heads,
            self.queries,
            self.keys,
            self.width,
            scale,
            self.causal,
        )
        aligned = not self.shift and all(n * kind.size % 16 == 0 for n in (self.gap, self.width))
        name, rows, shared = self.instance()
        blocks = self.items * self.heads * -(-self.queries // rows)
        exponent = float(np.float32(scale) * np.float32(1.4426950408889634))
        module.launch(memory, name, blocks, 128, shared, [args, exponent, aligned])
        stride = self.heads * self.width + self.gap
        flat = np.append(memory.get(out), np.zeros(self.gap, kind.dtype)).reshape(-1, stride)
        assert (flat[:, self.heads * self.width :] == 0).all()
        return kind.values(flat[:, : self.heads * self.width].reshape(q.shape))

    def instance(self):
        """(kernel, queries of a block, bytes of shared memory)"""
        width = next(w for w in WIDTHS if self.width <= w)
        if self.kind.size == 4:
            return f"attend_float<{width}>", 64, 4 * (64 * width + 2 * 32 * width + 64 * 40)
        return (
            f"attend<{self.kind}, {width}, {self.parts}>",
            64 * self.parts,
            4 * 64 * 16 * 2 * -(-width // 16),
        )

    def want(self, scale=0.25):
        q, k, v = (self.kind.values(x) for x in self.tokens())
        group = self.heads // self.kv_heads
        k, v = (np.repeat(x, group, axis=2) for x in (k, v))
        scores = scale * np.einsum("iqhw,ikhw->ihqk", q, k)
        if self.causal:
            unseen = np.arange(self.keys) > self.keys - self.queries + np.arange(self.queries)[:, None]
            scores = np.where(unseen, -np.inf, scores)
        p = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.einsum("ihqk,ikhw->iqhw", p / p.sum(axis=-1, keepdims=True), v)

    def differs(self, module):
        """Beyond one rounding of each probability and of each result, and what exponentials lose."""
        want = self.want()
        return wrong(self.run(module), want, 3 * self.kind.rounding * (1 + np.abs(want)) + 4e-6)


def module_of(kind):
    return compile("cuda/attention_float.cu" if kind is FLOAT else "cuda/attention.cu")


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("queries, keys", [(1, 1), (1, 65), (63, 64), (65, 31), (70, 130)])
def test_every_number_of_queries_and_keys_is_served(kind, queries, keys):
    assert not Attention(kind, queries=queries, keys=keys).differs(module_of(kind))


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("width", [8, 40, 72, 80, 88, 96, 128])
def test_every_head_width_is_served(kind, width):
    assert not Attention(kind, items=2, heads=2, kv_heads=1, queries=17, keys=66, width=width, gap=8).differs(
        module_of(kind)
    )


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("queries, keys", [(5, 5), (70, 70), (66, 131)])
def test_a_causal_query_sees_no_later_key(kind, queries, keys):
    a = Attention(kind, heads=4, kv_heads=2, queries=queries, keys=keys, causal=True, width=24)
    assert not a.differs(module_of(kind))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_tokens_that_are_not_aligned_are_read_and_written_one_by_one(kind):
    assert not Attention(kind, heads=2, queries=20, keys=70, width=40, gap=3).differs(module_of(kind))
    assert not Attention(kind, queries=3, keys=33, width=64, shift=1).differs(module_of(kind))


@pytest.mark.parametrize("kind", [BF16, F16], ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_a_warp_takes_two_parts_of_many_queries(kind, causal):
    assert not Attention(kind, queries=131, keys=140, causal=causal, parts=2).differs(module_of(kind))


FAULTS = {
    "two registers of a swapped": (MMA, r"\1\2,\4,\3,\5}, {\6,\7}"),
    "the registers of b swapped": (MMA, r"\1\2,\3,\4,\5}, {\7,\6}"),
    "v not transposed": (r"\.trans\.shared", ".shared"),
    "a group left pending": (r"cp\.async\.wait_group 0;", "cp.async.wait_group 1;"),
    "half of a piece copied": (r"(cp\.async\.cg[^;]*), 16, %r\d+;", r"\1, 16, 8;"),
    "sums of half of the lanes": (r"shfl\.sync\.bfly", "shfl.sync.down"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", [BF16, F16], ids=str)
def test_a_fault_in_the_ptx_is_seen(fault, kind):
    a = Attention(kind, queries=20, keys=130, width=40)
    assert refused(lambda: a.differs(module_of(kind).edited(*FAULTS[fault])))


@pytest.mark.parametrize("fault", list(FAULTS)[3:])
def test_a_fault_in_the_ptx_of_floats_is_seen(fault):
    a = Attention(FLOAT, queries=20, keys=70, width=40)
    assert refused(lambda: a.differs(module_of(FLOAT).edited(*FAULTS[fault])))
