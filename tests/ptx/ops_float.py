"""Floats: each result rounded once; the approximate functions in double, then rounded."""

import numpy as np

from . import ops_integer
from .machine import NUMPY
from .numbers16 import bf16_bits, bf16_values, f16_bits, f16_values
from .operations import apply, operation, the_type
from .parse import Imm

FLOATS = ("f32", "f64", "f16", "bf16", "f16x2", "bf16x2")
SMALLEST_NORMAL = np.float32(2.0**-126)


def flushed(a):
    return np.where(np.abs(a) < SMALLEST_NORMAL, np.copysign(np.float32(0), a), a)


def fma32(a, b, c):
    """a b + c, rounded once: in double, where the sum's own error decides what lies halfway."""
    product = a.astype(np.float64) * b
    wide = product + c
    tie = (wide.view(np.uint64) & np.uint64(0x1FFFFFFF)) == np.uint64(0x10000000)
    if tie.any():
        back = wide - product
        error = (product - (wide - back)) + (c - back)
        beyond = np.nextafter(wide, np.copysign(np.inf, error))
        wide = np.where(tie & (error != 0), beyond, wide)
    return wide.astype(np.float32)


def fma64(a, b, c):
    """a b + c, rounded once, by exact sums and one rounding to odd (Boldo and Melquiond 2008)."""
    a, b, c = np.broadcast_arrays(a, b, c)

    def halves(x):
        big = x * 134217729.0
        high = big - (big - x)
        return high, x - high

    def two_sum(x, y):
        s = x + y
        back = s - x
        return s, (x - (s - back)) + (y - back)

    high = a * b
    (a1, a0), (b1, b0) = halves(a), halves(b)
    low = ((a1 * b1 - high) + a1 * b0 + a0 * b1) + a0 * b0
    low = np.where(np.isfinite(low), low, 0.0)
    t1, t0 = two_sum(c, low)
    v1, v0 = two_sum(high, t1)
    z, error = two_sum(t0, v0)
    even = (z.view(np.uint64) & np.uint64(1)) == 0
    z = np.where((error != 0) & even, np.nextafter(z, np.copysign(np.inf, error)), z)
    out = v1 + np.where(np.isfinite(z), z, 0.0)
    return np.where(np.isfinite(high) & np.isfinite(c), out, a * b + c)


def fma(a, b, c):
    if a.dtype == np.float64:
        return fma64(a, b, c)
    return fma32(a, b, c)


def smaller(a, b):
    return np.fmin(a, b)


def larger(a, b):
    return np.fmax(a, b)


def wide(function):
    """Of float arguments in double, rounded to float."""
    return lambda a: function(a.astype(np.float64)).astype(a.dtype)


FUNCTIONS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "fma": fma, "mad": fma,
    "neg": np.negative, "abs": np.absolute, "min": smaller, "max": larger, "sqrt": np.sqrt,
    "rcp": lambda a: np.divide(a.dtype.type(1), a),
    "rsqrt": wide(lambda a: 1 / np.sqrt(a)), "ex2": wide(np.exp2), "lg2": wide(np.log2),
    "tanh": wide(np.tanh), "sin": wide(np.sin), "cos": wide(np.cos),
    "copysign": lambda sign, value: np.copysign(value, sign),
}  # fmt: skip
ROUNDED = {"add", "sub", "mul", "div", "fma", "mad", "sqrt", "rcp"}
APPROXIMATE = {"div", "sqrt", "rcp", "rsqrt", "ex2", "lg2", "tanh", "sin", "cos"}


def bits_of(kind):
    return {"f16": "b16", "bf16": "b16", "f16x2": "b32", "bf16x2": "b32"}[kind]


def unpack(bits, kind):
    """The values of 16-bit floats as floats; of pairs [threads, 2]."""
    if kind.endswith("x2"):
        bits = np.atleast_1d(bits).view(np.uint16).reshape(-1, 2)
    return f16_values(bits) if kind.startswith("f16") else bf16_values(bits)


def pack(values, kind):
    bits = np.ascontiguousarray(f16_bits(values) if kind.startswith("f16") else bf16_bits(values))
    return bits.view(np.uint32)[..., 0] if kind.endswith("x2") else bits


def build_float(i, m, kind):
    allowed = {"ftz", "sat"}
    if i.name in ROUNDED:
        allowed.add("rn")
    if i.name in APPROXIMATE:
        allowed |= {"approx", "full"}
    if i.name in ("min", "max"):
        allowed.add("NaN")
    flags = i.only(*allowed)
    function = FUNCTIONS[i.name]
    if "NaN" in flags:
        function = np.minimum if i.name == "min" else np.maximum
    if kind in ("f32", "f64"):
        if "ftz" in flags or "sat" in flags:
            function = finished(function, "ftz" in flags, "sat" in flags)
        return apply(i, m, function, kind)
    if "sat" in flags:
        i.refuse("modifier .sat")
    if i.name in ("fma", "mad"):
        function = lambda a, b, c: a.astype(np.float64) * b + c
    bits = bits_of(kind)
    return apply(i, m, lambda *args: pack(function(*[unpack(a, kind) for a in args]), kind), bits)


