"""cosine and cosine_rows against numpy in double."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unisim

# One rounding of a number up to 1 to float32, and what two sums in double may differ by.
ROUNDING = 2.0**-25 + 1e-12


def by_numpy(a, b):
    """The cosine in double of every row of a with every row of b, zero rows at 0."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    a = a / np.maximum(np.abs(a).max(axis=1, keepdims=True), np.finfo(float).tiny)
    b = b / np.maximum(np.abs(b).max(axis=1, keepdims=True), np.finfo(float).tiny)
    lengths = np.sqrt((a * a).sum(1))[:, None] * np.sqrt((b * b).sum(1))[None, :]
    return np.divide(a @ b.T, lengths, out=np.zeros((len(a), len(b))), where=lengths > 0)


def rows(n, d, seed, dtype=np.float32):
    return np.random.default_rng(seed).standard_normal((n, d)).astype(dtype)


@pytest.mark.parametrize("n, m, d", [(1, 1, 1), (3, 5, 7), (65, 130, 33), (129, 64, 768)])
def test_cosine_is_its_definition(n, m, d):
    a, b = rows(n, d, 1), rows(m, d, 2)
    got = unisim.cosine(torch.from_numpy(a), torch.from_numpy(b))
    assert got.dtype == torch.float32 and got.shape == (n, m)
    assert np.abs(got.numpy() - by_numpy(a, b)).max() <= ROUNDING


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_floating_dtype_is_taken_by_its_exact_values(dtype):
    a, b = torch.from_numpy(rows(9, 31, 3)).to(dtype), torch.from_numpy(rows(9, 31, 4)).to(dtype)
    expected = by_numpy(a.double(), b.double())
    assert np.abs(unisim.cosine(a, b).numpy() - expected).max() <= ROUNDING
    assert np.abs(unisim.cosine_rows(a, b).numpy() - np.diag(expected)).max() <= ROUNDING


def test_cosine_rows_is_the_diagonal_of_cosine():
    a, b = rows(70, 19, 5), rows(70, 19, 6)
    assert torch.equal(unisim.cosine_rows(a, b), unisim.cosine(a, b).diagonal())


@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e-42])
def test_rows_of_any_length_float32(scale):
    a, b = (rows(8, 33, 7) * scale).astype(np.float32), rows(8, 33, 8)
    assert np.abs(unisim.cosine(a, b).numpy() - by_numpy(a, b)).max() <= ROUNDING


@pytest.mark.parametrize("scale", [1e200, 1e-200, 1e300, 1e-300])
def test_rows_of_any_length_float64(scale):
    a, b = rows(8, 33, 7, np.float64), rows(8, 33, 8, np.float64)
    assert np.abs(unisim.cosine(a * scale, b * scale).numpy() - by_numpy(a, b)).max() <= ROUNDING


def test_a_zero_row_scores_0_against_everything():
    a = rows(3, 4, 9)
    a[1] = 0
    got = unisim.cosine(a, a)
    assert not got[1].any() and not got[:, 1].any()
    assert not unisim.cosine(np.zeros((2, 3)), np.zeros((2, 3))).any()


def test_identical_rows_give_exactly_1():
    a = rows(200, 77, 10) * np.logspace(-18, 18, 200, dtype=np.float32)[:, None]
    assert torch.equal(unisim.cosine_rows(a, a), torch.ones(200))
    assert torch.equal(unisim.cosine_rows(a, -a), -torch.ones(200))


@pytest.mark.parametrize("view", [lambda x: x[::2, ::3], lambda x: x.T, lambda x: x[::-1], lambda x: x[:, ::-1]])
def test_strides_of_numpy_and_torch(view):
    a = rows(12, 12, 11)
    expected = by_numpy(view(a), view(a))
    assert np.abs(unisim.cosine(view(a), view(a)).numpy() - expected).max() <= ROUNDING


