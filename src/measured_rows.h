#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

/// Rows ready for their cosines: what cosine(), cosine_rows() and mine_blind_pairs() do to an argument first.
namespace unisim {

/// Finite rows in host memory as float32 or float64, and their squared lengths in double: zero for a zero row
/// alone, never too large or too small for the product of two of them.
struct MeasuredRows {
  at::Tensor rows;
  std::vector<double> squares;

  int64_t count() const { return rows.size(0); }
  int64_t width() const { return rows.size(1); }
};

/// Threads that the work may use: LibTorch's own setting.
int allowed_threads();

/// std::invalid_argument unless x is [n, d >= 1] of float16, bfloat16, float32 or float64; the message calls
/// it `side`.
void require_rows(const char* operation, const char* side, const at::Tensor& x);

/// x, which require_rows() has passed, promoted exactly to float32, or to float64 where `as_double` or x is
/// that. float64 rows whose squares would overflow or vanish are scaled by a power of two, which changes no
/// cosine. A row that is not finite is std::invalid_argument naming its index.
MeasuredRows measure_rows(const char* operation, const char* side, const at::Tensor& x,
                          bool as_double = false);

}  // namespace unisim
