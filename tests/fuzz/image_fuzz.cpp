#include <unisim/image.h>

#include <cstdlib>

#include "io/exif.h"

using namespace unisim;

/// Any bytes are a picture of the size that they say, or a DataError. The three codecs are told apart by
/// content, so one target holds them all.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  if (const int orientation = exif_orientation(bytes); orientation < 1 || orientation > 8) std::abort();
  try {
    const Image image = decode_image(bytes, "fuzz", {.max_pixels = 1 << 18, .apply_orientation = true});
    const auto expected =
        std::size_t{3} * static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
    if (image.pixels.size() != expected || expected == 0) std::abort();
  } catch (const DataError&) {
  }
  return 0;
}