def test_read_only_arrays_are_read(recwarn):
    a = rows(4, 5, 12)
    a.flags.writeable = False
    assert np.abs(unisim.cosine(a, a).numpy() - by_numpy(a, a)).max() <= ROUNDING
    assert not recwarn.list


def test_anything_with_dlpack_and_plain_lists_are_accepted():
    class Carrier:
        def __init__(self, tensor):
            self.tensor = tensor

        def __dlpack__(self, **options):
            return self.tensor.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.tensor.__dlpack_device__()

    a = torch.from_numpy(rows(4, 5, 13))
    assert torch.equal(unisim.cosine(Carrier(a), a), unisim.cosine(a, a))
    assert unisim.cosine([[3.0, 4.0]], [[5.0, 0.0]]).item() == np.float32(0.6)


def test_a_tensor_with_gradient_is_read_and_the_result_has_none():
    a = torch.from_numpy(rows(3, 4, 14)).requires_grad_()
    assert not unisim.cosine(a, a).requires_grad


ROWS = torch.zeros(3, 4)
BAD = {
    "widths differ": (lambda: unisim.cosine(ROWS, torch.zeros(3, 5)), "widths differ: 4 and 5"),
    "counts differ": (lambda: unisim.cosine_rows(ROWS, torch.zeros(2, 4)), "row counts differ: 3 and 2"),
    "one dimension": (lambda: unisim.cosine(ROWS[0], ROWS), r"a must be \[n, d\].*found \[4\] Float"),
    "three dimensions": (lambda: unisim.cosine(ROWS, ROWS[None]), r"b must be \[n, d\].*\[1, 3, 4\]"),
    "integers": (lambda: unisim.cosine(ROWS, ROWS.long()), "found .* Long"),
    "booleans": (lambda: unisim.cosine(ROWS.bool(), ROWS), "found .* Bool"),
    "complex": (lambda: unisim.cosine_rows(ROWS, ROWS.to(torch.complex64)), "found .* ComplexFloat"),
    "width 0": (lambda: unisim.cosine(ROWS[:, :0], ROWS[:, :0]), "d >= 1"),
    "NaN": (lambda: unisim.cosine(ROWS, ROWS.clone().index_fill_(0, torch.tensor([1]), torch.nan)), "row 1 of b is not"),
    "infinity": (lambda: unisim.cosine_rows(ROWS + torch.inf, ROWS), "row 0 of a is not finite"),
    "sparse": (lambda: unisim.cosine(ROWS.to_sparse(), ROWS), "dense"),
    "meta device": (lambda: unisim.cosine(ROWS.to("meta"), ROWS), "on meta"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    call, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        call()


shapes = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))


@settings(max_examples=60, deadline=None)
@given(shapes, st.integers(-60, 60))
def test_a_power_of_two_changes_no_bit(shape, exponent):
    n, m, d, seed = shape
    a, b = rows(n, d, seed), rows(m, d, seed + 1)
    assert torch.equal(unisim.cosine(a * np.float32(2.0**exponent), b), unisim.cosine(a, b))


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(1e-20, 1e20))
def test_scale_does_not_matter(shape, scale):
    n, m, d, seed = shape
    a, b = rows(n, d, seed, np.float64), rows(m, d, seed + 1, np.float64)
    difference = unisim.cosine(a * scale, b) - unisim.cosine(a, b)
    assert difference.abs().max() <= 2.0**-24


@settings(max_examples=60, deadline=None)
@given(shapes)
def test_symmetry_permutation_and_chunks_change_no_bit(shape):
    n, m, d, seed = shape
    a, b = rows(n, d, seed), rows(m, d, seed + 1)
    whole = unisim.cosine(a, b)
    assert torch.equal(unisim.cosine(b, a).T, whole)
    order = np.random.default_rng(seed).permutation(n)
    assert torch.equal(unisim.cosine(a[order], b), whole[order])
    cut = seed % n
    assert torch.equal(torch.cat([unisim.cosine(a[:cut], b), unisim.cosine(a[cut:], b)]), whole)
    assert whole.abs().max() <= 1
