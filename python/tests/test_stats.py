"""unisim's statistics against scipy, and the bootstrap against its definition, number by number.

Unless said otherwise the tolerance is 1e-10 relative: both sides are right to 1e-13 or so, and scipy's special functions
are the weaker of the two.
"""

import math

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.metrics import average_precision_score, cohen_kappa_score

import unisim
from unisim.seeded import Seeded


def close(expected):
    return pytest.approx(expected, rel=1e-10, abs=1e-15)


def tied(seed, n, levels):
    """[n] numbers of a few levels: many ties."""
    return np.random.default_rng(seed).integers(0, levels, n) / 4.0


# Shares, tests.


@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999, 1 - 1e-9])
@pytest.mark.parametrize("right, n", [(0, 1), (1, 1), (0, 50), (50, 50), (7, 9), (1731, 1824), (5, 10**9)])
def test_wilsons_interval_is_scipys(right, n, confidence):
    expected = stats.binomtest(right, n).proportion_ci(confidence, method="wilson")
    low, high = unisim.wilson_interval(right, n, confidence=confidence)
    # scipy takes 1 - confidence from 0.5 + confidence / 2, which has lost its last digits near 1.
    tolerance = 1e-10 if confidence < 0.9999 else 1e-7
    assert (low, high) == (
        pytest.approx(expected.low, rel=tolerance),
        pytest.approx(expected.high, rel=tolerance),
    )


@pytest.mark.parametrize(
    "only_a, only_b",
    [(0, 0), (1, 0), (3, 3), (4, 3), (2, 11), (40, 61), (500, 600), (4900, 5100), (0, 1000), (30000, 30500)],
)
def test_mcnemar_is_the_exact_binomial_test(only_a, only_b):
    a = [1] * only_a + [0] * only_b + [1, 0, 0]
    b = [0] * only_a + [1] * only_b + [1, 0, 0]
    found = unisim.mcnemar(a, b)
    assert (found.only_a, found.only_b) == (only_a, only_b)
    expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1
    assert found.p == pytest.approx(expected, rel=1e-10, abs=0)
    assert unisim.mcnemar(np.array(b, bool), np.array(a, bool)).p == found.p


def test_holm_is_the_definition():
    p = np.random.default_rng(0).uniform(0, 0.2, 12)
    p[3] = p[7]
    order = sorted(range(12), key=lambda i: p[i])
    expected = [0.0] * 12
    for k, i in enumerate(order):
        expected[i] = max(min(1, (12 - j) * p[order[j]]) for j in range(k + 1))
    assert unisim.holm(p) == close(expected)
    assert unisim.holm([]) == []


# Correlations.


@pytest.mark.parametrize("n, levels", [(2, 10**9), (3, 2), (50, 4), (777, 10**9), (1000, 30), (5000, 3)])
def test_correlations_are_scipys(n, levels):
    x, y = tied(1, n, levels), tied(2, n, levels)
    x[0], y[0] = -1, 9  # never constant
    y = y + np.round(x)
    assert unisim.pearson(x, y) == close(stats.pearsonr(x, y).statistic)
    assert unisim.spearman(x, y) == close(stats.spearmanr(x, y).statistic)
    assert unisim.kendall_tau_b(x, y) == close(stats.kendalltau(x, y).statistic)


def test_kendall_of_a_hundred_thousand_is_quick():
    x, y = (np.random.default_rng(seed).normal(size=100_000) for seed in (1, 2))
    assert unisim.kendall_tau_b(x, x + y) == close(stats.kendalltau(x, x + y).statistic)


def test_lists_tensors_and_other_dtypes_are_taken_and_words_are_not():
    import torch

    expected = unisim.pearson([1.0, 2.0, 4.0], [1.0, 3.0, 2.0])
    assert unisim.pearson(torch.tensor([1, 2, 4]), np.array([1, 3, 2], np.uint8)) == expected
    assert unisim.pearson((1, 2, 4), np.array([[1, 0], [3, 0], [2, 0]], np.float16)[:, 0]) == expected
    for wrong in (["1", "2", "4"], [1, 2, None], [1j, 2, 3]):
        with pytest.raises(TypeError, match=r"\[stats\] y"):
            unisim.pearson([1, 2, 4], wrong)
    with pytest.raises(ValueError, match="2 dimensions"):
        unisim.pearson([1, 2, 4], [[1, 2, 3]])


