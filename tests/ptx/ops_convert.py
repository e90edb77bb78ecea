"""Conversions between integers and floats of every width."""

import numpy as np

from .machine import NUMPY
from .numbers16 import bf16_bits, bf16_values, f16_bits, f16_values
from .operations import operation
from .ops_float import FLOATS, flushed
from .parse import BITS

TO_INTEGER = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
LIMITS = {kind: np.iinfo(number) for kind, number in NUMPY.items() if np.dtype(number).kind in "iu"}


def storage(kind):
    return {"f16": "b16", "bf16": "b16", "f16x2": "b32", "bf16x2": "b32"}.get(kind, kind)


def values_of(bits, kind):
    if kind == "f16":
        return f16_values(bits)
    return bf16_values(bits) if kind == "bf16" else bits


def float_to_integer(value, kind):
    """Saturated; what is no number becomes 0, in 64 bits the lowest number."""
    limits = LIMITS[kind]
    wide = value.astype(np.float64)
    low, high = float(limits.min), float(limits.max)
    safe = np.where(np.isnan(wide) | (wide <= low) | (wide >= high), 0.0, wide)
    out = np.asarray(safe.astype(np.int64 if limits.min < 0 else np.uint64)).astype(NUMPY[kind])
    out = np.where(wide <= low, NUMPY[kind](limits.min), np.where(wide >= high, NUMPY[kind](limits.max), out))
    odd = NUMPY[kind](1 << 63) if kind == "u64" else NUMPY[kind](limits.min if kind == "s64" else 0)
    return np.where(np.isnan(wide), odd, out)


def to_float(value, kind, toward_zero):
    """Rounded once to a float of the kind, as its bits where it has 16."""
    if toward_zero:
        return toward(value, kind)
    if kind == "bf16":
        return bf16_bits(value if value.dtype.kind == "f" else value.astype(np.float64))
    if kind == "f16":
        return f16_bits(value if value.dtype.kind == "f" else value.astype(np.float64))
    return value.astype(NUMPY[kind])


def toward(value, kind):
    if kind == "bf16":
        return (np.asarray(value.astype(np.float32)).view(np.uint32) >> np.uint32(16)).astype(np.uint16)
    number = np.float16 if kind == "f16" else NUMPY[kind]
    wide = value.astype(np.float64)
    near = wide.astype(number)
    over = np.abs(near.astype(np.float64)) > np.abs(wide)
    out = np.where(over, np.nextafter(near, number(0)), near)
    return out.view(np.uint16) if kind == "f16" else out


@operation("cvt")
def convert(i, m):
    flags = i.only("rn", "rz", *TO_INTEGER, "sat", "ftz")
    if i.types[0] in ("f16x2", "bf16x2"):
        return convert_pair(i, m, flags)
    to, source = i.types
    get, put = m.source(i, i.operands[1], storage(source)), m.sink(i, i.operands[0], storage(to))
    step = conversion(to, source, flags)
    return lambda active: put(step(get()), active)


def conversion(to, source, flags):
    floats = to in FLOATS, source in FLOATS
    rounding = next((TO_INTEGER[flag] for flag in flags if flag in TO_INTEGER), None)
    flush = "ftz" in flags and source == "f32"

    def run(bits):
        value = values_of(bits, source)
        if flush:
            value = flushed(value)
        if rounding is not None:
            value = rounding(value)
        if not floats[0]:
            if floats[1]:
                return float_to_integer(value, to)
            if "sat" in flags:
                return saturated(value, to)
            return value.astype(NUMPY[to])
        if "sat" in flags:
            value = np.clip(np.where(np.isnan(value), 0, value).astype(value.dtype), 0, 1)
        out = to_float(value, to, "rz" in flags)
        return flushed(out) if "ftz" in flags and to == "f32" else out

    return run


def saturated(value, to):
    limits, own = LIMITS[to], np.iinfo(value.dtype)
    low, high = max(limits.min, own.min), min(limits.max, own.max)
    return np.clip(value, value.dtype.type(low), value.dtype.type(high)).astype(NUMPY[to])


def convert_pair(i, m, flags):
    """d, a, b: a becomes the upper half, b the lower."""
    to, source = i.types
    if source != "f32" or len(i.operands) != 3:
        i.refuse("form")
    high, low = (m.source(i, op, source) for op in i.operands[1:])
    put = m.sink(i, i.operands[0], "b32")
    half = "bf16" if to == "bf16x2" else "f16"

    def run(active):
        upper, lower = (to_float(get(), half, "rz" in flags).astype(np.uint32) for get in (high, low))
        put(upper << np.uint32(16) | lower, active)

    return run


@operation("cvta")
def convert_address(i, m):
    from .memory import LOCAL_WINDOW, SHARED_WINDOW

    flags = i.only("to", "global", "shared", "local", "const")
    space = flags[-1]
    offset = {"shared": SHARED_WINDOW, "local": LOCAL_WINDOW}.get(space, 0)
    kind = i.types[0]
    if BITS[kind] != 64:
        i.refuse("width")
    get, put = m.source(i, i.operands[1], kind), m.sink(i, i.operands[0], kind)
    step = np.uint64(offset)
    if "to" in flags:
        return lambda active: put(get() - step, active)
    return lambda active: put(get() + step, active)
