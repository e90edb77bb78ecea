"""The 16-bit floats as numpy arrays of their bits, and rounding to them."""

import numpy as np


def bf16_values(bits):
    return (np.asarray(bits).astype(np.uint32) << np.uint32(16)).view(np.float32)


def bf16_bits(values):
    """The nearest, ties to even, of float or double values; a NaN becomes the canonical one."""
    wide = np.asarray(values)
    narrow = wide.astype(np.float32)
    if wide.dtype == np.float64:  # round to odd first: no double rounding
        inexact = (narrow.astype(np.float64) != wide) & np.isfinite(narrow)
        away = inexact & (np.abs(narrow.astype(np.float64)) > np.abs(wide))
        narrow = np.where(away, np.nextafter(narrow, np.float32(0)), narrow)
        narrow = (narrow.view(np.uint32) | inexact).view(np.float32)
    bits = narrow.view(np.uint32)
    even = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(narrow), np.uint32(0x7FFF), even).astype(np.uint16)


def f16_bits(values):
    return np.asarray(values).astype(np.float16).view(np.uint16)


def f16_values(bits):
    return np.asarray(bits).view(np.float16).astype(np.float32)
