#include <algorithm>
#include <cmath>
#include <limits>

#include "../kernels.h"

namespace unisim {
namespace {

/// The square root of a sum of `terms` squares in double as a float that is not below the exact one.
float root_above(double sum, int64_t terms) {
  const double root = std::sqrt(sum) * (1 + static_cast<double>(terms + 4) * 0x1p-52);
  const auto nearest = static_cast<float>(root);
  return nearest < root ? std::nextafter(nearest, std::numeric_limits<float>::infinity()) : nearest;
}

}  // namespace

template <class T>
void quantize_rows(Cpu, Rows<const T> x, Rows<int8_t> out, float* scale, float* residual) {
  for (int64_t i = 0; i < x.rows; ++i) {
    float largest = 0;
    for (int64_t k = 0; k < x.width; ++k) largest = std::max(largest, std::abs(to_float(x.row(i)[k])));
    scale[i] = largest / 127;
    double missed = 0;
    for (int64_t k = 0; k < x.width; ++k) {
      const float value = to_float(x.row(i)[k]);
      // A scale below the normal floats is so coarse that a quotient can pass 127.
      const float q = scale[i] == 0 ? 0 : std::clamp(std::nearbyint(value / scale[i]), -127.0f, 127.0f);
      const double off = double{value} - double{scale[i]} * double{q};  // exact
      missed += off * off;
      out.row(i)[k] = static_cast<int8_t>(q);
    }
    residual[i] = root_above(missed, x.width);
  }
}

template void quantize_rows(Cpu, Rows<const float>, Rows<int8_t>, float*, float*);
template void quantize_rows(Cpu, Rows<const bf16>, Rows<int8_t>, float*, float*);
template void quantize_rows(Cpu, Rows<const f16>, Rows<int8_t>, float*, float*);

}  // namespace unisim
