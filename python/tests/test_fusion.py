"""additive_mof and interleaved_mof against numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unisim


def features(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 256, 33), (2, 3, 4, 5)])
@pytest.mark.parametrize("alpha", [0, 0.25, 1 / 3, 1])
def test_additive_mof_is_its_formula(shape, alpha):
    a, b = features(*shape, seed=1), features(*shape, seed=2)
    mixed = unisim.additive_mof(a, b, alpha)
    assert mixed.dtype == torch.float32 and mixed.shape == a.shape
    expected = alpha * a.double() + (1 - alpha) * b.double()
    # three roundings in float32 of numbers no larger than |a| + |b|
    assert bool(((mixed - expected).abs() <= 3 * 2.0**-24 * (a.abs() + b.abs())).all())


def test_alpha_weighs_the_first():
    a, b = features(3, 4, seed=3), features(3, 4, seed=4)
    assert torch.equal(unisim.additive_mof(a, b, 1), a)
    assert torch.equal(unisim.additive_mof(a, b, 0), b)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_shared_dtype_is_kept_and_rounded_to_once(dtype):
    a, b = features(5, 9, seed=5).to(dtype), features(5, 9, seed=6).to(dtype)
    mixed = unisim.additive_mof(a, b, 0.25)
    assert mixed.dtype == dtype
    if dtype in (torch.float16, torch.bfloat16):
        assert torch.equal(mixed, (0.25 * a.float() + 0.75 * b.float()).to(dtype))


def test_two_dtypes_give_float32():
    a, b = features(5, 9, seed=7), features(5, 9, seed=8)
    assert unisim.additive_mof(a, b.bfloat16(), 0.5).dtype == torch.float32
    assert unisim.additive_mof(a.double(), b.half(), 0.5).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("batch, tokens, width", [(1, 1, 1), (2, 256, 33), (3, 5, 1024), (2, 0, 4)])
def test_interleaved_mof_takes_tokens_by_turns(batch, tokens, width, dtype):
    a, b = features(batch, tokens, width, seed=9).to(dtype), features(batch, tokens, width, seed=10).to(dtype)
    mixed = unisim.interleaved_mof(a, b)
    assert mixed.dtype == dtype and mixed.shape == (batch, 2 * tokens, width)
    assert torch.equal(mixed[:, 0::2], a) and torch.equal(mixed[:, 1::2], b)
    assert torch.equal(unisim.interleaved_mof(a[0], b[0]), mixed[0])


def test_numpy_and_strides_are_accepted():
    a, b = features(6, 8, seed=11), features(8, 6, seed=12)
    assert torch.equal(unisim.interleaved_mof(a.T, b), unisim.interleaved_mof(a.T.contiguous(), b))
    assert torch.equal(unisim.interleaved_mof(a.numpy().T, b.numpy()), unisim.interleaved_mof(a.T, b))
    assert torch.equal(unisim.additive_mof(a.numpy().T, b, 0.5), unisim.additive_mof(a.T, b, 0.5))


TOKENS = torch.zeros(2, 3, 4)
BAD = {
    "additive, shapes": (lambda: unisim.additive_mof(TOKENS, TOKENS[0], 0.5), r"\[2, 3, 4\] Float and \[3, 4\] Float"),
    "additive, alpha above 1": (lambda: unisim.additive_mof(TOKENS, TOKENS, 1.5), r"alpha must be in \[0, 1\].*1.5"),
    "additive, alpha below 0": (lambda: unisim.additive_mof(TOKENS, TOKENS, -0.1), r"\[0, 1\]"),
    "additive, alpha NaN": (lambda: unisim.additive_mof(TOKENS, TOKENS, float("nan")), r"\[0, 1\]"),
    "additive, integers": (lambda: unisim.additive_mof(TOKENS.int(), TOKENS, 0.5), "floating dtypes.*Int"),
    "additive, numbers": (lambda: unisim.additive_mof(torch.tensor(1.0), torch.tensor(2.0), 0.5), "single numbers"),
    "interleaved, tokens": (lambda: unisim.interleaved_mof(TOKENS, TOKENS[:, :2]), "shapes differ"),
    "interleaved, dtypes": (lambda: unisim.interleaved_mof(TOKENS, TOKENS.half()), "dtypes differ"),
    "interleaved, one dimension": (lambda: unisim.interleaved_mof(TOKENS[0, 0], TOKENS[0, 0]), r"found \[4\] Float"),
    "interleaved, four dimensions": (lambda: unisim.interleaved_mof(TOKENS[None], TOKENS[None]), r"\[1, 2, 3, 4\]"),
    "interleaved, integers": (lambda: unisim.interleaved_mof(TOKENS.long(), TOKENS.long()), "floating dtypes.*Long"),
    "interleaved, sparse": (lambda: unisim.interleaved_mof(TOKENS.to_sparse(), TOKENS.to_sparse()), "dense"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.floats(0, 1), st.integers(0, 2**31))
def test_the_mixture_of_equals_is_that_and_chunks_change_no_bit(n, d, alpha, seed):
    a, b = features(n, d, seed=seed), features(n, d, seed=seed + 1)
    whole = unisim.additive_mof(a, b, alpha)
    assert (unisim.additive_mof(a, a, alpha) - a).abs().max() <= 2.0**-22 * a.abs().max()
    cut = seed % n
    parts = [unisim.additive_mof(a[:cut], b[:cut], alpha), unisim.additive_mof(a[cut:], b[cut:], alpha)]
    assert torch.equal(torch.cat(parts), whole)
    tokens = unisim.interleaved_mof(a, b)
    assert torch.equal(torch.cat([unisim.interleaved_mof(a[:cut], b[:cut]), unisim.interleaved_mof(a[cut:], b[cut:])]), tokens)
