"""The runner's instructions on numbers, held to Python's own arithmetic on PTX written by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest

from .numbers16 import bf16_bits, bf16_values, f16_bits
from .written import element_wise

EDGES = {
    bits: [0, 1, 2, 3, (1 << bits - 1) - 1, 1 << bits - 1, (1 << bits) - 1, (1 << bits) - 2]
    for bits in (16, 32, 64)
}


def integers(kind, seed, count=200):
    bits = int(kind[1:])
    draw = np.random.default_rng(seed)
    out = [int(x) for x in draw.integers(0, 1 << bits, count, np.uint64)] if bits < 64 else [
        int(x) for x in draw.integers(0, (1 << 64) - 1, count, np.uint64)]  # fmt: skip
    out = EDGES[bits] + [x >> int(draw.integers(0, bits)) for x in out]
    draw.shuffle(out)
    return [signed(x, bits) for x in out] if kind[0] == "s" else out


def signed(x, bits):
    x %= 1 << bits
    return x - (1 << bits) if x >> (bits - 1) else x


def wrap(x, kind):
    return signed(x, int(kind[1:])) if kind[0] == "s" else x % (1 << int(kind[1:]))


def towards_zero(a, b):
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


TWO = {
    "add": lambda a, b, n: a + b, "sub": lambda a, b, n: a - b, "mul.lo": lambda a, b, n: a * b,
    "mul.hi": lambda a, b, n: (a * b) >> n,
    "min": lambda a, b, n: min(a, b), "max": lambda a, b, n: max(a, b),
    "div": lambda a, b, n: towards_zero(a, b), "rem": lambda a, b, n: a - b * towards_zero(a, b),
}  # fmt: skip


@pytest.mark.parametrize("kind", ["u16", "s16", "u32", "s32", "u64", "s64"])
@pytest.mark.parametrize("name", TWO)
def test_integer_arithmetic_is_exact_and_wraps(name, kind):
    a, b = integers(kind, 1), integers(kind, 2)
    if name in ("div", "rem"):
        b = [x or 7 for x in b]
        a = [x if not (x == -(1 << int(kind[1:]) - 1) and y == -1) else 5 for x, y in zip(a, b, strict=True)]
    out = element_wise(f"{name}.{kind}", kind, [kind, kind], a, b)
    assert out.tolist() == [wrap(TWO[name](x, y, int(kind[1:])), kind) for x, y in zip(a, b, strict=True)]


@pytest.mark.parametrize("kind, wide", [("u16", "u32"), ("s16", "s32"), ("u32", "u64"), ("s32", "s64")])
def test_wide_products_keep_every_bit(kind, wide):
    a, b, c = integers(kind, 1), integers(kind, 2), integers(wide, 3)
    out = element_wise(f"mul.wide.{kind}", wide, [kind, kind], a, b)
    assert out.tolist() == [x * y for x, y in zip(a, b, strict=True)]
    out = element_wise(f"mad.wide.{kind}", wide, [kind, kind, wide], a, b, c)
    assert out.tolist() == [wrap(x * y + z, wide) for x, y, z in zip(a, b, c, strict=True)]


def shift_left(a, n, kind):
    return a << n if n < int(kind[1:]) else 0


@pytest.mark.parametrize("kind", ["b16", "b32", "b64"])
def test_shifts_by_the_width_and_more_leave_nothing_or_the_sign(kind):
    bits = int(kind[1:])
    a, n = integers(kind, 1), [k % (bits + 9) for k in range(208)]
    out = element_wise(f"shl.{kind}", kind, [kind, "u32"], a, n)
    assert out.tolist() == [wrap(shift_left(x, y, kind), kind) for x, y in zip(a, n, strict=True)]
    out = element_wise(f"shr.u{bits}", f"u{bits}", [f"u{bits}", "u32"], a, n)
    assert out.tolist() == [x >> y for x, y in zip(a, n, strict=True)]
    s = [signed(x, bits) for x in a]
    out = element_wise(f"shr.s{bits}", f"s{bits}", [f"s{bits}", "u32"], s, n)
    assert out.tolist() == [x >> y for x, y in zip(s, n, strict=True)]


def bit_field(a, start, length, kind):
    bits = int(kind[1:])
    start, length, raw = start & 255, length & 255, a % (1 << bits)
    sign = (raw >> min(start + length - 1, bits - 1)) & 1 if kind[0] == "s" and length else 0
    out = sum(((raw >> start + k & 1) if k < length and start + k < bits else sign) << k for k in range(bits))
    return wrap(out, kind)


@pytest.mark.parametrize("kind", ["u32", "s32", "u64", "s64"])
def test_bit_fields_are_taken_out_with_their_sign(kind):
    a, draw = integers(kind, 1), np.random.default_rng(5)
    start, length = draw.integers(0, 70, 208).tolist(), draw.integers(0, 70, 208).tolist()
    out = element_wise(f"bfe.{kind}", kind, [kind, "u32", "u32"], a, start, length)
    assert out.tolist() == [bit_field(x, s, n, kind) for x, s, n in zip(a, start, length, strict=True)]


def inserted(a, b, start, length, bits):
    for k in range(length):
        if start + k < bits:
            b = b & ~(1 << start + k) | ((a >> k & 1) << start + k)
    return b


@pytest.mark.parametrize("kind", ["b32", "b64"])
def test_bit_fields_are_put_in(kind):
    a, b, draw = integers(kind, 1), integers(kind, 2), np.random.default_rng(5)
    start, length = draw.integers(0, 40, 208).tolist(), draw.integers(0, 70, 208).tolist()
    out = element_wise(f"bfi.{kind}", kind, [kind, kind, "u32", "u32"], a, b, start, length)
    want = [inserted(*args, int(kind[1:])) for args in zip(a, b, start, length, strict=True)]
    assert out.tolist() == want


def test_bits_are_counted_reversed_and_combined():
    a, b, c = (integers("b32", seed) for seed in (1, 2, 3))
    assert element_wise("popc.b32", "u32", ["b32"], a).tolist() == [x.bit_count() for x in a]
    assert element_wise("clz.b32", "u32", ["b32"], a).tolist() == [32 - x.bit_length() for x in a]
    assert element_wise("brev.b32", "b32", ["b32"], a).tolist() == [int(f"{x:032b}"[::-1], 2) for x in a]
    wide = integers("b64", 4)
    assert element_wise("clz.b64", "u32", ["b64"], wide).tolist() == [64 - x.bit_length() for x in wide]
    assert element_wise("lop3.b32", "b32", ["b32"] * 3, a, b, c, tail=", 0x96").tolist() == [
        x ^ y ^ z for x, y, z in zip(a, b, c, strict=True)]  # fmt: skip
    out = element_wise("prmt.b32", "b32", ["b32", "b32"], a, b, tail=", 0x0b42")
    want = []
    for x, y in zip(a, b, strict=True):
        byte = list(x.to_bytes(4, "little") + y.to_bytes(4, "little"))
        want.append(byte[2] | byte[4] << 8 | (255 if byte[3] & 128 else 0) << 16 | byte[0] << 24)
    assert out.tolist() == want


@pytest.mark.parametrize("form", ["l.wrap", "r.wrap", "l.clamp", "r.clamp"])
def test_funnel_shifts_join_two_words(form):
    low, high, n = integers("b32", 1), integers("b32", 2), list(range(208))
    out = element_wise(f"shf.{form}.b32", "b32", ["b32", "b32", "u32"], low, high, n)
    want = []
    for x, y, k in zip(low, high, n, strict=True):
        k = k % 32 if "wrap" in form else min(k, 32)
        both = y << 32 | x
        want.append(((both << k) >> 32 if form[0] == "l" else both >> k) & 0xFFFFFFFF)
    assert out.tolist() == want


def floats(seed, count=200, kind=np.float32):
    draw = np.random.default_rng(seed)
    return (draw.normal(size=count) * 2.0 ** draw.integers(-20, 20, count)).astype(kind)


@pytest.mark.parametrize("kind, number", [("f32", np.float32), ("f64", np.float64)])
def test_fused_products_round_once(kind, number):
    a, b = floats(1, kind=number), floats(2, kind=number)
    c = np.where(np.arange(200) % 2, -(a * b), floats(3, kind=number)).astype(number)
    out = element_wise(f"fma.rn.{kind}", kind, [kind] * 3, a, b, c)
    exact = [
        Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z)) for x, y, z in zip(a, b, c, strict=True)
    ]
    near = [number(float(x)) for x in exact]  # rounded twice for f32; where that matters the last test looks
    assert [float(x) for x in out] == [float(x) for x in near]


def test_a_fused_product_halfway_between_floats_looks_at_what_lies_beyond_double():
    up = (1 + 2.0**-12, 2.0**-24 * (1 - 2.0**-12 + 2.0**-24), 1.0)  # 1 + 2^-24 + 2^-60
    down = (1 + 2.0**-23, 2.0**-24 * (1 - 2.0**-23), 1 + 2.0**-23)  # 1 + 2^-23 + 2^-24 - 2^-70
    tie = (1.0, 2.0**-24, 1.0)
    columns = np.array([up, down, tie, np.negative(up)]).T
    columns[:2, 3] *= [-1, 1]
    out = element_wise("fma.rn.f32", "f32", ["f32"] * 3, *columns)
    assert out.tolist() == [1 + 2.0**-23, 1 + 2.0**-23, 1, -1 - 2.0**-23]


def test_float_arithmetic_is_ieee_and_keeps_subnormals_unless_told():
    a, b = floats(1), floats(2)
    for name, f in {"add.rn": np.add, "sub": np.subtract, "mul": np.multiply, "div.rn": np.divide}.items():
        out = element_wise(f"{name}.f32", "f32", ["f32", "f32"], a, b)
        assert (out == f(a, b)).all()
    assert element_wise("mul.f32", "f32", ["f32"] * 2, [2.0**-100], [2.0**-40])[0] == np.float32(2.0**-140)
    assert element_wise("mul.ftz.f32", "f32", ["f32"] * 2, [2.0**-100], [2.0**-40])[0] == 0
    nan, inf = math.nan, math.inf
    out = element_wise("min.f32", "f32", ["f32"] * 2, [nan, 1, 2], [3, nan, inf])
    assert out.tolist() == [3, 1, 2]
    assert np.isnan(element_wise("max.NaN.f32", "f32", ["f32"] * 2, [nan, 1], [3, nan])).all()
    assert element_wise("add.sat.f32", "f32", ["f32"] * 2, [0.5, -1, nan], [3, 0.5, 0]).tolist() == [1, 0, 0]


@pytest.mark.parametrize("name, f", [
    ("ex2.approx.ftz", np.exp2), ("lg2.approx", np.log2), ("rcp.approx.ftz", lambda a: 1 / a),
    ("rsqrt.approx", lambda a: a**-0.5), ("sqrt.rn", np.sqrt), ("tanh.approx", np.tanh),
])  # fmt: skip
def test_functions_of_floats_are_near(name, f):
    a = np.abs(floats(1)) % 30 + 0.01
    out = element_wise(f"{name}.f32", "f32", ["f32"], a)
    assert np.allclose(out, f(a.astype(np.float32).astype(np.float64)), rtol=2.0**-23, atol=0)


def test_floats_become_integers_as_the_rounding_says():
    a = [2.5, -2.5, 3.5, 1e20, -1e20, math.nan, -0.75, 300.0]
    assert element_wise("cvt.rni.s32.f32", "s32", ["f32"], a).tolist() == [
        2,
        -2,
        4,
        2**31 - 1,
        -(2**31),
        0,
        -1,
        300,
    ]
    assert element_wise("cvt.rzi.s32.f32", "s32", ["f32"], a).tolist() == [
        2,
        -2,
        3,
        2**31 - 1,
        -(2**31),
        0,
        0,
        300,
    ]
    assert element_wise("cvt.rzi.u32.f32", "u32", ["f32"], a).tolist() == [2, 0, 3, 2**32 - 1, 0, 0, 0, 300]
    assert element_wise("cvt.rmi.s64.f32", "s64", ["f32"], a[:3]).tolist() == [2, -3, 3]
    assert element_wise("cvt.rni.f32.f32", "f32", ["f32"], a[:3]).tolist() == [2, -2, 4]
    assert element_wise("cvt.rni.sat.s8.f32", "s16", ["f32"], [200.0, -200.0, 5.5]).tolist() == [127, -128, 6]


def test_integers_change_width_with_their_sign():
    a = [-1, 5, -128, 127, 300]
    assert element_wise("cvt.s32.s8", "s32", ["s16"], a).tolist() == [-1, 5, -128, 127, 44]
    assert element_wise("cvt.u32.u8", "u32", ["s16"], a).tolist() == [255, 5, 128, 127, 44]
    assert element_wise("cvt.s64.s32", "s64", ["s32"], a).tolist() == a
    assert element_wise("cvt.sat.s8.s32", "s16", ["s32"], a).tolist() == [-1, 5, -128, 127, 127]
    assert element_wise("cvt.sat.u8.s32", "u16", ["s32"], a).tolist() == [0, 5, 0, 127, 255]
    big = [2**64 - 1, 2**53 + 1, 1]
    assert element_wise("cvt.rn.f32.u64", "f32", ["u64"], big).tolist() == [2.0**64, 2.0**53, 1]


@pytest.mark.filterwarnings("ignore:overflow")
def test_16_bit_floats_round_to_even():
    a = np.concatenate(
        [floats(1), np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 1 + 2.0**-11, 1 + 3 * 2.0**-11, 1e9, math.inf])]
    )
    out = element_wise("cvt.rn.f16.f32", "b16", ["f32"], a)
    assert (out == a.astype(np.float32).astype(np.float16).view(np.uint16)).all()
    bits = element_wise("cvt.rn.bf16.f32", "b16", ["f32"], a)
    exact = a.astype(np.float32).astype(np.float64)
    step = 2.0 ** (np.floor(np.log2(np.abs(exact[:-1]))) - 7)
    want = np.rint(exact[:-1] / step) * step  # rint: ties to even
    assert (bf16_values(bits)[:-1] == want).all() and bits[-1] == 0x7F80
    assert element_wise("cvt.rn.bf16.f32", "b16", ["f32"], [math.nan])[0] == 0x7FFF
    pairs = element_wise("cvt.rn.bf16x2.f32", "b32", ["f32", "f32"], a, a[::-1])
    assert (pairs >> 16 == bf16_bits(a.astype(np.float32))).all()
    assert (pairs & 0xFFFF == bf16_bits(a[::-1].astype(np.float32))).all()
    pairs = element_wise("cvt.rn.f16x2.f32", "b32", ["f32", "f32"], a, a[::-1])
    assert (pairs >> 16 == f16_bits(a.astype(np.float32))).all()
    back = element_wise("cvt.f32.f16", "f32", ["b16"], out)
    assert (back == out.view(np.float16)).all()


def test_16_bit_arithmetic_rounds_each_result():
    a, b, c = (np.random.default_rng(seed).normal(size=64).astype(np.float32) for seed in (1, 2, 3))
    x, y, z = bf16_bits(a), bf16_bits(b), bf16_bits(c)
    out = element_wise("fma.rn.bf16", "b16", ["b16"] * 3, x, y, z)
    exact = bf16_values(x).astype(float) * bf16_values(y) + bf16_values(z)
    assert (out == bf16_bits(exact)).all()
    xx, yy = x[::2].astype(np.uint32) << 16 | x[1::2], y[::2].astype(np.uint32) << 16 | y[1::2]
    pairs = element_wise("mul.rn.bf16x2", "b32", ["b32", "b32"], xx, yy)
    want = bf16_bits(bf16_values(x).astype(float) * bf16_values(y))
    assert (pairs >> 16 == want[::2]).all() and (pairs & 0xFFFF == want[1::2]).all()
    assert bf16_bits(np.array([1 + 2.0**-8 + 2.0**-40]))[0] == 0x3F81  # from double, not by way of float
