#include "../kernels.h"

namespace unisim {

void normalize_table(const float mean[3], const float std[3], double rescale, float* table) {
  for (int c = 0; c < 3; ++c)
    for (int value = 0; value < 256; ++value)
      table[256 * c + value] = (static_cast<float>(value * rescale) - mean[c]) / std[c];
}

void normalize_pixels(Cpu, const uint8_t* pixels, int64_t count, const float mean[3], const float std[3],
                      double rescale, float* planes) {
  // A byte has 256 values: what each becomes is computed once, in the very steps of the reference.
  float table[3 * 256];
  normalize_table(mean, std, rescale, table);
  for (int64_t i = 0; i < count; ++i) {
    planes[i] = table[pixels[3 * i]];
    planes[count + i] = table[256 + pixels[3 * i + 1]];
    planes[2 * count + i] = table[512 + pixels[3 * i + 2]];
  }
}

}  // namespace unisim
