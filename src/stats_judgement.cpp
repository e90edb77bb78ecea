#include <algorithm>
#include <cmath>
#include <numeric>

#include "stats_sample.h"

namespace unisim {

std::vector<double> two_afc_items(std::span<const double> d0, std::span<const double> d1,
                                  std::span<const double> votes) {
  require_paired("two_afc", d0, d1, 1);
  require_paired("two_afc", d0, votes, 1);
  require_ordered("two_afc", "d0", d0);
  require_ordered("two_afc", "d1", d1);
  require_shares("two_afc", "votes", votes);
  std::vector<double> agreed(votes.size());
  for (std::size_t i = 0; i < votes.size(); ++i)
    agreed[i] = d1[i] < d0[i] ? votes[i] : d0[i] < d1[i] ? 1 - votes[i] : 0.5;
  return agreed;
}

double two_afc_score(std::span<const double> d0, std::span<const double> d1, std::span<const double> votes) {
  return mean_of(two_afc_items(d0, d1, votes));
}

double jnd_map(std::span<const double> distances, std::span<const double> same) {
  require_paired("jnd_map", distances, same, 1);
  require_ordered("jnd_map", "distances", distances);
  require_shares("jnd_map", "same", same);
  std::vector<std::size_t> order(same.size());
  std::iota(order.begin(), order.end(), 0);
  // By the share too, so that the sum of a block, and its last bit, is the same in every order of the list.
  std::ranges::sort(order, {}, [&](std::size_t i) { return std::pair(distances[i], same[i]); });
  std::vector<double> precision, found_at;  // after each block of equal distances
  double found = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    found += same[order[k]];
    if (k + 1 < order.size() && distances[order[k + 1]] == distances[order[k]]) continue;
    precision.push_back(found / static_cast<double>(k + 1));
    found_at.push_back(found);
  }
  require(found > 0, "[jnd_map] no pair is the same: there is nothing to find");
  double area = 0, envelope = 0;
  for (std::size_t k = precision.size(); k-- > 0;) {
    envelope = std::max(envelope, precision[k]);
    area += envelope * (found_at[k] - (k > 0 ? found_at[k - 1] : 0));
  }
  return std::min(1.0, area / found);
}

namespace {

std::optional<double> cosine_of(std::span<const double> x, std::span<const double> y) {
  const auto largest = [](std::span<const double> values) {
    double found = 0;
    for (const double value : values) found = std::max(found, std::abs(value));
    return found;
  };
  const double unit_x = largest(x), unit_y = largest(y);  // no square shall overflow or vanish
  if (unit_x == 0 || unit_y == 0) return std::nullopt;
  double xx = 0, yy = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double a = x[i] / unit_x, b = y[i] / unit_y;
    xx += a * a;
    yy += b * b;
    xy += a * b;
  }
  return std::clamp(xy / std::sqrt(xx * yy), -1.0, 1.0);
}

/// 1 - the mean squared difference within items, over that of all x with all y: Cohen's kappa whose weights
/// are the squared differences themselves, so that the number of categories does not enter.
std::optional<double> quadratic_kappa(std::span<const double> x, std::span<const double> y, double mse) {
  const auto whole = [](std::span<const double> values) {
    return std::ranges::all_of(values, [](double value) { return value == std::floor(value); });
  };
  if (!whole(x) || !whole(y)) return std::nullopt;
  const double mean_x = mean_of(x), mean_y = mean_of(y);
  double spread = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    spread += (x[i] - mean_x) * (x[i] - mean_x) + (y[i] - mean_y) * (y[i] - mean_y);
  const double by_chance = spread / static_cast<double>(x.size()) + (mean_x - mean_y) * (mean_x - mean_y);
  if (by_chance == 0) return std::nullopt;
  return 1 - mse / by_chance;
}

}  // namespace

Agreement agreement(std::span<const double> x, std::span<const double> y) {
  require_paired("agreement", x, y, 1);
  require_finite("agreement", "x", x);
  require_finite("agreement", "y", y);
  Agreement found;
  for (std::size_t i = 0; i < x.size(); ++i) {
    found.mse += (x[i] - y[i]) * (x[i] - y[i]);
    found.mae += std::abs(x[i] - y[i]);
  }
  found.mse /= static_cast<double>(x.size());
  found.mae /= static_cast<double>(x.size());
  found.cosine = cosine_of(x, y);
  found.pearson = PairedSample(x, y, Correlation::Pearson).coefficient();
  found.spearman = PairedSample(x, y, Correlation::Spearman).coefficient();
  found.kendall = PairedSample(x, y, Correlation::Kendall).coefficient();
  found.kappa = quadratic_kappa(x, y, found.mse);
  return found;
}

}  // namespace unisim
