#pragma once

#include <unisim/tensor.h>

namespace unisim {

/// Cosine of every row of a with every row of b: [n, d] and [m, d] to [n, m] float32, in [-1, 1].
/// Rows of any length; a zero row scores 0 against everything. A row that is not finite is std::invalid_argument
/// naming its index. Any floating dtype, any strides; sums in double.
UNISIM_API Tensor cosine(const Tensor& a, const Tensor& b);

/// Cosine of row i of a with row i of b: [n, d] and [n, d] to [n] float32.
UNISIM_API Tensor cosine_rows(const Tensor& a, const Tensor& b);

}  // namespace unisim
