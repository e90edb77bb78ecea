"""Integers, bits and predicates."""

import numpy as np

from .machine import NUMPY, UNSIGNED
from .operations import apply, operation, the_type
from .parse import BITS, Imm

INTEGERS = ("u16", "s16", "u32", "s32", "u64", "s64")
WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}
WIDE = {name: np.dtype(NUMPY[kind]) for name, kind in WIDER.items()}


def unsigned(kind):
    return f"b{BITS[kind]}"


def high_product(a, b, kind):
    if kind in WIDE:
        return ((a.astype(WIDE[kind]) * b.astype(WIDE[kind])) >> BITS[kind]).astype(NUMPY[kind])
    x, y = np.asarray(a).view(np.uint64), np.asarray(b).view(np.uint64)
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    x0, x1, y0, y1 = x & low, x >> half, y & low, y >> half
    middle = x1 * y0 + ((x0 * y0) >> half)
    other = x0 * y1 + (middle & low)
    high = x1 * y1 + (middle >> half) + (other >> half)
    if kind == "s64":
        high = high - np.where(np.asarray(a) < 0, y, 0).astype(np.uint64)
        high = high - np.where(np.asarray(b) < 0, x, 0).astype(np.uint64)
    return high.view(NUMPY[kind])


def plain(function, by_sign):
    """Sums wrap in the same way for both signs; order and magnitude do not."""

    def build(i, m, kind):
        i.only()
        return apply(i, m, function, kind if by_sign else unsigned(kind))

    return build


def product(i, m, kind):
    (form,) = i.only("lo", "hi", "wide")
    if form == "lo":
        return apply(i, m, np.multiply, unsigned(kind))
    if form == "hi":
        return apply(i, m, lambda a, b: high_product(a, b, kind), kind)
    wide = WIDE[kind]
    return apply(i, m, lambda a, b: a.astype(wide) * b.astype(wide), kind, result=WIDER[kind])


def product_sum(i, m, kind):
    (form,) = i.only("lo", "hi", "wide")
    if form == "lo":
        return apply(i, m, lambda a, b, c: a * b + c, unsigned(kind))
    if form == "hi":
        return apply(i, m, lambda a, b, c: high_product(a, b, kind) + c, kind)
    wide = WIDE[kind]
    kinds = [kind, kind, WIDER[kind]]
    return apply(
        i, m, lambda a, b, c: a.astype(wide) * b.astype(wide) + c, kind, sources=kinds, result=WIDER[kind]
    )


def quotient(i, m, kind):
    i.only()

    def divide(a, b):
        b = np.where(b == 0, 1, b)
        return ((a - np.fmod(a, b)) // b).astype(NUMPY[kind])

    return apply(i, m, divide, kind)


def remainder(i, m, kind):
    i.only()
    return apply(i, m, lambda a, b: np.fmod(a, np.where(b == 0, 1, b)).astype(NUMPY[kind]), kind)


ARITHMETIC = {
    "add": plain(np.add, by_sign=False),
    "sub": plain(np.subtract, by_sign=False),
    "neg": plain(np.negative, by_sign=False),
    "min": plain(np.minimum, by_sign=True),
    "max": plain(np.maximum, by_sign=True),
    "abs": plain(np.absolute, by_sign=True),
    "mul": product,
    "mad": product_sum,
    "div": quotient,
    "rem": remainder,
}


@operation("and", "or", "xor", "not")
def bitwise(i, m):
    i.only()
    function = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "not": np.invert}[i.name]
    return apply(i, m, function, the_type(i, ("pred", "b16", "b32", "b64")))


@operation("cnot")
def is_zero(i, m):
    i.only()
    kind = the_type(i, ("b16", "b32", "b64"))
    return apply(i, m, lambda a: (a == 0).astype(NUMPY[kind]), kind)


@operation("lop3")
def three_way(i, m):
    i.only()
    table = i.operands[4].bits

    def look_up(a, b, c, _):
        out = np.zeros_like(a | b | c)
        for k in range(8):
            if table >> k & 1:
                out |= (a if k & 4 else ~a) & (b if k & 2 else ~b) & (c if k & 1 else ~c)
        return out

    return apply(i, m, look_up, the_type(i, ("b32",)))


def shifted(a, amount, bits, left):
    """Amounts of the width and more shift everything out."""
    inside = np.minimum(amount, bits - 1).astype(a.dtype)
    if left:
        return np.where(amount < bits, a << inside, np.zeros_like(a))
    out = a >> inside
    return out if a.dtype.kind == "i" else np.where(amount < bits, out, np.zeros_like(out))