@pytest.mark.parametrize("f", [unisim.pearson, unisim.spearman, unisim.kendall_tau_b])
def test_a_constant_or_undefined_side_is_an_error(f):
    for x, y, words in [
        ([1, 1, 1], [1, 2, 3], "all of x are 1"),
        ([1, 2, 3], [0.5] * 3, "all of y are 0.5"),
        ([1, 2, math.nan], [1, 2, 3], r"x\[2\] is nan"),
        ([1, 2, 3], [1, math.inf, 3], r"y\[1\] is inf"),
        ([1, 2, 3], [1, 2], "3 and 2"),
        ([1], [1], "at least 2"),
    ]:
        with pytest.raises(ValueError, match=words):
            f(x, y)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_fishers_interval_is_scipys(confidence):
    x, y = tied(3, 40, 10**6), tied(4, 40, 10**6)
    r = stats.pearsonr(x, x + y)
    expected = r.confidence_interval(confidence)
    found = unisim.fisher_interval(r.statistic, 40, confidence=confidence)
    assert (found.low, found.high) == (close(expected.low), close(expected.high))
    assert list(unisim.fisher_interval(1, 10)) == [1, 1] and list(unisim.fisher_interval(-1, 10)) == [-1, -1]


# The bootstrap.


def drawn(units, seed, resamples):
    """[resamples, units] how often each is drawn, by the generator of unisim.seeded from this first state."""
    generator = Seeded()
    generator._state = seed
    counts = np.zeros((resamples, units), np.int64)
    for row in counts:
        for _ in range(units):
            row[generator.below(units)] += 1
    return counts


def interval(resampled, confidence):
    return np.quantile(resampled, [(1 - confidence) / 2, (1 + confidence) / 2])


def test_the_bootstrap_is_its_definition():
    values = np.random.default_rng(5).normal(size=23)
    expected = interval(drawn(23, 7, 500) @ values / 23, 0.9)
    found = unisim.bootstrap_interval(values, confidence=0.9, resamples=500, seed=7)
    assert list(found) == pytest.approx(list(expected), rel=1e-12)
    # Five groups of unequal size: the mean is over the values drawn, however many these are.
    groups = np.arange(23) ** 2 % 7
    names = list(dict.fromkeys(groups.tolist()))
    member = (groups == np.array(names)[:, None]).astype(float)
    counts = drawn(len(names), 7, 500)
    expected = interval((counts @ (member @ values)) / (counts @ member.sum(1)), 0.9)
    for given in (groups, [f"image {g}" for g in groups]):
        found = unisim.bootstrap_interval(values, given, confidence=0.9, resamples=500, seed=7)
        assert list(found) == pytest.approx(list(expected), rel=1e-12)


def test_the_bootstrap_gives_these_very_bits():
    values = [k * k % 17 / 17 for k in range(50)]
    found = unisim.bootstrap_interval(values)
    assert (found.low, found.high) == (0.3870588235294117, 0.5717647058823528)
    assert list(unisim.bootstrap_interval(values)) == list(found)
    assert list(unisim.bootstrap_interval(values, seed=1)) != list(found)


def test_a_paired_bootstrap_is_its_definition():
    a, b = np.random.default_rng(6).normal(size=(2, 31))
    a += 0.3
    resampled = drawn(31, 0, 400) @ (a - b) / 31
    found = unisim.paired_bootstrap(a, b, resamples=400)
    assert found.difference == close(a.mean() - b.mean())
    assert list(found.interval) == pytest.approx(list(interval(resampled, 0.95)), rel=1e-12)
    assert found.p == close(2 * (1 + min((resampled <= 0).sum(), (resampled >= 0).sum())) / 401)
    turned = unisim.paired_bootstrap(b, a, resamples=400)
    assert (turned.p, turned.difference) == (found.p, -found.difference)


