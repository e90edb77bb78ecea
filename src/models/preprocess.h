#pragma once

#include <unisim/image.h>

#include <cstdint>
#include <span>

#include "config.h"

namespace unisim {

/// One picture as the tower sees it: [3, height, width] floats into `planes`, which has exactly that many.
void preprocess_image(const PreprocessConfig& config, const Image& image, std::span<float> planes);

/// Pictures one after the other in `planes`, on up to `threads` threads (0: one a core).
void preprocess_images(const PreprocessConfig& config, std::span<const Image> images, std::span<float> planes,
                       int threads = 0);

/// Height and width of what comes out.
int64_t output_height(const PreprocessConfig& config);
int64_t output_width(const PreprocessConfig& config);

}  // namespace unisim
