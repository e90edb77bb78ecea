"""mine_blind_pairs against brute force in numpy's double."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unisim


def cosines(x):
    """[n, n] cosines in double; rows brought to a largest number of 1 first, zero rows at 0."""
    x = np.asarray(x, np.float64)
    x = x / np.maximum(np.abs(x).max(axis=1, keepdims=True), np.finfo(float).tiny)
    lengths = np.sqrt((x * x).sum(axis=1))
    x = np.divide(x, lengths[:, None], out=np.zeros_like(x), where=lengths[:, None] > 0)
    return x @ x.T


def brute_force(alike, apart, above=0.95, below=0.6):
    first, second = cosines(alike), cosines(apart)
    kept = np.triu((first > above) & (second < below), k=1)
    i, j = np.nonzero(kept)
    return i, j, first[i, j], second[i, j]


def assert_equal_to(mined, expected):
    i, j, alike, apart = expected
    assert mined.i.tolist() == i.tolist()
    assert mined.j.tolist() == j.tolist()
    # two sums in double, each rounded once to float32
    np.testing.assert_allclose(mined.alike.numpy(), alike, rtol=0, atol=2.0**-24)
    np.testing.assert_allclose(mined.apart.numpy(), apart, rtol=0, atol=2.0**-24)


def plant(x, i, j, cosine):
    """Puts row j at the given cosine of row i, in double, to the rounding of x's dtype."""
    u = x[i].astype(np.float64) / np.linalg.norm(x[i].astype(np.float64))
    v = x[j].astype(np.float64)
    v -= u * (u @ v)
    x[j] = u * cosine + v / np.linalg.norm(v) * np.sqrt(1 - cosine**2)


def random_set(seed, dtype):
    """Rows of any length with clusters and, in its first 64 rows, pairs within a hair of both thresholds."""
    rng = np.random.default_rng(seed)
    n, d1, d2 = int(rng.integers(100, 300)), int(rng.integers(150, 400)), int(rng.integers(150, 400))
    alike = (rng.standard_normal((n, d1)) * 0.15 + rng.standard_normal((11, d1))[rng.integers(11, size=n)]).astype(dtype)
    apart = (rng.standard_normal((n, d2)) + rng.standard_normal((5, d2))[rng.integers(5, size=n)]).astype(dtype)
    hair = 1e-7 if dtype == np.float32 else 1e-12
    for k in range(32):
        plant(alike, 2 * k, 2 * k + 1, 0.95 + (hair if k % 2 else -hair))
        plant(apart, 2 * k, 2 * k + 1, 0.6 + (hair if k % 4 < 2 else -hair))
    # Scaled by powers of two, which keeps what was planted.
    for x in (alike, apart):
        x *= np.exp2(rng.integers(-66, 67, size=(n, 1))).astype(dtype)
    return alike, apart


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", range(10))
def test_equal_to_brute_force_with_pairs_planted_at_both_thresholds(seed, dtype):
    alike, apart = random_set(seed, dtype)
    mined = unisim.mine_blind_pairs(alike, apart)
    assert_equal_to(mined, brute_force(alike, apart))
    planted = {(2 * k, 2 * k + 1): k % 4 == 3 for k in range(32)}
    got = {(pair.i, pair.j) for pair in mined}
    assert {pair for pair, kept in planted.items() if kept} == got & set(planted)


def test_lengths_from_1e_minus_20_to_1e20_do_not_matter():
    rng = np.random.default_rng(20)
    alike, apart = rng.standard_normal((200, 16)), rng.standard_normal((200, 12))
    expected = brute_force(alike, apart, 0.7, 0.3)
    scale = 10.0 ** rng.uniform(-20, 20, size=(200, 1))
    for dtype in (np.float32, np.float64):
        mined = unisim.mine_blind_pairs((alike * scale).astype(dtype), (apart / scale).astype(dtype), 0.7, 0.3)
        assert mined.i.tolist() == expected[0].tolist() and mined.j.tolist() == expected[1].tolist()
    assert len(expected[0]) > 10


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_mined_by_its_exact_values(dtype):
    rng = np.random.default_rng(21)
    alike, apart = (torch.from_numpy(rng.standard_normal((150, 9))).to(dtype) for _ in range(2))
    mined = unisim.mine_blind_pairs(alike, apart, alike_above=0.6, apart_below=0.2)
    assert_equal_to(mined, brute_force(alike.double(), apart.double(), 0.6, 0.2))
    assert len(mined) > 10


