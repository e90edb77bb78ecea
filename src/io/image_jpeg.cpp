// JPEG by libjpeg-turbo with the library's defaults (accurate integer DCT, fancy upsampling, block
// smoothing), which are what reaches Pillow's pixels too.
//
// libjpeg reports errors by longjmp. The functions that it may jump out of hold plain data only;
// JpegDecoder's destructor runs in decode_jpeg, outside of every jump.
#include <array>
#include <csetjmp>
#include <cstdio>
#include <new>

#include "image_codec.h"

// jpeglib.h needs <cstdio> before it, and jerror.h needs jpeglib.h.
// clang-format off
#include <jpeglib.h>
#include <jerror.h>
// clang-format on

namespace unisim {
namespace {

constexpr int max_scans = 500;

enum class Outcome { Done, Truncated, Error, TooManyScans, TooSlow };

struct JpegDecoder {
  jpeg_decompress_struct info{};
  jpeg_error_mgr errors{};
  jpeg_source_mgr source{};
  jpeg_progress_mgr progress{};
  Watchdog watchdog = started_watchdog();
  std::jmp_buf out_of_library;
  Outcome stopped = Outcome::Error;
  bool lacks_scans = false;
  std::array<char, JMSG_LENGTH_MAX> error{};
  std::array<char, JMSG_LENGTH_MAX> warning{};

