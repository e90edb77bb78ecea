#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <unisim/error.h>
#include <unisim/similarity.h>

#include <algorithm>

#include "bridge.h"
#include "kernels.h"
#include "measured_rows.h"
#include "run_on.h"
#include "tasks.h"

namespace unisim {
namespace {

constexpr int64_t kTile = 64;  ///< rows of each side in a task: both stay in a core's cache

/// f with both sides as rows of the dtype that they share.
template <class F>
void with_rows(const MeasuredRows& a, const MeasuredRows& b, F&& f) {
  if (a.rows.scalar_type() == at::kDouble)
    f(rows_of<const double>(a.rows), rows_of<const double>(b.rows));
  else
    f(rows_of<const float>(a.rows), rows_of<const float>(b.rows));
}

template <class T>
Rows<T> slice(Rows<T> x, int64_t first) {
  return {x.row(first), std::min(kTile, x.rows - first), x.width, x.stride};
}

int64_t tiles(int64_t rows) { return (rows + kTile - 1) / kTile; }

/// Checks that are the same for both functions; then both sides measured, in one dtype.
std::pair<MeasuredRows, MeasuredRows> measured_sides(const char* operation, const Tensor& a,
                                                     const Tensor& b) {
  require_rows(operation, "a", a);
  require_rows(operation, "b", b);
  require(a.size(1) == b.size(1), "[", operation, "] widths differ: ", a.size(1), " and ", b.size(1));
  require(a.device() == b.device(), "[", operation, "] devices differ: ", a.device().str(), " and ",
          b.device().str());
  const bool as_double = a.scalar_type() == at::kDouble || b.scalar_type() == at::kDouble;
  return {measure_rows(operation, "a", a, as_double), measure_rows(operation, "b", b, as_double)};
}

/// By the kernel where the rows lie, in float; undefined where its numbers cannot be trusted: a zero may be a
/// row whose squares vanish in float, and what is not finite one whose squares overflow, or a NaN that must
/// be refused by name.
Tensor cosine_rows_on_device(const Tensor& a, const Tensor& b) {
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  const Tensor out = at::empty({x.size(0)}, x.options().dtype(at::kFloat));
  with_stored_type(x.scalar_type(), [&](auto number) {
    using T = decltype(number);
    run_on(x.device(), [&](auto place) {
      cosine_rows(place, stored_rows<T>(x), stored_rows<T>(y), out.data_ptr<float>());
    });
  });
  const Tensor sure = at::isfinite(out).logical_and(out.ne(0)).all();
  return sure.item<bool>() ? out : Tensor();
}

}  // namespace

Tensor cosine(const Tensor& a, const Tensor& b) {
  const auto [x, y] = measured_sides("cosine", a, b);
  const Tensor result = at::empty({x.count(), y.count()}, at::kFloat);
  const Rows<float> out = rows_of<float>(result);
  with_rows(x, y, [&, &first = x, &second = y](auto rows, auto columns) {
    const int64_t across = tiles(columns.rows);
    run_tasks(tiles(rows.rows) * across, allowed_threads(), [&](int64_t task) {
      const int64_t i = task / across * kTile, j = task % across * kTile;
      cosine(Cpu{}, slice(rows, i), first.squares.data() + i, slice(columns, j), second.squares.data() + j,
             {out.row(i) + j, 0, 0, out.stride});
    });
  });
  return result.to(a.device());
}

Tensor cosine_rows(const Tensor& a, const Tensor& b) {
  require(!a.defined() || !b.defined() || a.dim() != 2 || b.dim() != 2 || a.size(0) == b.size(0),
          "[cosine_rows] row counts differ: ", a.defined() && a.dim() ? a.size(0) : 0, " and ",
          b.defined() && b.dim() ? b.size(0) : 0);
  if (UNISIM_HAS_CUDA && a.defined() && b.defined() && a.is_cuda() && a.device() == b.device() &&
      a.dim() == 2 && a.sizes() == b.sizes() && a.size(1) > 0 && a.scalar_type() == b.scalar_type() &&
      is_stored_dtype(a.scalar_type())) {
    if (const Tensor rows = cosine_rows_on_device(a, b); rows.defined()) return rows;
  }
  const auto [x, y] = measured_sides("cosine_rows", a, b);
  const Tensor result = at::empty({x.count()}, at::kFloat);
  float* out = result.data_ptr<float>();
  with_rows(x, y, [&, &first = x, &second = y](auto left, auto right) {
    run_tasks(tiles(left.rows), allowed_threads(), [&](int64_t task) {
      for (int64_t i = task * kTile; i < std::min(left.rows, (task + 1) * kTile); ++i) {
        const auto k = static_cast<std::size_t>(i);
        out[i] = static_cast<float>(
            cosine(Cpu{}, left.row(i), first.squares[k], right.row(i), second.squares[k], left.width));
      }
    });
  });
  return result.to(a.device());
}

}  // namespace unisim
