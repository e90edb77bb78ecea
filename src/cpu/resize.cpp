// Both passes of a resize over bytes, and the choice of instruction set. The AVX2 twins give the same bits:
// sums of products of integers do not depend on their order.
#include "resize.h"

#include <algorithm>

namespace unisim {
namespace {

constexpr int32_t half = 1 << (resize_bits - 1);

uint8_t byte_of(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> resize_bits, 0, 255)); }

#if defined(__x86_64__)
const bool has_avx2 = __builtin_cpu_supports("avx2") != 0;
#endif

}  // namespace

void resize_horizontal_portable(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
  for (int64_t y = 0; y < out.rows; ++y) {
    uint8_t* to = out.row(y);
    for (int64_t x = 0; x < out.width / 3; ++x, to += 3) {
      const uint8_t* from = in.row(y) + 3 * int64_t{axis.first[x]};
      const int32_t* weights = axis.weights + x * axis.taps;
      int32_t red = half, green = half, blue = half;
      for (int32_t t = 0; t < axis.count[x]; ++t, from += 3) {
        red += weights[t] * from[0];
        green += weights[t] * from[1];
        blue += weights[t] * from[2];
      }
      to[0] = byte_of(red);
      to[1] = byte_of(green);
      to[2] = byte_of(blue);
    }
  }
}

void resize_vertical_portable(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
  for (int64_t y = 0; y < out.rows; ++y) {
    const int32_t* weights = axis.weights + y * axis.taps;
    const uint8_t* from = in.row(axis.first[y]);
    for (int64_t x = 0; x < out.width; ++x) {
      int32_t sum = half;
      for (int32_t t = 0; t < axis.count[y]; ++t) sum += weights[t] * from[t * in.stride + x];
      out.row(y)[x] = byte_of(sum);
    }
  }
}

void resize_horizontal(Cpu, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
#if defined(__x86_64__)
  if (has_avx2) return resize_horizontal_avx2(in, out, axis);
#endif
  resize_horizontal_portable(in, out, axis);
}

void resize_vertical(Cpu, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
#if defined(__x86_64__)
  if (has_avx2) return resize_vertical_avx2(in, out, axis);
#endif
  resize_vertical_portable(in, out, axis);
}

}  // namespace unisim
