// cosine_rows: the cosine of each row of a and its row of b, in double.

#include "../kernels.h"

namespace unisim {

template <class T>
void cosine_rows(Cpu, Rows<const T> a, Rows<const T> b, float* out) {
  for (int64_t i = 0; i < a.rows; ++i) {
    const T* x = a.row(i);
    const T* y = b.row(i);
    double dot = 0, x_square = 0, y_square = 0;
    for (int64_t k = 0; k < a.width; ++k) {
      const double from_a = to_float(x[k]), from_b = to_float(y[k]);
      dot += from_a * from_b;
      x_square += from_a * from_a;
      y_square += from_b * from_b;
    }
    out[i] = static_cast<float>(cosine_of(dot, x_square, y_square));
  }
}

template void cosine_rows(Cpu, Rows<const float>, Rows<const float>, float*);
template void cosine_rows(Cpu, Rows<const bf16>, Rows<const bf16>, float*);
template void cosine_rows(Cpu, Rows<const f16>, Rows<const f16>, float*);

}  // namespace unisim
