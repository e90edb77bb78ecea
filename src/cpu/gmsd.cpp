#include <cmath>

#include "../kernels.h"

/// Gradient magnitude similarity deviation. Prewitt's filters are separable: a sum or difference down three
/// rows (into two line buffers with a zero at either end), then a difference or sum of three columns.
namespace unisim {
namespace {

/// The columns of three rows, added, and the first less the third. Element k of a row stands at k + 1.
struct Lines {
  double *sum, *difference;
};

void take_rows(const Rows<const double>& x, int64_t middle, const Lines& lines) {
  const double* above = middle > 0 ? x.row(middle - 1) : nullptr;
  const double* here = x.row(middle);
  const double* below = middle + 1 < x.rows ? x.row(middle + 1) : nullptr;
  for (int64_t k = 0; k < x.width; ++k) {
    const double a = above ? above[k] : 0, b = below ? below[k] : 0;
    lines.sum[k + 1] = a + here[k] + b;
    lines.difference[k + 1] = a - b;
  }
}

double magnitude(const Lines& lines, int64_t k) {
  const double across = (lines.sum[k] - lines.sum[k + 2]) / 3;
  const double down = (lines.difference[k] + lines.difference[k + 1] + lines.difference[k + 2]) / 3;
  return std::sqrt(across * across + down * down);
}

double mean_of(const double* values, int64_t rows, int64_t width) {
  double sum = 0;
  for (int64_t i = 0; i < rows; ++i) {
    double row = 0;
    for (int64_t k = 0; k < width; ++k) row += values[i * width + k];
    sum += row;
  }
  return sum / (static_cast<double>(rows) * static_cast<double>(width));
}

}  // namespace

void halve_with_zeros(Cpu, Rows<const double> x, Rows<double> out) {
  for (int64_t i = 0; i < out.rows; ++i) {
    const double* above = x.row(2 * i);
    const double* below = 2 * i + 1 < x.rows ? x.row(2 * i + 1) : nullptr;
    double* to = out.row(i);
    for (int64_t k = 0; k < out.width; ++k) {
      const int64_t left = 2 * k, right = left + 1;
      double sum = above[left] + (below ? below[left] : 0);
      if (right < x.width) sum += above[right] + (below ? below[right] : 0);
      to[k] = sum / 4;
    }
  }
}

double gmsd(Cpu, Rows<const double> x, Rows<const double> y, double* workspace) {
  constexpr double c = 170;
  double* const similarity = workspace;
  const Lines lines = {workspace + x.rows * x.width, workspace + x.rows * x.width + x.width + 2};
  lines.sum[0] = lines.sum[x.width + 1] = lines.difference[0] = lines.difference[x.width + 1] = 0;
  for (int64_t i = 0; i < x.rows; ++i) {
    double* row = similarity + i * x.width;
    take_rows(x, i, lines);
    for (int64_t k = 0; k < x.width; ++k) row[k] = magnitude(lines, k);
    take_rows(y, i, lines);
    for (int64_t k = 0; k < x.width; ++k) {
      const double a = row[k], b = magnitude(lines, k);
      row[k] = (2 * a * b + c) / (a * a + b * b + c);
    }
  }
  const double mean = mean_of(similarity, x.rows, x.width);
  for (int64_t k = 0; k < x.rows * x.width; ++k)
    similarity[k] = (similarity[k] - mean) * (similarity[k] - mean);
  return std::sqrt(mean_of(similarity, x.rows, x.width));
}

}  // namespace unisim
