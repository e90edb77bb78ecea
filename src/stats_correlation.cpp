#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "stats_sample.h"

namespace unisim {
namespace {

/// Dense ranks from 0, equal numbers alike; how many there are.
std::size_t rank_densely(std::span<const double> values, std::vector<std::size_t>& ranks) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](std::size_t i) { return values[i]; });
  ranks.resize(values.size());
  std::size_t rank = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    if (k > 0 && values[order[k]] != values[order[k - 1]]) ++rank;
    ranks[order[k]] = rank;
  }
  return values.empty() ? 0 : rank + 1;
}

/// Multiplied by the power of two that brings the largest near 1: exact, and no square can overflow or
/// vanish.
std::vector<double> scaled(std::span<const double> values) {
  double largest = 0;
  for (const double value : values) largest = std::max(largest, std::abs(value));
  std::vector<double> out(values.begin(), values.end());
  if (largest > 0)
    for (double& value : out) value = std::scalbn(value, -std::ilogb(largest));
  return out;
}

/// Of x and y with their counts; nothing where one side has no spread that double can hold.
std::optional<double> weighted_pearson(std::span<const double> x, std::span<const double> y,
                                       std::span<const int64_t> counts) {
  double total = 0, mean_x = 0, mean_y = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto count = static_cast<double>(counts[i]);
    total += count;
    mean_x += count * x[i];
    mean_y += count * y[i];
  }
  mean_x /= total;
  mean_y /= total;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double dx = x[i] - mean_x, dy = y[i] - mean_y;
    const auto count = static_cast<double>(counts[i]);
    xx += count * dx * dx;
    yy += count * dy * dy;
    xy += count * dx * dy;
  }
  if (xx * yy < std::numeric_limits<double>::min()) return std::nullopt;
  return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);  // one root: of x with itself it is 1
}

/// How often each dense rank comes.
std::vector<int64_t> tally(std::span<const std::size_t> ranks, std::size_t distinct,
                           std::span<const int64_t> counts) {
  std::vector<int64_t> tallied(distinct);
  for (std::size_t i = 0; i < ranks.size(); ++i) tallied[ranks[i]] += counts[i];
  return tallied;
}

bool all_in_one(std::span<const int64_t> tallied) {
  return std::ranges::count_if(tallied, [](int64_t count) { return count > 0; }) < 2;
}

/// The mean rank of each item among all that are counted.
std::vector<double> mid_ranks(std::span<const std::size_t> ranks, std::span<const int64_t> tallied) {
  std::vector<double> middle(tallied.size());
  int64_t before = 0;
  for (std::size_t rank = 0; rank < tallied.size(); ++rank) {
    middle[rank] = static_cast<double>(2 * before + tallied[rank] + 1) / 2;
    before += tallied[rank];
  }
  std::vector<double> out(ranks.size());
  for (std::size_t i = 0; i < ranks.size(); ++i) out[i] = middle[ranks[i]];
  return out;
}

int64_t pairs_among(int64_t count) { return count * (count - 1) / 2; }

int64_t tied_pairs(std::span<const int64_t> tallied) {
  int64_t pairs = 0;
  for (const int64_t count : tallied) pairs += pairs_among(count);
  return pairs;
}

/// How many pairs stand in falling order; sorts the values.
int64_t inversions(std::span<std::size_t> values, std::span<std::size_t> spare) {
  if (values.size() < 2) return 0;
  const std::size_t half = values.size() / 2;
  const auto left = values.first(half), right = values.subspan(half);
  int64_t found = inversions(left, spare) + inversions(right, spare);
  std::size_t i = 0, j = 0;
  for (std::size_t k = 0; k < values.size(); ++k) {
    const bool from_right = i == left.size() || (j < right.size() && right[j] < left[i]);
    if (from_right) found += static_cast<int64_t>(left.size() - i);
    spare[k] = from_right ? right[j++] : left[i++];
  }
  std::ranges::copy(spare.first(values.size()), values.begin());
  return found;
}

