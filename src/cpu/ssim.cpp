#include <array>
#include <cmath>

#include "../kernels.h"

/// Structural similarity, separably: each output row is a weighted sum of 11 input rows (into four line
/// buffers), then of 11 columns. E[x^2] + E[y^2] are summed as one, since only the sum of the variances is
/// asked for.
namespace unisim {
namespace {

using Window = std::array<double, ssim_window>;

Window gaussian(double sigma) {
  Window weights;
  double sum = 0;
  for (int64_t k = 0; k < ssim_window; ++k) {
    const double from_middle = static_cast<double>(k - ssim_window / 2);
    sum += weights[static_cast<std::size_t>(k)] = std::exp(-from_middle * from_middle / (2 * sigma * sigma));
  }
  for (double& weight : weights) weight /= sum;
  return weights;
}

/// Weighted sums down the columns, one value a column.
struct Lines {
  double *x, *y, *squares, *product;
};

void sum_rows(const Window& weights, Rows<const double> x, Rows<const double> y, int64_t top,
              const Lines& lines) {
  for (int64_t k = 0; k < x.width; ++k) lines.x[k] = lines.y[k] = lines.squares[k] = lines.product[k] = 0;
  for (int64_t i = 0; i < ssim_window; ++i) {
    const double weight = weights[static_cast<std::size_t>(i)];
    const double* a = x.row(top + i);
    const double* b = y.row(top + i);
    for (int64_t k = 0; k < x.width; ++k) {
      lines.x[k] += weight * a[k];
      lines.y[k] += weight * b[k];
      lines.squares[k] += weight * (a[k] * a[k] + b[k] * b[k]);
      lines.product[k] += weight * (a[k] * b[k]);
    }
  }
}

double sum_columns(const Window& weights, const double* line) {
  double sum = 0;
  for (int64_t i = 0; i < ssim_window; ++i) sum += weights[static_cast<std::size_t>(i)] * line[i];
  return sum;
}

}  // namespace

void grey(Cpu, Rows<const uint8_t> rgb, Rows<double> out) {
  for (int64_t i = 0; i < out.rows; ++i) {
    const uint8_t* from = rgb.row(i);
    double* to = out.row(i);
    for (int64_t k = 0; k < out.width; ++k)
      to[k] = 0.299 * from[3 * k] + 0.587 * from[3 * k + 1] + 0.114 * from[3 * k + 2];
  }
}

Structure ssim(Cpu, Rows<const double> x, Rows<const double> y, double* workspace) {
  constexpr double c1 = (0.01 * 255) * (0.01 * 255), c2 = (0.03 * 255) * (0.03 * 255);
  static const Window weights = gaussian(1.5);
  const Lines lines = {workspace, workspace + x.width, workspace + 2 * x.width, workspace + 3 * x.width};
  const int64_t height = x.rows - ssim_window + 1, width = x.width - ssim_window + 1;
  Structure sum;
  for (int64_t i = 0; i < height; ++i) {
    sum_rows(weights, x, y, i, lines);
    Structure row;
    for (int64_t k = 0; k < width; ++k) {
      const double mx = sum_columns(weights, lines.x + k), my = sum_columns(weights, lines.y + k);
      const double means = mx * mx + my * my, mean_product = mx * my;
      const double variances = sum_columns(weights, lines.squares + k) - means;
      const double covariance = sum_columns(weights, lines.product + k) - mean_product;
      const double contrast = (2 * covariance + c2) / (variances + c2);
      row.contrast += contrast;
      row.similarity += (2 * mean_product + c1) / (means + c1) * contrast;
    }
    sum.contrast += row.contrast;
    sum.similarity += row.similarity;
  }
  const double windows = static_cast<double>(height) * static_cast<double>(width);
  return {sum.similarity / windows, sum.contrast / windows};
}

void halve(Cpu, Rows<const double> x, Rows<double> out) {
  const int64_t odd = (x.rows % 2 != 0 || x.width % 2 != 0) ? 1 : 0;
  const auto inside = [odd](int64_t at) { return at > odd ? at - odd : 0; };
  for (int64_t i = 0; i < out.rows; ++i) {
    const double* above = x.row(inside(2 * i));
    const double* below = x.row(inside(2 * i + 1));
    double* to = out.row(i);
    for (int64_t k = 0; k < out.width; ++k) {
      const int64_t left = inside(2 * k), right = inside(2 * k + 1);
      to[k] = (above[left] + above[right] + below[left] + below[right]) / 4;
    }
  }
}

}  // namespace unisim