  JpegDecoder() = default;
  ~JpegDecoder() { jpeg_destroy_decompress(&info); }
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;
};

JpegDecoder& decoder_of(j_common_ptr info) { return *static_cast<JpegDecoder*>(info->client_data); }

[[noreturn]] void leave(JpegDecoder& decoder, Outcome outcome) {
  decoder.stopped = outcome;
  std::longjmp(decoder.out_of_library, 1);
}

[[noreturn]] void on_error(j_common_ptr info) {
  JpegDecoder& decoder = decoder_of(info);
  info->err->format_message(info, decoder.error.data());
  leave(decoder, Outcome::Error);
}

void on_message(j_common_ptr info, int level) {
  if (level >= 0) return;  // traces
  if (info->err->num_warnings++ == 0) info->err->format_message(info, decoder_of(info).warning.data());
}

void on_progress(j_common_ptr info) {
  JpegDecoder& decoder = decoder_of(info);
  if (decoder.info.input_scan_number > max_scans) leave(decoder, Outcome::TooManyScans);
  if (expired(decoder.watchdog)) leave(decoder, Outcome::TooSlow);
}

void on_source(j_decompress_ptr) {}

/// No more bytes: the library suspends, as it does under Pillow, which then calls the file truncated.
boolean on_empty(j_decompress_ptr) { return FALSE; }

void on_skip(j_decompress_ptr info, long count) {
  if (count <= 0) return;
  jpeg_source_mgr& source = *info->src;
  if (static_cast<std::size_t>(count) > source.bytes_in_buffer)
    leave(decoder_of(reinterpret_cast<j_common_ptr>(info)), Outcome::Truncated);
  source.next_input_byte += count;
  source.bytes_in_buffer -= static_cast<std::size_t>(count);
}

Outcome read_header(JpegDecoder& decoder, const EncodedImage& file) {
  decoder.info.err = jpeg_std_error(&decoder.errors);
  decoder.errors.error_exit = on_error;
  decoder.errors.emit_message = on_message;
  decoder.info.client_data = &decoder;
  if (setjmp(decoder.out_of_library) != 0) return decoder.stopped;
  jpeg_create_decompress(&decoder.info);
  // Eight bytes a pixel hold the coefficients of four components; the rest is working space.
  decoder.info.mem->max_memory_to_use = (int64_t{64} << 20) + 8 * file.options.max_pixels;
  decoder.progress.progress_monitor = on_progress;
  decoder.info.progress = &decoder.progress;
  decoder.source.next_input_byte = file.data();
  decoder.source.bytes_in_buffer = file.size();
  decoder.source.init_source = on_source;
  decoder.source.fill_input_buffer = on_empty;
  decoder.source.skip_input_data = on_skip;
  decoder.source.resync_to_restart = jpeg_resync_to_restart;
  decoder.source.term_source = on_source;
  decoder.info.src = &decoder.source;
  return jpeg_read_header(&decoder.info, TRUE) == JPEG_HEADER_OK ? Outcome::Done : Outcome::Truncated;
}

/// round(a * b / 255), by Pillow's arithmetic.
inline uint8_t scaled(int a, int b) {
  const int product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

/// Inks as Adobe stores them, inverted (Pillow takes every four-component JPEG so), to R G B.
void inks_to_rgb(const uint8_t* inks, uint8_t* rgb, JDIMENSION width) {
  for (JDIMENSION x = 0; x < width; ++x, inks += 4, rgb += 3)
    for (int c = 0; c < 3; ++c) rgb[c] = static_cast<uint8_t>(inks[3] - scaled(255 - inks[c], inks[3]));
}

void grey_to_rgb(const uint8_t* grey, uint8_t* rgb, JDIMENSION width) {
  for (JDIMENSION x = 0; x < width; ++x, rgb += 3) rgb[0] = rgb[1] = rgb[2] = grey[x];
}

/// True for a progressive file whose scans do not bring every coefficient to its full precision.
bool lacks_scans(const jpeg_decompress_struct& info) {
  if (!info.progressive_mode || info.coef_bits == nullptr) return false;
  for (int c = 0; c < info.num_components; ++c)
    for (const int bits : std::span(info.coef_bits[c], DCTSIZE2))
      if (bits != 0) return true;
  return false;
}

/// `line` holds one row of the file's own components; three of them are written in place.
Outcome read_pixels(JpegDecoder& decoder, uint8_t* pixels, uint8_t* line) {
  jpeg_decompress_struct& info = decoder.info;
  if (setjmp(decoder.out_of_library) != 0) return decoder.stopped;
  info.out_color_space = info.num_components == 1   ? JCS_GRAYSCALE
                         : info.num_components == 3 ? JCS_RGB
                                                    : JCS_CMYK;
  if (!jpeg_start_decompress(&info)) return Outcome::Truncated;
  while (info.output_scanline < info.output_height) {
    if (expired(decoder.watchdog)) return Outcome::TooSlow;
    uint8_t* rgb = pixels + std::size_t{3} * info.output_width * info.output_scanline;
    JSAMPROW row = info.num_components == 3 ? rgb : line;
    if (jpeg_read_scanlines(&info, &row, 1) != 1) return Outcome::Truncated;
    if (info.num_components == 1) grey_to_rgb(line, rgb, info.output_width);
    if (info.num_components == 4) inks_to_rgb(line, rgb, info.output_width);
  }
  decoder.lacks_scans = lacks_scans(info);  // finishing frees what tells it
  // What follows is looked at for errors, as Pillow does; that it is missing is none.
  jpeg_finish_decompress(&info);
  return Outcome::Done;
}

void require_done(Outcome outcome, const JpegDecoder& decoder, const EncodedImage& file) {
  switch (outcome) {
    case Outcome::Done:
      return;
    case Outcome::Truncated:
      throw DataError(file.name, "a truncated JPEG: the data ends before the image does");
    case Outcome::TooManyScans:
      throw DataError(file.name, text_of("a JPEG of more than ", max_scans, " scans is refused"));
    case Outcome::TooSlow:
      throw DataError(file.name,
                      text_of("decoding took more than ", decoding_seconds.load(), " s and was given up"));
    case Outcome::Error:
      break;
  }
  const int code = decoder.errors.msg_code;
  if (code == JERR_OUT_OF_MEMORY) throw std::bad_alloc();
  const std::string message = text_of("a broken JPEG: ", decoder.error.data());
  // Lossless and hierarchical frames, 12-bit samples: valid, but not for this library.
  if (code == JERR_SOF_UNSUPPORTED || code == JERR_BAD_PRECISION || code == JERR_ARITH_NOTIMPL)
    throw Unsupported(file.name, text_of("a JPEG of a kind that is not read: ", decoder.error.data()));
  throw DataError(file.name, message);
}

}  // namespace

Image decode_jpeg(const EncodedImage& file) {
  JpegDecoder decoder;
  require_done(read_header(decoder, file), decoder, file);
  const int components = decoder.info.num_components;
  if (components != 1 && components != 3 && components != 4)
    throw Unsupported(file.name, text_of("a JPEG of ", components, " components; 1, 3 and 4 are read"));
  Image image = sized_image(file, decoder.info.image_width, decoder.info.image_height);
  std::vector<uint8_t> line(std::size_t{4} * decoder.info.image_width);
  require_done(read_pixels(decoder, image.pixels.data(), line.data()), decoder, file);
  if (decoder.lacks_scans)
    image.warnings.push_back("a progressive JPEG without its last scans: its blocks were smoothed");
  if (decoder.errors.num_warnings > 0)
    image.warnings.push_back(text_of("JPEG data with ", decoder.errors.num_warnings,
                                     " faults, the first: ", decoder.warning.data()));
  return image;
}

}  // namespace unisim