@operation("shl", "shr")
def shift(i, m):
    i.only()
    kind = the_type(i)
    bits, left = BITS[kind], i.name == "shl"
    amount = i.operands[2]
    if isinstance(amount, Imm) and amount.bits < bits:
        by = np.array(amount.bits).astype(NUMPY[kind])[()]
        ufunc = np.left_shift if left else np.right_shift
        get, view = m.source(i, i.operands[1], kind), m.target(i, i.operands[0], kind)
        if view is not None:
            return lambda active: ufunc(get(), by, out=view, where=active)
    return apply(i, m, lambda a, n: shifted(a, n, bits, left), kind, sources=[kind, "u32"])


@operation("shf")
def funnel(i, m):
    left, wrap = (word in i.only("l", "r", "wrap", "clamp") for word in ("l", "wrap"))

    def look(low, high, amount):
        amount = amount & np.uint32(31) if wrap else np.minimum(amount, np.uint32(32))
        both = high.astype(np.uint64) << np.uint64(32) | low.astype(np.uint64)
        wide = amount.astype(np.uint64)
        return ((both << wide) >> np.uint64(32) if left else both >> wide).astype(np.uint32)

    return apply(i, m, look, the_type(i, ("b32",)))


@operation("bfe")
def extract(i, m):
    i.only()
    kind = the_type(i, ("u32", "s32", "u64", "s64"))
    bits = BITS[kind]

    def field(a, start, length):
        start, length = start & np.uint32(255), np.minimum(length & np.uint32(255), np.uint32(bits))
        kept = np.minimum(length, bits - np.minimum(start, np.uint32(bits))).astype(np.uint32)
        raw = shifted(np.asarray(a).view(UNSIGNED[bits]), start, bits, left=False)
        # the field's highest bit, or the number's when the field passes its end, is the sign
        up = (bits - kept).astype(np.uint32)
        aligned = shifted(raw, up, bits, left=True).view(NUMPY[kind])
        out = shifted(aligned, up, bits, left=False)
        if kind.startswith("s"):
            fill = np.where(a < 0, -1, 0).astype(NUMPY[kind])
            out = np.where((kept == 0) & (length > 0), fill, out)
        return np.where(length == 0, 0, out).astype(NUMPY[kind])

    return apply(i, m, field, kind, sources=[kind, "u32", "u32"])


@operation("bfi")
def insert(i, m):
    i.only()
    kind = the_type(i, ("b32", "b64"))
    bits = BITS[kind]

    def place(a, b, start, length):
        start, length = start & np.uint32(255), length & np.uint32(255)
        one = np.ones_like(b)
        mask = shifted(shifted(one, length, bits, left=True) - one, start, bits, left=True)
        return (b & ~mask) | (shifted(a, start, bits, left=True) & mask)

    return apply(i, m, place, kind, sources=[kind, kind, "u32", "u32"])


@operation("prmt")
def permute(i, m):
    i.only()

    def pick(a, b, selector):
        both = b.astype(np.uint64) << np.uint64(32) | a.astype(np.uint64)
        out = np.zeros_like(both)
        for k in range(4):
            choice = selector.astype(np.uint64) >> np.uint64(4 * k)
            byte = (both >> ((choice & np.uint64(7)) * np.uint64(8))) & np.uint64(255)
            sign = np.where(byte & np.uint64(128), np.uint64(255), np.uint64(0))
            out |= np.where(choice & np.uint64(8), sign, byte) << np.uint64(8 * k)
        return out.astype(np.uint32)

    return apply(i, m, pick, the_type(i, ("b32",)))


def high_bit(a):
    """The place of the highest one; -1 where there is none."""
    a = np.asarray(a)
    out = np.full(a.shape, -1, np.int64)
    for k in range(8 * a.dtype.itemsize):
        out = np.where((a >> a.dtype.type(k)) & a.dtype.type(1), k, out)
    return out


@operation("popc", "clz", "brev", "bfind")
def count_bits(i, m):
    i.only()
    kind = the_type(i, ("b32", "b64", "u32", "u64"))
    bits = BITS[kind]

    def reverse(a):
        out = np.zeros_like(a)
        for k in range(bits):
            out |= ((a >> a.dtype.type(k)) & a.dtype.type(1)) << a.dtype.type(bits - 1 - k)
        return out

    function = {
        "popc": lambda a: np.bitwise_count(a).astype(np.uint32),
        "clz": lambda a: (bits - 1 - high_bit(a)).astype(np.uint32),
        "bfind": lambda a: high_bit(a).astype(np.uint32),
        "brev": reverse,
    }[i.name]
    return apply(i, m, function, kind, result=kind if i.name == "brev" else "u32")


@operation("dp4a")
def bytes_product(i, m):
    i.only()
    a_kind, b_kind = i.types
    signs = [np.int8 if kind == "s32" else np.uint8 for kind in (a_kind, b_kind)]

    def dot(a, b, c):
        parts = [
            np.atleast_1d(x).view(s).reshape(-1, 4).astype(np.int64)
            for x, s in zip((a, b), signs, strict=True)
        ]
        return ((parts[0] * parts[1]).sum(axis=1) + c.astype(np.int64)).astype(np.uint32)

    return apply(i, m, dot, "b32")
