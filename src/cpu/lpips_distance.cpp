#include <cmath>

#include "../kernels.h"

namespace unisim {
namespace {

/// What unit length asks the channels of one place to be multiplied by.
template <class T>
double inverse_length(const T* x, int64_t channels) {
  double squares = 0;
  for (int64_t c = 0; c < channels; ++c) squares += double{to_float(x[c])} * to_float(x[c]);
  return 1 / (std::sqrt(squares) + 1e-10);
}

}  // namespace

template <class T>
void lpips_distance(Cpu, const LpipsLayer<T>& layer, float* out) {
  for (int64_t i = 0; i < layer.items; ++i) {
    double sum = 0;
    for (int64_t p = i * layer.places; p < (i + 1) * layer.places; ++p) {
      const T* x = layer.x + p * layer.channels;
      const T* y = layer.y + p * layer.channels;
      const double of_x = inverse_length(x, layer.channels), of_y = inverse_length(y, layer.channels);
      for (int64_t c = 0; c < layer.channels; ++c) {
        const double a = to_float(x[c]) * of_x, b = to_float(y[c]) * of_y;
        sum += layer.weight[c] * (a - b) * (a - b);
      }
    }
    if (layer.places > 0) out[i] += static_cast<float>(sum / static_cast<double>(layer.places));
  }
}

template void lpips_distance(Cpu, const LpipsLayer<float>&, float*);
template void lpips_distance(Cpu, const LpipsLayer<bf16>&, float*);
template void lpips_distance(Cpu, const LpipsLayer<f16>&, float*);

}  // namespace unisim
