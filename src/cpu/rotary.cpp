// rotary: pairs (k, k + half) of every head turned in place, in double.

#include "../kernels.h"

namespace unisim {
namespace {

template <class T>
void turn(T* head, const float* cosine, const float* sine, int64_t half) {
  for (int64_t k = 0; k < half; ++k) {
    const double x = to_float(head[k]), y = to_float(head[half + k]);
    head[k] = rounded<T>(static_cast<float>(x * cosine[k] - y * sine[k]));
    head[half + k] = rounded<T>(static_cast<float>(y * cosine[k] + x * sine[k]));
  }
}

}  // namespace

template <class T>
void rotary(Cpu, const Rotary<T>& r) {
  const int64_t half = r.head_width / 2;
  for (int64_t i = 0; i < r.items; ++i)
    for (int64_t t = 0; t < r.tokens; ++t)
      for (int64_t h = 0; h < r.heads; ++h)
        turn(r.x.at(i, t, h), r.cosine + (r.first + t) * half, r.sine + (r.first + t) * half, half);
}

template void rotary(Cpu, const Rotary<float>&);
template void rotary(Cpu, const Rotary<bf16>&);
template void rotary(Cpu, const Rotary<f16>&);

}  // namespace unisim
