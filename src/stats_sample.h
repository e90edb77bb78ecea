#pragma once

#include <unisim/error.h>
#include <unisim/stats.h>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// What the statistics share: their conditions, and two samples ranked once for many weightings.
namespace unisim {

/// Throws unless all numbers are finite; `what` names the list.
void require_finite(const char* operation, const char* what, std::span<const double> values);
/// Throws unless none is NaN and, for shares, all lie in [0, 1].
void require_ordered(const char* operation, const char* what, std::span<const double> values);
void require_shares(const char* operation, const char* what, std::span<const double> values);
/// Throws unless both lists have one length, of at least `least`.
void require_paired(const char* operation, std::span<const double> x, std::span<const double> y,
                    std::size_t least);
void require_confidence(const char* operation, double confidence);

double mean_of(std::span<const double> values);

/// z with a chance of tail above it under the normal distribution; 0 < tail <= 0.5.
double normal_upper_quantile(double tail);

/// Two samples of one length, of finite numbers, that can be correlated under many weightings.
class PairedSample {
 public:
  PairedSample(std::span<const double> x, std::span<const double> y, Correlation kind);
  /// The coefficient with item i counted counts[i] times; nothing where one side is then all equal.
  std::optional<double> coefficient(std::span<const int64_t> counts) const;
  /// With each counted once.
  std::optional<double> coefficient() const;

 private:
  std::optional<double> kendall(std::span<const int64_t> counts) const;

  Correlation kind_;
  std::vector<double> x_, y_;                 ///< scaled, for Pearson alone
  std::vector<std::size_t> rank_x_, rank_y_;  ///< dense, from 0
  std::size_t ranks_x_ = 0, ranks_y_ = 0;     ///< how many there are
  std::vector<std::size_t> order_;            ///< by x, then y, for Kendall alone
};

}  // namespace unisim
