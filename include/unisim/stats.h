#pragma once

#include <unisim/export.h>

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// Statistics for metrics against human judgement. Nothing here needs LibTorch.
///
/// std::invalid_argument: lists of unequal length, too few numbers, one that is not finite (named by its
/// index). No function returns NaN: where a number is undefined it throws and says why, unless noted.
namespace unisim {

struct Interval {
  double low = 0, high = 0;
};

/// Of a share, right out of n >= 1 (Wilson 1927, without continuity correction). 0 < confidence < 1.
UNISIM_API Interval wilson_interval(int64_t right, int64_t n, double confidence = 0.95);

/// How often one alone was right, and the two-sided p of that.
struct McNemar {
  int64_t only_a = 0, only_b = 0;
  double p = 1;
};
/// Two answerers of the same items, 1 where right and 0 where wrong: exact, from the binomial distribution of
/// the items on which they differ. p is 1 where there are none.
UNISIM_API McNemar mcnemar(std::span<const double> a_right, std::span<const double> b_right);

/// p-values in [0, 1] adjusted for being many (Holm 1979), in the order given.
UNISIM_API std::vector<double> holm(std::span<const double> p_values);

enum class Correlation { Pearson, Spearman, Kendall };

/// Coefficients in [-1, 1] of at least two pairs of numbers. Where all of x or of y are equal there is none:
/// std::invalid_argument. Ranks of equal numbers are their mean (Spearman); Kendall is tau-b.
/// Kendall takes time n log n (Knight 1966).
UNISIM_API double pearson(std::span<const double> x, std::span<const double> y);
UNISIM_API double spearman(std::span<const double> x, std::span<const double> y);
UNISIM_API double kendall_tau_b(std::span<const double> x, std::span<const double> y);

/// Of a Pearson correlation r in [-1, 1] of n >= 4 pairs, by Fisher's transformation.
UNISIM_API Interval fisher_interval(double r, int64_t n, double confidence = 0.95);

struct BootstrapOptions {
  double confidence = 0.95;
  int64_t resamples = 10000;
  uint64_t seed = 0;  ///< of SplitMix64: the same numbers on every machine
};

/// Percentile interval of the mean. Where groups are given, one number for each value, all values of a group
/// are drawn together (items that share an image are not independent); the mean is over all values drawn.
/// Only which values share a number counts, and the order in which numbers first appear. At least two values
/// or groups. Percentiles lie on the straight line between two resamples.
UNISIM_API Interval bootstrap_interval(std::span<const double> values, std::span<const int64_t> groups = {},
                                       const BootstrapOptions& options = {});

/// p: twice the smaller share of resamples on one side of no difference, one resample added to each count, so
/// that it is never 0; at most 1.
struct PairedDifference {
  double difference = 0;
  Interval interval;
  double p = 1;
};
/// mean(a) - mean(b) of two answerers of the same items, drawn together.
UNISIM_API PairedDifference paired_bootstrap(std::span<const double> a, std::span<const double> b,
                                             std::span<const int64_t> groups = {},
                                             const BootstrapOptions& options = {});

/// Percentile interval of a correlation, pairs or groups of pairs drawn together. A resample in which all of
/// x or of y are equal has no coefficient and is drawn again; std::invalid_argument where most are so.
UNISIM_API Interval correlation_bootstrap(std::span<const double> x, std::span<const double> y,
                                          Correlation kind, std::span<const int64_t> groups = {},
                                          const BootstrapOptions& options = {});

/// Two alternatives at the distances d0[i], d1[i] from a reference (lower is better, infinity too), votes[i]
/// in [0, 1] the share of people who prefer the second. An item counts the share that agrees with the
/// distances: v where d1 < d0, 1 - v where d0 < d1, 0.5 where they are equal (Zhang et al. 2018).
UNISIM_API std::vector<double> two_afc_items(std::span<const double> d0, std::span<const double> d1,
                                             std::span<const double> votes);
/// The mean of two_afc_items().
UNISIM_API double two_afc_score(std::span<const double> d0, std::span<const double> d1,
                                std::span<const double> votes);

/// Average precision of finding the pairs that people call the same by their distance (infinity too): the
/// area under the precision that is reached at a recall or beyond, over recall (VOC 2010). same[i] in [0, 1]
/// is the share of people who do. Pairs of equal distance enter together, as a threshold would admit them, so
/// their order in the list does not count. Some pair must be the same.
UNISIM_API double jnd_map(std::span<const double> distances, std::span<const double> same);

/// predictions[i] = b1 (1/2 - 1 / (1 + exp(b2 (x[i] - b3)))) + b4 x[i] + b5, parameters {b1, ..., b5}.
struct LogisticFit {
  std::array<double, 5> parameters{};
  std::vector<double> predictions;
  double pearson = 0, rmse = 0;  ///< of predictions and scores
  bool converged = false;        ///< else the best that was found in 1000 steps
};
/// The map from a metric to mean opinions before they are compared (Sheikh, Sabir, Bovik 2006), by least
/// squares: Levenberg-Marquardt from b1 = range of scores, b2 = 1 / std(x), b3 = mean(x), b4 = 0,
/// b5 = mean(scores), and once more from b1 = -range, since a distance falls; the better of the two. The
/// minimum found is a local one; where the data are close to a straight line it is flat, so that the
/// predictions say more than the parameters. At least five pairs, neither side all equal.
UNISIM_API LogisticFit fit_logistic(std::span<const double> x, std::span<const double> scores);

/// Two sets of numbers for the same items. Nothing stands where a number is undefined: the cosine of zeros, a
/// correlation where one side is all equal, kappa where not all are whole numbers or all are one.
struct Agreement {
  std::optional<double> cosine;  ///< not centred
  double mse = 0, mae = 0;
  std::optional<double> pearson, spearman, kendall;
  std::optional<double> kappa;  ///< Cohen's, of whole numbers, weighted by the square of their difference
};
/// At least one pair.
UNISIM_API Agreement agreement(std::span<const double> x, std::span<const double> y);

}  // namespace unisim
