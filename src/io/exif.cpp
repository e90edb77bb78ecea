#include "exif.h"

#include <cstring>
#include <string>
#include <string_view>

#include "image_codec.h"
#include "image_format.h"

namespace unisim {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view exif_prefix = "Exif\0\0"sv;
constexpr std::string_view xmp_prefix = "http://ns.adobe.com/xap/1.0/\0"sv;
constexpr std::string_view png_xmp_prefix = "XML:com.adobe.xmp\0\0"sv;  // the second NUL: not compressed

/// What a file says about itself beside the pixels.
struct Metadata {
  std::string exif;
  std::string xmp;
};

const uint8_t* bytes_at(std::string_view text, std::size_t at) {
  return reinterpret_cast<const uint8_t*>(text.data() + at);
}

void add_exif(Metadata& found, std::string_view exif) {
  while (exif.starts_with(exif_prefix)) exif.remove_prefix(exif_prefix.size());
  found.exif += exif;
}

/// APP1 segments up to the first scan; EXIF split over several is joined.
Metadata jpeg_metadata(std::string_view file) {
  Metadata found;
  for (std::size_t at = 2; at + 4 <= file.size();) {
    if (file[at] != '\xff' || file[at + 1] == '\xff' || file[at + 1] == 0) {
      ++at;  // fill bytes and junk between segments
      continue;
    }
    const auto marker = static_cast<uint8_t>(file[at + 1]);
    if (marker == 0xda) break;
    if ((marker >= 0xd0 && marker <= 0xd9) || marker == 0x01) {
      at += 2;
      continue;
    }
    const std::size_t length = big_endian(bytes_at(file, at + 2), 2);
    if (length < 2 || length > file.size() - at - 2) break;
    const std::string_view segment = file.substr(at + 4, length - 2);
    if (marker == 0xe1 && segment.starts_with(exif_prefix)) add_exif(found, segment);
    if (marker == 0xe1 && segment.starts_with(xmp_prefix)) found.xmp = segment.substr(xmp_prefix.size());
    at += 2 + length;
  }
  return found;
}

Metadata png_metadata(std::string_view file) {
  Metadata found;
  for (std::size_t at = 8; at + 12 <= file.size();) {
    const std::size_t length = big_endian(bytes_at(file, at), 4);
    if (length > file.size() - at - 12) break;
    const std::string_view type = file.substr(at + 4, 4), data = file.substr(at + 8, length);
    if (type == "eXIf") {
      found.exif.clear();
      add_exif(found, data);
    }
    if (type == "iTXt" && data.starts_with(png_xmp_prefix)) found.xmp = data.substr(png_xmp_prefix.size());
    at += 12 + length;
  }
  return found;
}

Metadata webp_metadata(std::string_view file) {
  Metadata found;
  for (std::size_t at = 12; at + 8 <= file.size();) {
    const std::size_t length = little_endian(bytes_at(file, at + 4), 4);
    if (length > file.size() - at - 8) break;
    const std::string_view type = file.substr(at, 4), data = file.substr(at + 8, length);
    if (type == "EXIF" && found.exif.empty()) add_exif(found, data);
    if (type == "XMP " && found.xmp.empty()) found.xmp = data;
    at += 8 + length + length % 2;
  }
  return found;
}

/// The tag's value in the first directory of a TIFF structure; 0 where it is absent, -1 where it is unusable.
int tiff_orientation(std::string_view tiff) {
  const bool big = tiff.starts_with("MM");
  if (tiff.size() < 8 || (!big && !tiff.starts_with("II"))) return 0;
  const auto number = [&](std::size_t at, int count) {
    return big ? big_endian(bytes_at(tiff, at), count) : little_endian(bytes_at(tiff, at), count);
  };
  const std::size_t start = number(4, 4);
  if (start > tiff.size() || tiff.size() - start < 2) return 0;
  const std::size_t entries = number(start, 2);
  int found = 0;
  for (std::size_t i = 0; i < entries; ++i) {
    const std::size_t at = start + 2 + 12 * i;
    if (at > tiff.size() || tiff.size() - at < 12) break;
    if (number(at, 2) != 0x0112) continue;
    const uint32_t type = number(at + 2, 2), count = number(at + 4, 4);
    const int width = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;  // BYTE, SHORT, LONG
    found = width == 0 || count != 1 ? -1 : static_cast<int>(number(at + 8, width));
  }
  return found;
}

int xmp_orientation(std::string_view xmp) {
  constexpr std::string_view name = "tiff:Orientation";
  for (std::size_t at = xmp.find(name); at != std::string_view::npos; at = xmp.find(name, at + 1)) {
    std::string_view rest = xmp.substr(at + name.size());
    if (rest.starts_with("=\""))
      rest.remove_prefix(2);
    else if (rest.starts_with(">"))
      rest.remove_prefix(1);
    else
      continue;
    if (!rest.empty() && rest[0] >= '0' && rest[0] <= '9') return rest[0] - '0';
  }
  return 0;
}

}  // namespace

int exif_orientation(std::span<const std::byte> file) {
  const std::string_view text(reinterpret_cast<const char*>(file.data()), file.size());
  const ImageFormat format = image_format_of(file).format;
  const Metadata found = format == ImageFormat::Jpeg   ? jpeg_metadata(text)
                         : format == ImageFormat::Png  ? png_metadata(text)
                         : format == ImageFormat::WebP ? webp_metadata(text)
                                                       : Metadata{};
  int orientation = tiff_orientation(found.exif);
  if (orientation == 0) orientation = xmp_orientation(found.xmp);
  return orientation >= 1 && orientation <= 8 ? orientation : 1;
}

Image oriented(Image image, int orientation) {
  if (orientation <= 1 || orientation > 8) return image;
  const bool swapped = orientation >= 5;
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  Image out{swapped ? image.height : image.width, swapped ? image.width : image.height, {}, {}};
  out.pixels.resize(image.pixels.size());
  uint8_t* to = out.pixels.data();
  for (int32_t y = 0; y < out.height; ++y)
    for (int32_t x = 0; x < out.width; ++x, to += 3) {
      const int32_t column = swapped ? y : x, row = swapped ? x : y;
      const int64_t from_x = from_right ? image.width - 1 - column : column;
      const int64_t from_y = from_bottom ? image.height - 1 - row : row;
      std::memcpy(to, image.pixels.data() + 3 * (from_y * image.width + from_x), 3);
    }
  out.warnings = std::move(image.warnings);
  return out;
}

}  // namespace unisim
