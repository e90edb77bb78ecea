#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace unisim {

enum class ImageFormat {
  Jpeg,
  Png,
  WebP,
  Other,    ///< an image format, named, that is not read here
  NoImage,  ///< something that we recognise, named, and that is no image
  Unknown
};

struct FoundFormat {
  ImageFormat format = ImageFormat::Unknown;
  std::string_view name;  ///< "GIF", "an HTML page"
};

/// What the bytes are, told by the bytes alone: a file's name says nothing.
FoundFormat image_format_of(std::span<const std::byte> bytes);

}  // namespace unisim
