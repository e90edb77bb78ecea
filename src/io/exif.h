#pragma once

#include <unisim/image.h>

#include <cstddef>
#include <span>

namespace unisim {

/// The orientation, 1 to 8, that a JPEG, PNG or WebP file asks for: EXIF tag 0x0112 (JPEG APP1, PNG eXIf,
/// WebP EXIF), else tiff:Orientation of its XMP packet where that is stored plain. 1 where there is none or
/// it is no such number.
int exif_orientation(std::span<const std::byte> file);

/// The picture as its orientation means it to be seen, as Pillow's ImageOps.exif_transpose turns it.
Image oriented(Image image, int orientation);

}  // namespace unisim
