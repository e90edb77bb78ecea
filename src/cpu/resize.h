#pragma once

#include "../kernels.h"

/// The passes of a resize for one instruction set each: resize.cpp chooses between them at run time.
namespace unisim {

void resize_horizontal_portable(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);
void resize_vertical_portable(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);

#if defined(__x86_64__)
void resize_horizontal_avx2(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);
void resize_vertical_avx2(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis);
#endif

}  // namespace unisim
