// rms_norm: squares in double; the sum is of floats, so that what is stored of it is the same in every bit on
// each place.

#include <cmath>

#include "../kernels.h"
#include "norm_rows.h"

namespace unisim {

template <class T>
void rms_norm(Cpu, const NormRows<T>& n) {
  for (int64_t i = 0; i < n.x.rows; ++i) {
    double squares = 0;
    for (int64_t k = 0; k < n.x.width; ++k) {
      const double s = summed(n, i, k);
      squares += s * s;
    }
    const double scale = 1 / std::sqrt(squares / static_cast<double>(n.x.width) + n.eps);
    T* out = n.out.row(i);
    for (int64_t k = 0; k < n.x.width; ++k) {
      const float s = summed(n, i, k);
      if (n.sum.data) n.sum.row(i)[k] = rounded<T>(s);
      out[k] = rounded<T>(static_cast<float>(s * scale * n.weight[k]));
    }
  }
}

template void rms_norm(Cpu, const NormRows<float>&);
template void rms_norm(Cpu, const NormRows<bf16>&);
template void rms_norm(Cpu, const NormRows<f16>&);

}  // namespace unisim
