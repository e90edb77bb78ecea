// additive_mof: alpha a + (1 - alpha) b, memory bound; the loop is the compiler's to vectorise.

#include "../kernels.h"

namespace unisim {
namespace {

template <class T>
void mix(const T* a, const T* b, T alpha, int64_t count, T* out) {
  const T rest = 1 - alpha;
  for (int64_t k = 0; k < count; ++k) out[k] = alpha * a[k] + rest * b[k];
}

}  // namespace

void additive_mof(Cpu, const float* a, const float* b, float alpha, int64_t count, float* out) {
  mix(a, b, alpha, count, out);
}

void additive_mof(Cpu, const double* a, const double* b, double alpha, int64_t count, double* out) {
  mix(a, b, alpha, count, out);
}

}  // namespace unisim