def finished(function, flush, clamp):
    """With subnormal arguments and results taken for zero; with the result clamped to [0, 1], NaN to 0."""

    def run(*args):
        out = function(*[flushed(a) for a in args]) if flush else function(*args)
        if flush:
            out = flushed(out)
        return np.clip(np.where(np.isnan(out), out.dtype.type(0), out), 0, 1) if clamp else out

    return run


@operation("add", "sub", "mul", "div", "mad", "min", "max", "neg", "abs", "rem")
def arithmetic(i, m):
    kind = the_type(i)
    if kind in FLOATS and i.name != "rem":
        return build_float(i, m, kind)
    if kind not in ops_integer.INTEGERS:
        i.refuse(f"type .{kind}")
    return ops_integer.ARITHMETIC[i.name](i, m, kind)


@operation("fma", "sqrt", "rcp", "rsqrt", "ex2", "lg2", "tanh", "sin", "cos", "copysign")
def function_of_floats(i, m):
    return build_float(i, m, the_type(i, FLOATS))


@operation("testp")
def test_property(i, m):
    (test,) = i.only("finite", "infinite", "number", "notanumber")
    kind = the_type(i, ("f32", "f64"))
    function = {
        "finite": np.isfinite, "infinite": np.isinf, "notanumber": np.isnan, "number": lambda a: ~np.isnan(a),
    }[test]  # fmt: skip
    get, put = m.source(i, i.operands[1], kind), m.sink(i, i.operands[0], "pred")
    return lambda active: put(function(get()), active)


# ---- comparisons -------------------------------------------------------------------------------------------

COMPARISONS = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater,
    "ge": np.greater_equal, "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
COMBINE = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def compare(word, kind):
    """Of floats, a comparison is false where either is no number, and with a u before its name true."""
    if kind not in FLOATS:
        return COMPARISONS[word]
    if word in ("num", "nan"):
        return lambda a, b: (np.isnan(a) | np.isnan(b)) == (word == "nan")
    if word.endswith("u") and word[:-1] in COMPARISONS:
        function = COMPARISONS[word[:-1]]
        return lambda a, b: function(a, b) | np.isnan(a) | np.isnan(b)
    if word == "ne":
        return lambda a, b: (a != b) & ~(np.isnan(a) | np.isnan(b))
    return COMPARISONS[word]


def comparison(i, m, flags, a, b):
    kind = the_type(i)
    function = compare(flags[0], kind)
    if "ftz" in flags:
        plain = function
        function = lambda x, y: plain(flushed(x), flushed(y))
    bits = "b16" if kind in ("f16", "bf16") else kind
    x, y = m.source(i, a, bits), m.source(i, b, bits)
    if kind in ("f16", "bf16"):
        return lambda: function(unpack(x(), kind), unpack(y(), kind))
    return lambda: function(x(), y())


WORDS = (*COMPARISONS, *(word + "u" for word in ("eq", "ne", "lt", "le", "gt", "ge")), "num", "nan")


@operation("setp")
def set_predicate(i, m):
    flags = i.only(*WORDS, *COMBINE, "ftz")
    result, a, b, *rest = i.operands
    test = comparison(i, m, flags, a, b)
    both = [result.first, result.second] if hasattr(result, "first") else [result]
    puts = [m.sink(i, op, "pred") for op in both]
    other = m.source(i, rest[0], "pred") if rest else None
    combine = COMBINE[flags[1]] if rest else None

    def run(active):
        yes = test()
        values = [yes, ~yes]
        if other is not None:
            also = other().copy()
            values = [combine(value, also) for value in values]
        for put, value in zip(puts, values, strict=False):
            put(value, active)

    return run


@operation("selp")
def select(i, m):
    i.only()
    kind = the_type(i)
    return apply(i, m, lambda a, b, p: np.where(p, a, b), kind, sources=[kind, kind, "pred"])


@operation("mov")
def move(i, m):
    i.only()
    kind = the_type(i)
    to, source = i.operands
    if hasattr(to, "parts") or hasattr(source, "parts"):
        return move_parts(i, m, kind, to, source)
    if isinstance(source, Imm) and kind == "f32" and source.kind == "f64":
        i.refuse("a double constant")
    get, put = m.source(i, source, kind), m.sink(i, to, kind)
    return lambda active: put(get(), active)


def move_parts(i, m, kind, to, source):
    """One register from several side by side, or several from one."""
    many = to if hasattr(to, "parts") else source
    part = f"b{NUMPY_BITS[kind] // len(many.parts)}"
    if many is source:
        gets, put = [m.source(i, op, part) for op in many.parts], m.sink(i, to, f"b{NUMPY_BITS[kind]}")

        def join(active):
            columns = np.broadcast_arrays(*[get() for get in gets], m.lane)[:-1]
            put(np.stack(columns, axis=1).view(NUMPY[f"b{NUMPY_BITS[kind]}"])[:, 0], active)

        return join
    get, puts = m.source(i, source, f"b{NUMPY_BITS[kind]}"), [m.sink(i, op, part) for op in many.parts]

    def split(active):
        value = np.ascontiguousarray(np.broadcast_to(get(), m.lane.shape))
        columns = value.view(NUMPY[part]).reshape(m.threads, len(puts)).copy()
        for k, put in enumerate(puts):
            put(columns[:, k], active)

    return split


NUMPY_BITS = {kind: 8 * np.dtype(number).itemsize for kind, number in NUMPY.items()}