@pytest.mark.parametrize("n", [0, 1, 2, 3, 31, 32, 33, 127, 128, 129, 257])
def test_sizes_around_the_blocks(n):
    rng = np.random.default_rng(n)
    alike, apart = rng.standard_normal((n, 5)).astype(np.float32), rng.standard_normal((n, 3)).astype(np.float32)
    assert_equal_to(unisim.mine_blind_pairs(alike, apart, 0.2, 0.2), brute_force(alike, apart, 0.2, 0.2))


@pytest.mark.parametrize("above, below", [(-2, 2), (-2, 0.1), (0.3, 2), (2, 2), (-2, -2), (-np.inf, np.inf), (1, 1)])
def test_any_threshold(above, below):
    rng = np.random.default_rng(22)
    alike, apart = rng.standard_normal((140, 4)), rng.standard_normal((140, 4))
    mined = unisim.mine_blind_pairs(alike, apart, alike_above=above, apart_below=below)
    assert_equal_to(mined, brute_force(alike, apart, above, below))


def test_rows_of_width_1_are_at_1_or_minus_1_and_zero_at_0():
    x = np.array([[3.0], [-2.0], [0.0], [5e-30]])
    assert [(p.i, p.j, p.alike) for p in unisim.mine_blind_pairs(x, x, alike_above=-2, apart_below=2)] == [
        (0, 1, -1), (0, 2, 0), (0, 3, 1), (1, 2, 0), (1, 3, -1), (2, 3, 0)]  # fmt: skip


def test_thresholds_are_strict_and_double():
    x = np.array([[3.0, 4.0], [5.0, 0.0]], np.float32)  # cosine 3/5: the double 0.6, below the float 0.6
    assert len(unisim.mine_blind_pairs(x, x, 0.5, 0.6)) == 0
    assert len(unisim.mine_blind_pairs(x, x, 0.5, np.nextafter(0.6, 1))) == 1
    assert len(unisim.mine_blind_pairs(x, x, 0.6, 1)) == 0
    assert len(unisim.mine_blind_pairs(x, x, np.nextafter(0.6, 0), 1)) == 1


def test_the_result_is_four_tensors_and_a_sequence():
    rng = np.random.default_rng(23)
    x = rng.standard_normal((40, 3))
    mined = unisim.mine_blind_pairs(x, x[::-1], alike_above=0.5, apart_below=0.5)
    assert mined.i.dtype == mined.j.dtype == torch.int64
    assert mined.alike.dtype == mined.apart.dtype == torch.float32
    assert len(mined) == len(mined.i) == len(list(mined)) > 4
    first = next(iter(mined))
    assert (first.i, first.j, first.alike) == (mined.i[0].item(), mined.j[0].item(), mined.alike[0].item())
    assert mined[0] == first and mined[-1] == mined[len(mined) - 1]
    with pytest.raises(IndexError):
        mined[len(mined)]
    assert repr(first).startswith(f"BlindPair(i={first.i}, j={first.j}, alike=0.")
    assert repr(mined).endswith(f"... {len(mined)} in all])")
    assert repr(unisim.mine_blind_pairs(x, x, 2, 2)) == "BlindPairs([])"
    assert mined == mined and list(iter(mined)) == list(mined)


def test_iteration_keeps_the_pairs_alive():
    x = np.eye(3)
    iterator = iter(unisim.mine_blind_pairs(x, x, -1, 1))
    assert [(pair.i, pair.j) for pair in iterator] == [(0, 1), (0, 2), (1, 2)]


def test_progress_counts_up_to_the_total_on_the_callers_thread():
    calls = []
    x = np.random.default_rng(24).standard_normal((700, 8))
    unisim.mine_blind_pairs(x, x, progress=lambda done, total: calls.append((done, total, threading.get_ident())))
    done = [call[0] for call in calls]
    assert done == sorted(set(done)) and done[-1] == calls[-1][1] == 21
    assert {call[2] for call in calls} == {threading.get_ident()}


