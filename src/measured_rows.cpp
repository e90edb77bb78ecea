#include "measured_rows.h"

#include <ATen/Parallel.h>
#include <unisim/error.h>

#include <algorithm>
#include <cmath>

#include "bridge.h"
#include "kernels.h"
#include "tasks.h"

namespace unisim {
namespace {

constexpr int64_t kRowsPerTask = 256;

/// Rows first, first + 1, ... of x, as many as one task takes.
template <class T>
Rows<T> task_rows(Rows<T> x, int64_t task) {
  const int64_t first = task * kRowsPerTask;
  return {x.row(first), std::min(kRowsPerTask, x.rows - first), x.width, x.stride};
}

int64_t task_count(int64_t rows) { return (rows + kRowsPerTask - 1) / kRowsPerTask; }

/// Multiplies the row by the power of two that brings its largest number to [1, 2), if that is so far from 1
/// that squares, or the product of two, could overflow or vanish. Exact but for numbers 2^-1000 as large as
/// the largest.
void scale_row(double* row, int64_t width) {
  double largest = 0;
  for (int64_t k = 0; k < width; ++k) largest = std::max(largest, std::abs(row[k]));
  if (largest == 0 || !std::isfinite(largest) || (largest > 0x1p-200 && largest < 0x1p200)) return;
  const int exponent = std::ilogb(largest);
  for (int64_t k = 0; k < width; ++k) row[k] = std::scalbn(row[k], -exponent);
}

bool needs_scaling(Rows<const double> x) {
  for (int64_t i = 0; i < x.rows; ++i) {
    double largest = 0;
    for (int64_t k = 0; k < x.width; ++k) largest = std::max(largest, std::abs(x.row(i)[k]));
    if (largest != 0 && !(largest > 0x1p-200 && largest < 0x1p200)) return true;
  }
  return false;
}

template <class T>
void measure(Rows<const T> x, std::vector<double>& squares) {
  squares.resize(static_cast<std::size_t>(x.rows));
  run_tasks(task_count(x.rows), allowed_threads(), [&](int64_t task) {
    squared_lengths(Cpu{}, task_rows(x, task), squares.data() + task * kRowsPerTask);
  });
}

at::Tensor scaled(const at::Tensor& x) {
  if (!needs_scaling(rows_of<const double>(x))) return x;
  const at::Tensor own = x.clone();
  const Rows<double> rows = rows_of<double>(own);
  for (int64_t i = 0; i < rows.rows; ++i) scale_row(rows.row(i), rows.width);
  return own;
}

}  // namespace

int allowed_threads() { return at::get_num_threads(); }

void require_rows(const char* operation, const char* side, const at::Tensor& x) {
  require(x.defined(), "[", operation, "] ", side, " is not a tensor");
  require(x.dim() == 2 && x.size(1) > 0 && is_row_dtype(x.scalar_type()), "[", operation, "] ", side,
          " must be [n, d] of a floating dtype with d >= 1, found ", text_of_tensor(x));
  require(x.layout() == at::kStrided && (x.is_cpu() || x.is_cuda()), "[", operation, "] ", side,
          " must be a dense tensor on the CPU or a CUDA device, found ", x.layout(), " on ",
          x.device().str());
}

MeasuredRows measure_rows(const char* operation, const char* side, const at::Tensor& x, bool as_double) {
  MeasuredRows measured;
  if (as_double || x.scalar_type() == at::kDouble) {
    measured.rows = scaled(host_rows<double>(x));
    measure(rows_of<const double>(measured.rows), measured.squares);
  } else {
    measured.rows = host_rows<float>(x);
    measure(rows_of<const float>(measured.rows), measured.squares);
  }
  const auto bad = std::find_if_not(measured.squares.begin(), measured.squares.end(),
                                    [](double square) { return std::isfinite(square); });
  require(bad == measured.squares.end(), "[", operation, "] row ", bad - measured.squares.begin(), " of ",
          side, " is not finite");
  return measured;
}

}  // namespace unisim
