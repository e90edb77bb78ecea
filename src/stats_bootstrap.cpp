#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <unordered_map>

#include "seeded.h"
#include "stats_sample.h"

namespace unisim {
namespace {

/// What is drawn together: items 0, 1, ... or their groups, numbered as they first appear.
class Draws {
 public:
  Draws(const char* operation, std::size_t items, std::span<const int64_t> groups,
        const BootstrapOptions& options)
      : seeded_(options.seed) {
    require(groups.empty() || groups.size() == items, "[", operation, "] found ", groups.size(),
            " groups for ", items, " items");
    require_confidence(operation, options.confidence);
    require(options.resamples >= 1, "[", operation, "] resamples is ", options.resamples,
            ", expected at least 1");
    unit_of_.resize(items);
    std::iota(unit_of_.begin(), unit_of_.end(), 0);
    if (!groups.empty()) {
      std::unordered_map<int64_t, std::size_t> seen;
      for (std::size_t i = 0; i < items; ++i)
        unit_of_[i] = seen.try_emplace(groups[i], seen.size()).first->second;
      counts_.resize(seen.size());
    } else {
      counts_.resize(items);
    }
    require(counts_.size() >= 2, "[", operation, "] needs at least 2 ", groups.empty() ? "items" : "groups",
            ", found ", counts_.size());
  }

  std::size_t units() const { return counts_.size(); }
  std::size_t unit_of(std::size_t item) const { return unit_of_[item]; }

  /// How often each unit comes in as many draws as there are units.
  std::span<const int64_t> next() {
    std::ranges::fill(counts_, 0);
    for (std::size_t k = 0; k < counts_.size(); ++k) ++counts_[seeded_.below(counts_.size())];
    return counts_;
  }

 private:
  Seeded seeded_;
  std::vector<std::size_t> unit_of_;
  std::vector<int64_t> counts_;
};

/// On the straight line between the two sorted values around it.
double quantile(std::span<const double> sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = std::min(static_cast<std::size_t>(at), sorted.size() - 1);
  const auto above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Interval percentiles(std::vector<double>& resampled, double confidence) {
  std::ranges::sort(resampled);
  return {quantile(resampled, (1 - confidence) / 2), quantile(resampled, (1 + confidence) / 2)};
}

/// The mean of every resample of the values.
std::vector<double> resampled_means(const char* operation, std::span<const double> values, Draws& draws,
                                    int64_t resamples) {
  std::vector<double> sums(draws.units());
  std::vector<int64_t> sizes(draws.units());
  double magnitude = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    sums[draws.unit_of(i)] += values[i];
    ++sizes[draws.unit_of(i)];
    magnitude = std::max(magnitude, std::abs(values[i]));
  }
  // A resample may hold the largest value in every place, and the largest group in place of each.
  const int64_t most = *std::ranges::max_element(sizes) * static_cast<int64_t>(draws.units());
  require(magnitude <= std::numeric_limits<double>::max() / 4 / static_cast<double>(most), "[", operation,
          "] the numbers are too large to be added up: ", magnitude);
  std::vector<double> means;
  for (int64_t k = 0; k < resamples; ++k) {
    const auto counts = draws.next();
    double sum = 0;
    int64_t drawn = 0;
    for (std::size_t unit = 0; unit < counts.size(); ++unit) {
      sum += static_cast<double>(counts[unit]) * sums[unit];
      drawn += counts[unit] * sizes[unit];
    }
    means.push_back(sum / static_cast<double>(drawn));
  }
  return means;
}

}  // namespace

Interval bootstrap_interval(std::span<const double> values, std::span<const int64_t> groups,
                            const BootstrapOptions& options) {
  const char* operation = "bootstrap_interval";
  require_finite(operation, "values", values);
  Draws draws(operation, values.size(), groups, options);
  auto means = resampled_means(operation, values, draws, options.resamples);
  return percentiles(means, options.confidence);
}

PairedDifference paired_bootstrap(std::span<const double> a, std::span<const double> b,
                                  std::span<const int64_t> groups, const BootstrapOptions& options) {
  const char* operation = "paired_bootstrap";
  require_paired(operation, a, b, 2);
  require_finite(operation, "a", a);
  require_finite(operation, "b", b);
  std::vector<double> differences(a.size());
  for (std::size_t i = 0; i < a.size(); ++i) differences[i] = a[i] - b[i];
  Draws draws(operation, a.size(), groups, options);
  auto means = resampled_means(operation, differences, draws, options.resamples);
  const auto at_most = std::ranges::count_if(means, [](double mean) { return mean <= 0; });
  const auto at_least = std::ranges::count_if(means, [](double mean) { return mean >= 0; });
  const auto counted = [](int64_t count) { return static_cast<double>(count + 1); };
  const double p = 2 * counted(std::min(at_most, at_least)) / counted(options.resamples);
  return {mean_of(differences), percentiles(means, options.confidence), std::min(1.0, p)};
}

Interval correlation_bootstrap(std::span<const double> x, std::span<const double> y, Correlation kind,
                               std::span<const int64_t> groups, const BootstrapOptions& options) {
  const char* operation = "correlation_bootstrap";
  require_paired(operation, x, y, 2);
  require_finite(operation, "x", x);
  require_finite(operation, "y", y);
  Draws draws(operation, x.size(), groups, options);
  const PairedSample sample(x, y, kind);
  std::vector<double> coefficients;
  std::vector<int64_t> counts(x.size());
  for (int64_t k = 0; k < 2 * options.resamples; ++k) {
    const auto of_units = draws.next();
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] = of_units[draws.unit_of(i)];
    if (const auto found = sample.coefficient(counts)) coefficients.push_back(*found);
    if (std::ssize(coefficients) == options.resamples) return percentiles(coefficients, options.confidence);
  }
  throw std::invalid_argument(
      "[correlation_bootstrap] in most resamples all of x or all of y are equal: too few numbers differ");
}

}  // namespace unisim
