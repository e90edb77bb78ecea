#pragma once

/// The longer docstrings of stats.cpp.
namespace unisim {

inline constexpr const char* kBootstrapDoc = R"(Percentile interval of the mean.

The generator is SplitMix64: the same seed gives the same numbers on every machine. Percentiles lie on the straight
line between two resamples.

Parameters
----------
values : sequence of float, [n]
groups : sequence, [n], optional
    What is hashable, one for each value: the values of a group are drawn together, since items that share an image
    are not independent. At least two groups.
confidence : float in (0, 1)
resamples : int
seed : int
    In [0, 2**64).

Returns
-------
Interval

Raises
------
ValueError
    Fewer than two values or groups, lengths that differ, a number that is not finite (named).
)";

inline constexpr const char* kPairedBootstrapDoc =
    R"(mean(a) - mean(b) of two answerers of the same items, drawn together.

p is twice the smaller share of resamples on one side of no difference, one resample added to each count.

Parameters
----------
a, b : sequence of float, [n]
groups, confidence, resamples, seed
    As for `bootstrap_interval`.

Returns
-------
PairedDifference

Raises
------
ValueError
    As for `bootstrap_interval`.
)";

inline constexpr const char* kCorrelationBootstrapDoc =
    R"(Percentile interval of a correlation, pairs drawn together.

A resample in which one side is all equal has no coefficient and is drawn again.

Parameters
----------
x, y : sequence of float, [n]
kind : {"pearson", "spearman", "kendall"}
groups, confidence, resamples, seed
    As for `bootstrap_interval`.

Returns
-------
Interval

Raises
------
ValueError
    As for `bootstrap_interval`, and where in most resamples one side is all equal.
)";

inline constexpr const char* kTwoAfcDoc =
    R"(How far distances agree with the votes of people (2AFC, Zhang et al., CVPR 2018).

The mean over items of v where d1 < d0, 1 - v where d0 < d1, 0.5 where they are equal.

Parameters
----------
d0, d1 : sequence of float, [n]
    Distances of two candidates from one reference; lower is more similar, infinity is allowed.
votes : sequence of float in [0, 1], [n]
    The share of people who prefer the second.

Returns
-------
float
    In [0, 1].

Raises
------
ValueError
    Lists that are empty or differ in length, NaN, a vote outside [0, 1] (named).
)";

inline constexpr const char* kJndMapDoc =
    R"(Average precision of finding the pairs that people call the same (JND, Zhang et al., CVPR 2018).

The area under the precision reached at a recall or beyond, over recall (VOC 2010), pairs by rising distance. Pairs of
equal distance enter together, as a threshold would admit them, so their order in the list does not count.

Parameters
----------
distances : sequence of float, [n]
    Lower is more similar, infinity is allowed.
same : sequence of float in [0, 1], [n]
    Whether the pair is called the same, or the share of people who call it so.

Returns
-------
float
    In (0, 1].

Raises
------
ValueError
    Lists that are empty or differ in length, NaN, a share outside [0, 1] (named), no pair that is the same.
)";

inline constexpr const char* kFitLogisticDoc =
    R"(Fit the five-parameter logistic from a metric to mean opinions (Sheikh, Sabir and Bovik 2006).

b1 (1/2 - 1 / (1 + exp(b2 (x - b3)))) + b4 x + b5 by least squares: Levenberg-Marquardt from b1 = range of scores,
b2 = 1 / std(x), b3 = mean(x), b4 = 0, b5 = mean(scores), and once more from b1 = -range, since a distance falls; the
better of the two. The minimum found is a local one; where the data are close to a straight line it is flat, so that the
predictions say more than the parameters.

Parameters
----------
x, scores : sequence of float, [n]
    At least five pairs of finite numbers.

Returns
-------
LogisticFit

Raises
------
ValueError
    Lengths that differ, fewer than five pairs, a number that is not finite (named), a side that is all equal.
)";

inline constexpr const char* kAgreementDoc = R"(How far two sets of numbers for the same items agree.

Parameters
----------
x, y : sequence of float, [n]
    At least one pair of finite numbers.

Returns
-------
Agreement
    cosine (not centred), mse, mae, pearson, spearman, kendall (tau-b) and kappa (Cohen's, weighted by the square of the
    difference). None where a number is undefined: the cosine of zeros, a correlation where one side is all equal,
    kappa where not all are whole numbers or all are one.

Raises
------
ValueError
    Lists that are empty or differ in length, a number that is not finite (named).
)";

}  // namespace unisim