def test_an_exception_from_progress_ends_the_run():
    class Stop(Exception):
        pass

    def stop(done, total):
        raise Stop

    x = np.random.default_rng(25).standard_normal((700, 8))
    with pytest.raises(Stop):
        unisim.mine_blind_pairs(x, x, progress=stop)


def test_threads_do_not_change_the_result():
    alike, apart = random_set(77, np.float32)
    threads = torch.get_num_threads()
    results = []
    try:
        for count in (1, 2, 5):
            torch.set_num_threads(count)
            results.append(list(unisim.mine_blind_pairs(alike, apart, 0.9, 0.7)))
    finally:
        torch.set_num_threads(threads)
    assert results[0] == results[1] == results[2] and results[0]


ROWS = np.random.default_rng(26).standard_normal((5, 4))
NAN_ROW = ROWS.copy()
NAN_ROW[3, 2] = np.nan
INFINITE_ROW = ROWS.copy()
INFINITE_ROW[2, 0] = -np.inf
BAD = {
    "counts differ": ((ROWS, ROWS[:4]), "alike has 5 and apart 4"),
    "NaN in alike": ((NAN_ROW, ROWS), "row 3 of alike is not finite"),
    "infinity in apart": ((ROWS, INFINITE_ROW), "row 2 of apart is not finite"),
    "overflow to half": ((torch.tensor(ROWS * 1e6).half(), ROWS), "row 0 of alike is not finite"),
    "one dimension": ((ROWS[0], ROWS), r"alike must be \[n, d\]"),
    "three dimensions": ((ROWS, ROWS[None]), r"apart must be \[n, d\]"),
    "integers": ((ROWS.astype(np.int64), ROWS), "Long"),
    "width 0": ((ROWS, ROWS[:, :0]), "d >= 1"),
    "alike_above NaN": ((ROWS, ROWS, np.nan), "alike_above is not a number"),
    "apart_below NaN": ((ROWS, ROWS, 0.9, np.nan), "apart_below is not a number"),
    "empty list": (([], ROWS), r"alike must be \[n, d\]"),
    "sparse": ((torch.tensor(ROWS).to_sparse(), ROWS), "dense"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(case):
    arguments, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        unisim.mine_blind_pairs(*arguments)


sets = st.tuples(st.integers(2, 150), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))


def rows_of(shape):
    n, d1, d2, seed = shape
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, d1)).astype(np.float32), rng.standard_normal((n, d2)).astype(np.float32)


@settings(max_examples=60, deadline=None)
@given(sets, st.floats(-1.1, 1.1), st.floats(-1.1, 1.1))
def test_any_set_and_thresholds_are_brute_force(shape, above, below):
    alike, apart = rows_of(shape)
    first, second = cosines(alike), cosines(apart)
    # Numpy sums in another order: leave alone a threshold within rounding of some cosine.
    if min(np.abs(first - above).min(), np.abs(second - below).min()) < 1e-14:
        return
    assert_equal_to(unisim.mine_blind_pairs(alike, apart, above, below), brute_force(alike, apart, above, below))


@settings(max_examples=40, deadline=None)
@given(sets)
def test_permuted_rows_give_the_permuted_pairs(shape):
    alike, apart = rows_of(shape)
    order = np.random.default_rng(shape[3]).permutation(len(alike))

    def named(mined, names):
        return {(frozenset((int(names[p.i]), int(names[p.j]))), p.alike, p.apart) for p in mined}

    mined = unisim.mine_blind_pairs(alike, apart, 0.4, 0.4)
    permuted = unisim.mine_blind_pairs(alike[order], apart[order], 0.4, 0.4)
    assert named(permuted, order) == named(mined, np.arange(len(alike)))


@settings(max_examples=40, deadline=None)
@given(sets)
def test_a_part_of_the_rows_gives_that_part_of_the_pairs(shape):
    alike, apart = rows_of(shape)
    cut = 1 + shape[3] % (len(alike) - 1)
    part = list(unisim.mine_blind_pairs(alike[:cut], apart[:cut], 0.4, 0.4))
    assert part == [p for p in unisim.mine_blind_pairs(alike, apart, 0.4, 0.4) if p.j < cut]
