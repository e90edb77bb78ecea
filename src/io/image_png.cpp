// PNG by libpng's low-level API: raw samples, converted here as Pillow does. No gamma, no background, no
// alpha.
//
// libpng reports errors by longjmp. The functions that it may jump out of hold plain data only.
#include <png.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

#include "image_codec.h"

namespace unisim {
namespace {

enum class Outcome { Done, Error, TooSlow, OutOfMemory };

struct PngDecoder {
  png_structp png = nullptr;
  png_infop info = nullptr;
  const uint8_t* next = nullptr;
  std::size_t left = 0;
  Watchdog watchdog = started_watchdog();
  bool truncated = false;
  int warnings = 0;
  std::array<char, 200> error{};
  std::array<char, 200> warning{};

  PngDecoder() = default;
  ~PngDecoder() { png_destroy_read_struct(&png, &info, nullptr); }
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;
};

/// What the rows hold, and how to turn them into R G B.
struct PngLayout {
  png_uint_32 width = 0;
  png_uint_32 height = 0;
  int bit_depth = 0;
  int color_type = 0;
  bool interlaced = false;
  std::size_t row_bytes = 0;
  std::array<std::array<uint8_t, 3>, 256> palette{};  ///< black where the file's is shorter, as in Pillow
};

void on_error(png_structp png, png_const_charp message) {
  auto& decoder = *static_cast<PngDecoder*>(png_get_error_ptr(png));
  std::snprintf(decoder.error.data(), decoder.error.size(), "%s", message);
  png_longjmp(png, 1);
}

void on_warning(png_structp png, png_const_charp message) {
  auto& decoder = *static_cast<PngDecoder*>(png_get_error_ptr(png));
  if (decoder.warnings++ == 0) std::snprintf(decoder.warning.data(), decoder.warning.size(), "%s", message);
}

void on_read(png_structp png, png_bytep to, std::size_t count) {
  auto& decoder = *static_cast<PngDecoder*>(png_get_io_ptr(png));
  if (count > decoder.left) {
    decoder.truncated = true;
    png_error(png, "the data ends before the image does");
  }
  std::memcpy(to, decoder.next, count);
  decoder.next += count;
  decoder.left -= count;
}

Outcome read_header(PngDecoder& decoder, const EncodedImage& file, PngLayout& layout) {
  decoder.next = file.data();
  decoder.left = file.size();
  decoder.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder, on_error, on_warning);
  if (decoder.png == nullptr) return Outcome::OutOfMemory;
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return Outcome::Error;
  decoder.info = png_create_info_struct(decoder.png);
  if (decoder.info == nullptr) return Outcome::OutOfMemory;
  png_set_read_fn(decoder.png, &decoder, on_read);
  png_set_crc_action(decoder.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  // Profiles, texts and the like are not looked at, so they cannot expand into anything.
  png_set_keep_unknown_chunks(decoder.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_set_chunk_malloc_max(decoder.png, 8 << 20);
  png_set_user_limits(decoder.png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);  // sized_image judges the size
  png_read_info(decoder.png, decoder.info);
  int interlace = 0;
  png_get_IHDR(decoder.png, decoder.info, &layout.width, &layout.height, &layout.bit_depth,
               &layout.color_type, &interlace, nullptr, nullptr);
  layout.interlaced = interlace != PNG_INTERLACE_NONE;
  png_colorp colors = nullptr;
  int count = 0;
  if (layout.color_type == PNG_COLOR_TYPE_PALETTE &&
      png_get_PLTE(decoder.png, decoder.info, &colors, &count) != 0)
    for (int i = 0; i < std::min(count, 256); ++i)
      layout.palette[static_cast<std::size_t>(i)] = {colors[i].red, colors[i].green, colors[i].blue};
  png_set_packing(decoder.png);  // one byte a sample below 8 bits
  png_set_interlace_handling(decoder.png);
  png_read_update_info(decoder.png, decoder.info);
  layout.row_bytes = png_get_rowbytes(decoder.png, decoder.info);
  return Outcome::Done;
}

/// R G B out of every `step`-th byte; a step of channels times bytes a sample takes the high byte of each.
void take_samples(const uint8_t* row, uint8_t* rgb, png_uint_32 width, int pixel, int green, int blue) {
  for (png_uint_32 x = 0; x < width; ++x, row += pixel, rgb += 3) {
    rgb[0] = row[0];
    rgb[1] = row[green];
    rgb[2] = row[blue];
  }
}

void grey_row(const PngLayout& layout, const uint8_t* row, uint8_t* rgb) {
  if (layout.bit_depth == 16) {
    // Pillow holds 16-bit grey as it is, and clips where it makes RGB of it.
    for (png_uint_32 x = 0; x < layout.width; ++x, row += 2, rgb += 3)
      rgb[0] = rgb[1] = rgb[2] = row[0] != 0 ? uint8_t{255} : row[1];
    return;
  }
  const int scale = 255 / ((1 << layout.bit_depth) - 1);
  for (png_uint_32 x = 0; x < layout.width; ++x, rgb += 3)
    rgb[0] = rgb[1] = rgb[2] = static_cast<uint8_t>(row[x] * scale);
}

void to_rgb(const PngLayout& layout, const uint8_t* row, uint8_t* rgb) {
  const int sample = layout.bit_depth == 16 ? 2 : 1;
  switch (layout.color_type) {
    case PNG_COLOR_TYPE_GRAY:
      return grey_row(layout, row, rgb);
    case PNG_COLOR_TYPE_PALETTE:
      for (png_uint_32 x = 0; x < layout.width; ++x)
        std::memcpy(rgb + 3 * std::size_t{x}, layout.palette[row[x]].data(), 3);
      return;
    case PNG_COLOR_TYPE_GRAY_ALPHA:
      return take_samples(row, rgb, layout.width, 2 * sample, 0, 0);
    case PNG_COLOR_TYPE_RGB_ALPHA:
      return take_samples(row, rgb, layout.width, 4 * sample, sample, 2 * sample);
    default:
      return take_samples(row, rgb, layout.width, 3 * sample, sample, 2 * sample);
  }
}

/// `raw` holds one row, or all of them where the file is interlaced: each pass adds to what the last ones
/// left.
Outcome read_pixels(PngDecoder& decoder, const PngLayout& layout, uint8_t* pixels, uint8_t* raw) {
  if (setjmp(png_jmpbuf(decoder.png)) != 0) return Outcome::Error;
  const int passes = layout.interlaced ? 7 : 1;
  const std::size_t step = layout.interlaced ? layout.row_bytes : 0;
  for (int pass = 0; pass < passes; ++pass)
    for (png_uint_32 y = 0; y < layout.height; ++y) {
      if (expired(decoder.watchdog)) return Outcome::TooSlow;
      png_read_row(decoder.png, raw + step * y, nullptr);
      if (pass + 1 == passes) to_rgb(layout, raw + step * y, pixels + std::size_t{3} * layout.width * y);
    }
  return Outcome::Done;
}

void require_done(Outcome outcome, const PngDecoder& decoder, const EncodedImage& file) {
  if (outcome == Outcome::Done) return;
  if (outcome == Outcome::OutOfMemory) throw std::bad_alloc();
  require_data(outcome != Outcome::TooSlow, file.name, "decoding took more than ", decoding_seconds.load(),
               " s and was given up");
  throw DataError(file.name,
                  text_of(decoder.truncated ? "a truncated PNG: " : "a broken PNG: ", decoder.error.data()));
}

}  // namespace

Image decode_png(const EncodedImage& file) {
  PngDecoder decoder;
  PngLayout layout;
  require_done(read_header(decoder, file, layout), decoder, file);
  Image image = sized_image(file, layout.width, layout.height);
  std::vector<uint8_t> raw(layout.row_bytes * (layout.interlaced ? layout.height : 1));
  require_done(read_pixels(decoder, layout, image.pixels.data(), raw.data()), decoder, file);
  if (layout.bit_depth == 16)
    image.warnings.push_back(layout.color_type == PNG_COLOR_TYPE_GRAY
                                 ? "16-bit grey samples above 255 were clipped to white, as Pillow does"
                                 : "16-bit samples were cut to their high byte");
  if (decoder.warnings > 0)
    image.warnings.push_back(
        text_of("PNG data with ", decoder.warnings, " faults, the first: ", decoder.warning.data()));
  return image;
}

}  // namespace unisim
