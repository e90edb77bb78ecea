// layer_norm: mean first, then squared deviations, both in double; the sum is of floats, so that what is
// stored of it is the same in every bit on each place.

#include <cmath>

#include "../kernels.h"
#include "norm_rows.h"

namespace unisim {

template <class T>
void layer_norm(Cpu, const NormRows<T>& n) {
  const auto width = static_cast<double>(n.x.width);
  for (int64_t i = 0; i < n.x.rows; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < n.x.width; ++k) sum += summed(n, i, k);
    const double mean = sum / width;
    double squares = 0;
    for (int64_t k = 0; k < n.x.width; ++k) {
      const double deviation = summed(n, i, k) - mean;
      squares += deviation * deviation;
    }
    const double scale = 1 / std::sqrt(squares / width + n.eps);
    T* out = n.out.row(i);
    for (int64_t k = 0; k < n.x.width; ++k) {
      const float s = summed(n, i, k);
      if (n.sum.data) n.sum.row(i)[k] = rounded<T>(s);
      out[k] = rounded<T>(static_cast<float>((s - mean) * scale * n.weight[k] + n.shift[k]));
    }
  }
}

template void layer_norm(Cpu, const NormRows<float>&);
template void layer_norm(Cpu, const NormRows<bf16>&);
template void layer_norm(Cpu, const NormRows<f16>&);

}  // namespace unisim
