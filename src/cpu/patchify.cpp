#include "../kernels.h"

namespace unisim {
namespace {

/// Each patch a row; value(item, channel, y, x) is a number of the pictures.
template <class T, class Value>
void cut(const Patches& p, int64_t channels, Rows<T> out, const Value& value) {
  for (int64_t row = 0; row < p.items * p.rows() * p.columns(); ++row) {
    const int64_t line = row / p.columns(), item = line / p.rows();
    const int64_t top = p.top + line % p.rows() * p.patch_height;
    const int64_t left = p.left + row % p.columns() * p.patch_width;
    T* to = out.row(row);
    for (int64_t c = 0; c < channels; ++c)
      for (int64_t y = top; y < top + p.patch_height; ++y)
        for (int64_t x = left; x < left + p.patch_width; ++x) *to++ = rounded<T>(value(item, c, y, x));
  }
}

}  // namespace

template <class T>
void patchify(Cpu, const uint8_t* pixels, const Patches& p, const float* table, Rows<T> out) {
  cut(p, 3, out, [&](int64_t item, int64_t c, int64_t y, int64_t x) {
    return table[256 * c + pixels[3 * ((item * p.height + y) * p.width + x) + c]];
  });
}

template <class T>
void patchify(Cpu, const float* planes, int64_t channels, const Patches& p, Rows<T> out) {
  cut(p, channels, out, [&](int64_t item, int64_t c, int64_t y, int64_t x) {
    return planes[((item * channels + c) * p.height + y) * p.width + x];
  });
}

template void patchify(Cpu, const uint8_t*, const Patches&, const float*, Rows<float>);
template void patchify(Cpu, const uint8_t*, const Patches&, const float*, Rows<bf16>);
template void patchify(Cpu, const uint8_t*, const Patches&, const float*, Rows<f16>);
template void patchify(Cpu, const float*, int64_t, const Patches&, Rows<float>);
template void patchify(Cpu, const float*, int64_t, const Patches&, Rows<bf16>);
template void patchify(Cpu, const float*, int64_t, const Patches&, Rows<f16>);

}  // namespace unisim
