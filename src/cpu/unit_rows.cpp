#include <cmath>

#include "../kernels.h"

namespace unisim {

template <class T, class U>
void unit_rows(Cpu, Rows<const T> x, const double* squares, Rows<U> out) {
  for (int64_t i = 0; i < x.rows; ++i) {
    const double scale = squares[i] == 0 ? 0 : 1 / std::sqrt(squares[i]);
    for (int64_t k = 0; k < x.width; ++k)
      out.row(i)[k] = rounded<U>(static_cast<float>(static_cast<double>(x.row(i)[k]) * scale));
  }
}

template void unit_rows(Cpu, Rows<const float>, const double*, Rows<float>);
template void unit_rows(Cpu, Rows<const float>, const double*, Rows<bf16>);
template void unit_rows(Cpu, Rows<const float>, const double*, Rows<f16>);
template void unit_rows(Cpu, Rows<const double>, const double*, Rows<float>);
template void unit_rows(Cpu, Rows<const double>, const double*, Rows<bf16>);
template void unit_rows(Cpu, Rows<const double>, const double*, Rows<f16>);

}  // namespace unisim
