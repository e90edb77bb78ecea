#pragma once

#include <unisim/tensor.h>

namespace unisim {

/// Cosine of every row of a with every row of b: [n, d] and [m, d] to [n, m] float32, in [-1, 1].
///
/// float16, bfloat16, float32 or float64, any strides, rows of any length: what is computed is x.y / sqrt(x.x
/// * y.y) in double, rounded once; identical rows give exactly 1, a zero row 0 against everything, zero rows
/// too. A row does not depend on the others. A row that is not finite is std::invalid_argument naming its
/// index and side; so are unequal widths. Computed on the CPU, returned on the device of a and b. Carries no
/// gradient.
UNISIM_API Tensor cosine(const Tensor& a, const Tensor& b);

/// Cosine of row i of a with row i of b: [n, d] and [n, d] to [n] float32; the same numbers as cosine().
UNISIM_API Tensor cosine_rows(const Tensor& a, const Tensor& b);

}  // namespace unisim