@pytest.mark.parametrize("kind", ["pearson", "spearman", "kendall"])
def test_a_bootstrap_of_a_correlation_is_its_definition(kind):
    f = {"pearson": stats.pearsonr, "spearman": stats.spearmanr, "kendall": stats.kendalltau}[kind]
    x, y = tied(8, 24, 9), tied(9, 24, 9)
    y += x
    for groups in (None, [k // 2 for k in range(24)]):
        units = 24 if groups is None else 12
        resampled = []
        for counts in drawn(units, 3, 200):
            index = np.repeat(np.arange(24), counts if groups is None else np.repeat(counts, 2))
            resampled.append(f(x[index], y[index]).statistic)
        found = unisim.correlation_bootstrap(x, y, kind, groups, resamples=200, seed=3)
        assert list(found) == pytest.approx(list(interval(resampled, 0.95)), rel=1e-10)


def test_resamples_without_a_coefficient_are_drawn_again_unless_most_are_so():
    found = unisim.correlation_bootstrap([1, 2, 3], [1, 3, 2], "kendall", resamples=300)
    assert found.low == -1 and found.high == 1
    with pytest.raises(ValueError, match="too few numbers differ"):
        unisim.correlation_bootstrap([1] + [0] * 40, [0] * 40 + [1], "pearson")  # each has its one in 63 %
    with pytest.raises(ValueError, match="pearson, spearman or kendall"):
        unisim.correlation_bootstrap([1, 2], [1, 2], "tau")


@pytest.mark.parametrize(
    "arguments, words",
    [
        ({"groups": [1, 2]}, "2 groups for 3 items"),
        ({"groups": [1, 1, 1]}, "at least 2 groups"),
        ({"groups": []}, "groups is empty"),
        ({"confidence": 1}, "confidence"),
        ({"resamples": 0}, "resamples"),
    ],
)
def test_a_bootstrap_refuses_by_name(arguments, words):
    with pytest.raises(ValueError, match=words):
        unisim.bootstrap_interval([1, 2, 3], **arguments)


# Human judgement.


def test_the_2afc_score_of_36000_items_is_a_direct_computation():
    generator = np.random.default_rng(10)
    d0, d1 = generator.integers(0, 40, (2, 36_000)) / 64  # one in forty is a tie
    votes = generator.integers(0, 6, 36_000) / 5
    agreed = [v if y < x else 1 - v if x < y else 0.5 for x, y, v in zip(d0, d1, votes, strict=True)]
    assert (d0 == d1).sum() > 500
    assert unisim.two_afc_items(d0, d1, votes) == agreed
    # 36000 additions of numbers up to 1, in order: within 1e-12 of the exact sum.
    assert unisim.two_afc_score(d0, d1, votes) == pytest.approx(math.fsum(agreed) / 36_000, rel=1e-12)


def voc_2010(precision, recall):
    area = 0.0
    for k in range(len(recall)):
        area += max(precision[k:]) * (recall[k] - (recall[k - 1] if k else 0))
    return area


@pytest.mark.parametrize("levels", [2, 10**9])
def test_the_average_precision_of_pairs_is_voc_2010(levels):
    generator = np.random.default_rng(11)
    distances = generator.normal(size=400)
    same = np.round(
        np.clip(1 / (1 + np.exp(distances)) + generator.normal(0, 0.2, 400), 0, 1) * (levels - 1)
    ) / (levels - 1)
    order = np.argsort(distances)
    found = np.cumsum(same[order])
    expected = voc_2010(found / np.arange(1, 401), found / found[-1])
    assert unisim.jnd_map(distances, same) == close(expected)
    if levels == 2:  # without the envelope it is less
        assert average_precision_score(same, -distances) < expected


def test_equal_distances_enter_together_in_any_order():
    generator = np.random.default_rng(12)
    distances, same = generator.integers(0, 9, 300), generator.integers(0, 4, 300) / 3
    blocks = [(distances <= d) for d in range(9)]
    precision = [same[block].mean() for block in blocks]
    recall = [same[block].sum() / same.sum() for block in blocks]
    first = unisim.jnd_map(distances, same)
    assert first == close(voc_2010(precision, recall))
    for _ in range(20):
        order = generator.permutation(300)
        assert unisim.jnd_map(distances[order], same[order]) == first


def logistic(x, b1, b2, b3, b4, b5):
    return b1 * (0.5 - 1 / (1 + np.exp(np.clip(b2 * (x - b3), -700, 700)))) + b4 * x + b5


@pytest.mark.parametrize("falls", [False, True])
@pytest.mark.parametrize("unit", [1, 1e-3, 1e4])
def test_the_logistic_fit_is_scipys_from_the_same_start(unit, falls):
    generator = np.random.default_rng(13)
    x = generator.uniform(0, 6, 200)
    scores = logistic(x, 60, 1.7, 2.5, 2, 40) + generator.normal(0, 4, 200)
    scores = 100 - scores if falls else scores
    fit = unisim.fit_logistic(x * unit, scores)
    start = [-np.ptp(scores) if falls else np.ptp(scores), 1 / x.std(), x.mean(), 0, scores.mean()]
    expected, _ = optimize.curve_fit(
        logistic, x, scores, start, maxfev=100_000, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    # At a minimum the error is flat: half of the digits of double are left to the parameters and predictions, less
    # scipy's differences in place of slopes; the error itself keeps all.
    assert fit.converged
    curve = logistic(x, *expected)
    assert fit.rmse == close(np.sqrt(np.mean((curve - scores) ** 2)))
    assert fit.pearson == pytest.approx(stats.pearsonr(curve, scores).statistic, rel=1e-9)
    np.testing.assert_allclose(fit.predictions, curve, rtol=1e-6)
    b = np.array(fit.parameters) * [1, unit, 1 / unit, unit, 1]
    np.testing.assert_allclose(b, expected, rtol=1e-5)
    # and the parameters are those of the predictions
    np.testing.assert_allclose(logistic(x * unit, *fit.parameters), fit.predictions, rtol=1e-10)


@pytest.mark.parametrize("case", ["line", "noise", "steps", "five"])
def test_the_logistic_fit_of_what_is_no_logistic_is_never_worse_than_a_line(case):
    generator = np.random.default_rng(14)
    x = generator.uniform(0.2, 0.9, 5 if case == "five" else 150)
    scores = {
        "line": 3 + 40 * x + generator.normal(0, 1e-3, x.size),
        "noise": generator.normal(50, 10, x.size),
        "steps": np.where(x < 0.5, 10.0, 90.0),
        "five": generator.normal(50, 10, x.size),
    }[case]
    fit = unisim.fit_logistic(x, scores)
    line = np.polyval(np.polyfit(x, scores, 1), x)
    assert fit.rmse <= np.sqrt(np.mean((line - scores) ** 2)) * (1 + 1e-6)
    assert np.isfinite(fit.predictions).all() and np.isfinite(fit.parameters).all()


def test_agreement_is_its_parts():
    generator = np.random.default_rng(15)
    x = generator.integers(1, 6, 200)
    y = np.clip(x + generator.integers(-1, 2, 200), 1, 5)
    found = unisim.agreement(x, y)
    assert found.cosine == close(x @ y / np.linalg.norm(x) / np.linalg.norm(y))
    assert (found.mse, found.mae) == (close(((x - y) ** 2).mean()), close(abs(x - y).mean()))
    assert found.pearson == unisim.pearson(x, y) and found.spearman == unisim.spearman(x, y)
    assert found.kendall == unisim.kendall_tau_b(x, y)
    assert found.kappa == close(cohen_kappa_score(x, y, labels=range(1, 6), weights="quadratic"))
    assert unisim.agreement(x / 2, y).kappa is None
    assert unisim.agreement([3, 3], [1, 2]).pearson is None