double coefficient_of(const char* operation, std::span<const double> x, std::span<const double> y,
                      Correlation kind) {
  require_paired(operation, x, y, 2);
  require_finite(operation, "x", x);
  require_finite(operation, "y", y);
  const auto constant = [](std::span<const double> values) {
    return std::ranges::all_of(values, [&](double value) { return value == values[0]; });
  };
  require(!constant(x), "[", operation, "] all of x are ", x[0], ": a constant has no correlation");
  require(!constant(y), "[", operation, "] all of y are ", y[0], ": a constant has no correlation");
  return PairedSample(x, y, kind).coefficient().value();
}

}  // namespace

PairedSample::PairedSample(std::span<const double> x, std::span<const double> y, Correlation kind)
    : kind_(kind) {
  ranks_x_ = rank_densely(x, rank_x_);
  ranks_y_ = rank_densely(y, rank_y_);
  if (kind == Correlation::Pearson) {
    x_ = scaled(x);
    y_ = scaled(y);
  } else if (kind == Correlation::Kendall) {
    order_.resize(x.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::ranges::sort(order_, {}, [&](std::size_t i) { return std::pair(rank_x_[i], rank_y_[i]); });
  }
}

std::optional<double> PairedSample::coefficient() const {
  return coefficient(std::vector<int64_t>(rank_x_.size(), 1));
}

std::optional<double> PairedSample::coefficient(std::span<const int64_t> counts) const {
  const auto tally_x = tally(rank_x_, ranks_x_, counts), tally_y = tally(rank_y_, ranks_y_, counts);
  if (all_in_one(tally_x) || all_in_one(tally_y)) return std::nullopt;
  if (kind_ == Correlation::Pearson) return weighted_pearson(x_, y_, counts);
  if (kind_ == Correlation::Spearman)
    return weighted_pearson(mid_ranks(rank_x_, tally_x), mid_ranks(rank_y_, tally_y), counts);
  return kendall(counts);
}

std::optional<double> PairedSample::kendall(std::span<const int64_t> counts) const {
  // Sorted by x and, where x is equal, by y, a pair is discordant where the y stand in falling order (Knight
  // 1966).
  std::vector<std::size_t> y;
  int64_t tied_in_both = 0, alike = 0;
  for (std::size_t k = 0; k < order_.size(); ++k) {
    const std::size_t i = order_[k];
    const bool continues =
        k > 0 && rank_x_[i] == rank_x_[order_[k - 1]] && rank_y_[i] == rank_y_[order_[k - 1]];
    if (!continues) tied_in_both += pairs_among(std::exchange(alike, 0));
    alike += counts[i];
    y.insert(y.end(), static_cast<std::size_t>(counts[i]), rank_y_[i]);
  }
  tied_in_both += pairs_among(alike);
  const int64_t pairs = pairs_among(static_cast<int64_t>(y.size()));
  const int64_t untied_x = pairs - tied_pairs(tally(rank_x_, ranks_x_, counts));
  const int64_t untied_y = pairs - tied_pairs(tally(rank_y_, ranks_y_, counts));
  std::vector<std::size_t> spare(y.size());
  const int64_t discordant = inversions(y, spare);
  const int64_t concordant = untied_x + untied_y - pairs + tied_in_both - discordant;
  const double tau = static_cast<double>(concordant - discordant) /
                     std::sqrt(static_cast<double>(untied_x) * static_cast<double>(untied_y));
  return std::clamp(tau, -1.0, 1.0);
}

double pearson(std::span<const double> x, std::span<const double> y) {
  return coefficient_of("pearson", x, y, Correlation::Pearson);
}

double spearman(std::span<const double> x, std::span<const double> y) {
  return coefficient_of("spearman", x, y, Correlation::Spearman);
}

double kendall_tau_b(std::span<const double> x, std::span<const double> y) {
  return coefficient_of("kendall_tau_b", x, y, Correlation::Kendall);
}

}  // namespace unisim
