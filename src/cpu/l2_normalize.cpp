#include "../kernels.h"

#include <cmath>

namespace unisim {

void l2_normalize(Cpu, Rows<const float> x, Rows<float> out, int32_t* flag) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const float* from = x.row(i);
    float* to = out.row(i);
    double sum = 0;
    for (int64_t k = 0; k < x.width; ++k) sum += double{from[k]} * from[k];
    if (sum == 0 || !std::isfinite(sum)) *flag = 1;
    const double scale = sum == 0 ? 0 : 1 / std::sqrt(sum);
    for (int64_t k = 0; k < x.width; ++k) to[k] = static_cast<float>(from[k] * scale);
  }
}

}  // namespace unisim
