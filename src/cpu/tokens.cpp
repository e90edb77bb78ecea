#include "../kernels.h"

namespace unisim {
namespace {

/// out = from + position, rounded once. position null: zeros.
template <class T>
void add_row(const T* from, const float* position, T* out, int64_t width) {
  for (int64_t k = 0; k < width; ++k)
    out[k] = rounded<T>(to_float(from[k]) + (position ? position[k] : 0.0f));
}

}  // namespace

template <class T>
void assemble_image_tokens(Cpu, const ImageTokens<T>& t) {
  T* to = t.out;
  for (int64_t item = 0; item < t.items; ++item) {
    const float* position = t.positions;
    const auto append = [&](const T* rows, int64_t count) {
      for (int64_t i = 0; i < count; ++i, to += t.width) {
        add_row(rows + i * t.width, position, to, t.width);
        if (position) position += t.width;
      }
    };
    append(t.class_token, t.class_token ? 1 : 0);
    append(t.registers, t.register_count);
    append(t.patches + item * t.patch_count * t.width, t.patch_count);
  }
}

template <class T>
void assemble_text_tokens(Cpu, const TextTokens<T>& t) {
  for (int64_t row = 0; row < t.items * t.length; ++row)
    add_row(t.table + t.ids[row] * t.width, t.positions ? t.positions + row % t.length * t.width : nullptr,
            t.out + row * t.width, t.width);
}

template void assemble_image_tokens(Cpu, const ImageTokens<float>&);
template void assemble_image_tokens(Cpu, const ImageTokens<bf16>&);
template void assemble_image_tokens(Cpu, const ImageTokens<f16>&);
template void assemble_text_tokens(Cpu, const TextTokens<float>&);
template void assemble_text_tokens(Cpu, const TextTokens<bf16>&);
template void assemble_text_tokens(Cpu, const TextTokens<f16>&);

}  // namespace unisim
