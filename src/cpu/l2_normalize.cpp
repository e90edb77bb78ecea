#include <cmath>

#include "../kernels.h"

namespace unisim {

template <class T>
void l2_normalize(Cpu, Rows<const T> x, Rows<T> out, int32_t* flag) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const T* from = x.row(i);
    T* to = out.row(i);
    double sum = 0;
    for (int64_t k = 0; k < x.width; ++k) sum += double{to_float(from[k])} * to_float(from[k]);
    if (sum == 0 || !std::isfinite(sum)) *flag = 1;
    const double scale = sum == 0 ? 0 : 1 / std::sqrt(sum);
    for (int64_t k = 0; k < x.width; ++k) to[k] = rounded<T>(static_cast<float>(to_float(from[k]) * scale));
  }
}

template void l2_normalize(Cpu, Rows<const float>, Rows<float>, int32_t*);
template void l2_normalize(Cpu, Rows<const bf16>, Rows<bf16>, int32_t*);
template void l2_normalize(Cpu, Rows<const f16>, Rows<f16>, int32_t*);

}  // namespace unisim
