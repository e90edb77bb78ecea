#include <unisim/stats.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "stats_sample.h"

namespace unisim {

void require_finite(const char* operation, const char* what, std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    require(std::isfinite(values[i]), "[", operation, "] ", what, "[", i, "] is ", values[i],
            ", expected a finite number");
}

void require_ordered(const char* operation, const char* what, std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    require(!std::isnan(values[i]), "[", operation, "] ", what, "[", i, "] is not a number");
}

void require_shares(const char* operation, const char* what, std::span<const double> values) {
  for (std::size_t i = 0; i < values.size(); ++i)
    require(values[i] >= 0 && values[i] <= 1, "[", operation, "] ", what, "[", i, "] is ", values[i],
            ", expected a share in [0, 1]");
}

void require_paired(const char* operation, std::span<const double> x, std::span<const double> y,
                    std::size_t least) {
  require(x.size() == y.size(), "[", operation, "] lists differ in length: ", x.size(), " and ", y.size());
  require(x.size() >= least, "[", operation, "] needs at least ", least, least == 1 ? " item" : " items",
          ", found ", x.size());
}

void require_confidence(const char* operation, double confidence) {
  require(confidence > 0 && confidence < 1, "[", operation, "] confidence is ", confidence,
          ", expected a share in (0, 1)");
}

double mean_of(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double normal_upper_quantile(double tail) {
  // Newton's rule on log Q(z) = log tail. log Q falls and is concave: after one step every z lies above the
  // root, and comes down to it without a turn; the distance is squared in each step.
  double z = 0;
  for (int step = 0; step < 60; ++step) {
    const double above = std::erfc(z / std::sqrt(2.0)) / 2;
    const double density = std::exp(-z * z / 2) / std::sqrt(2 * 3.14159265358979323846);
    const double change = (std::log(above) - std::log(tail)) * above / density;
    z += change;
    if (std::abs(change) <= 1e-15 * z) break;
  }
  return z;
}

Interval wilson_interval(int64_t right, int64_t n, double confidence) {
  require(n >= 1, "[wilson_interval] n is ", n, ", expected at least 1");
  require(right >= 0 && right <= n, "[wilson_interval] right is ", right, ", expected 0 to n, ", n);
  require_confidence("wilson_interval", confidence);
  const double z = normal_upper_quantile((1 - confidence) / 2), z2 = z * z;
  const double count = static_cast<double>(n), share = static_cast<double>(right) / count;
  const double wrong = static_cast<double>(n - right) / count;
  const double whole = 2 * (count + z2), middle = (2 * count * share + z2) / whole;
  const double half = z * std::sqrt(4 * count * share * wrong + z2) / whole;
  // At the ends the bound is the share itself, and rounding shall not put it outside.
  return {right == 0 ? 0 : middle - half, right == n ? 1 : middle + half};
}

namespace {

/// The chance of at most k of n fair coins, k < n / 2.
double fair_tail(int64_t k, int64_t n) {
  // The last term C(n, k) / 2^n with its exponent apart, since 2^-n has none in double from n = 1075; a
  // product loses less than the difference of log-factorials, which are large.
  double term = 1;
  int64_t exponent = -n;
  for (int64_t j = 1; j <= k; ++j) {
    int shift = 0;
    term = std::frexp(term * static_cast<double>(n - k + j) / static_cast<double>(j), &shift);
    exponent += shift;
  }
  // The others in proportion to it; their ratio stays below one and falls.
  double sum = 1, part = 1;
  for (int64_t i = k; i > 0 && part > 1e-18 * sum; --i) {
    part *= static_cast<double>(i) / static_cast<double>(n - i + 1);
    sum += part;
  }
  return std::ldexp(term * sum, static_cast<int>(std::max<int64_t>(exponent, -100000)));
}

bool is_right(const char* what, std::span<const double> right, std::size_t i) {
  require(right[i] == 0 || right[i] == 1, "[mcnemar] ", what, "[", i, "] is ", right[i],
          ", expected 1 (right) or 0 (wrong)");
  return right[i] == 1;
}

}  // namespace

McNemar mcnemar(std::span<const double> a_right, std::span<const double> b_right) {
  require_paired("mcnemar", a_right, b_right, 1);
  McNemar found;
  for (std::size_t i = 0; i < a_right.size(); ++i) {
    const bool a = is_right("a_right", a_right, i), b = is_right("b_right", b_right, i);
    found.only_a += a && !b;
    found.only_b += b && !a;
  }
  const int64_t less = std::min(found.only_a, found.only_b), differ = found.only_a + found.only_b;
  found.p = 2 * less == differ ? 1 : std::min(1.0, 2 * fair_tail(less, differ));
  return found;
}

std::vector<double> holm(std::span<const double> p_values) {
  require_shares("holm", "p_values", p_values);
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, {}, [&](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double largest = 0;
  for (std::size_t k = 0; k < order.size(); ++k) {
    const double times = static_cast<double>(order.size() - k);
    largest = std::max(largest, std::min(1.0, times * p_values[order[k]]));
    adjusted[order[k]] = largest;
  }
  return adjusted;
}

Interval fisher_interval(double r, int64_t n, double confidence) {
  require(r >= -1 && r <= 1, "[fisher_interval] r is ", r, ", expected a correlation in [-1, 1]");
  require(n >= 4, "[fisher_interval] needs at least 4 pairs, found ", n);
  require_confidence("fisher_interval", confidence);
  const double middle = std::atanh(r);  // infinite for 1 and -1, and tanh leads back
  const double half = normal_upper_quantile((1 - confidence) / 2) / std::sqrt(static_cast<double>(n - 3));
  return {std::tanh(middle - half), std::tanh(middle + half)};
}

}  // namespace unisim
