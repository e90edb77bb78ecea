#pragma once

#include <unisim/image.h>

namespace unisim {

/// A window of a picture that is `width` x `height` in all.
struct Window {
  int32_t left = 0;
  int32_t top = 0;
  int32_t width = 0;
  int32_t height = 0;
};

/// The window of resize(image, width, height, resample), without computing the rest. The window must lie
/// inside.
Image resize_window(const Image& image, int32_t width, int32_t height, Resample resample, Window window);

/// True if the image is what its sizes say; what everything public here asks first.
void require_whole(const Image& image, const char* operation);

}  // namespace unisim
