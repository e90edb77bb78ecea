#include <algorithm>

#include "../kernels.h"

namespace unisim {

template <class T>
void pool_row(Cpu, const Pooling<T>& p, const int64_t* index) {
  for (int64_t i = 0; i < p.items; ++i)
    std::copy_n(p.x + (i * p.tokens + (index ? index[i] : 0)) * p.width, p.width, p.out.row(i));
}

template <class T>
void pool_mean(Cpu, const Pooling<T>& p, int64_t first) {
  const auto count = static_cast<double>(p.tokens - first);
  for (int64_t i = 0; i < p.items; ++i)
    for (int64_t k = 0; k < p.width; ++k) {
      double sum = 0;
      for (int64_t t = first; t < p.tokens; ++t) sum += to_float(p.x[(i * p.tokens + t) * p.width + k]);
      p.out.row(i)[k] = rounded<T>(static_cast<float>(sum / count));
    }
}

template void pool_row(Cpu, const Pooling<float>&, const int64_t*);
template void pool_row(Cpu, const Pooling<bf16>&, const int64_t*);
template void pool_row(Cpu, const Pooling<f16>&, const int64_t*);
template void pool_mean(Cpu, const Pooling<float>&, int64_t);
template void pool_mean(Cpu, const Pooling<bf16>&, int64_t);
template void pool_mean(Cpu, const Pooling<f16>&, int64_t);

}  // namespace unisim
