#pragma once

// Small image files made in memory, for tests of their readers.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

// jpeglib.h needs <cstdio> before it.
#include <jpeglib.h>
#include <webp/encode.h>
#include <zlib.h>

namespace unisim::test {

using Bytes = std::string;

inline Bytes big(uint32_t value, int count) {
  Bytes out;
  for (int i = count; i-- > 0;) out += static_cast<char>(value >> (8 * i));
  return out;
}

/// R G B ramps with some grain.
inline std::vector<uint8_t> ramps(int width, int height) {
  std::vector<uint8_t> pixels;
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c) pixels.push_back(uint8_t(x * (c + 3) + y * (5 - c) + (x * y + c) % 7));
  return pixels;
}

inline Bytes jpeg(int width, int height, bool progressive = false, int components = 3) {
  jpeg_compress_struct info{};
  jpeg_error_mgr errors{};
  info.err = jpeg_std_error(&errors);
  jpeg_create_compress(&info);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&info, &buffer, &size);
  info.image_width = JDIMENSION(width);
  info.image_height = JDIMENSION(height);
  info.input_components = components;
  info.in_color_space = components == 3 ? JCS_RGB : components == 1 ? JCS_GRAYSCALE : JCS_UNKNOWN;
  jpeg_set_defaults(&info);
  if (progressive) jpeg_simple_progression(&info);
  jpeg_start_compress(&info, TRUE);
  std::vector<uint8_t> pixels = ramps(width, height);
  for (int y = 0; y < height; ++y) {
    JSAMPROW row = pixels.data() + std::size_t(components) * y * width;
    jpeg_write_scanlines(&info, &row, 1);
  }
  jpeg_finish_compress(&info);
  jpeg_destroy_compress(&info);
  Bytes bytes(reinterpret_cast<char*>(buffer), size);
  std::free(buffer);
  return bytes;
}

/// Where the frame header's marker stands.
inline std::size_t frame_of(const Bytes& jpeg_bytes) {
  for (std::size_t at = 2; at + 4 < jpeg_bytes.size();) {
    const auto marker = uint8_t(jpeg_bytes[at + 1]);
    if (marker == 0xc0 || marker == 0xc2) return at;
    at += 2 + 256u * uint8_t(jpeg_bytes[at + 2]) + uint8_t(jpeg_bytes[at + 3]);
  }
  std::abort();
}

inline Bytes with_size(Bytes jpeg_bytes, int width, int height) {
  return jpeg_bytes.replace(frame_of(jpeg_bytes) + 5, 4, big(uint32_t(height), 2) + big(uint32_t(width), 2));
}

inline Bytes webp_of(const std::vector<uint8_t>& pixels, int width, int height, bool lossless) {
  uint8_t* buffer = nullptr;
  const std::size_t size = lossless ? WebPEncodeLosslessRGB(pixels.data(), width, height, 3 * width, &buffer)
                                    : WebPEncodeRGB(pixels.data(), width, height, 3 * width, 80, &buffer);
  Bytes bytes(reinterpret_cast<char*>(buffer), size);
  WebPFree(buffer);
  return bytes;
}

inline Bytes webp(int width, int height, bool lossless = false) {
  return webp_of(ramps(width, height), width, height, lossless);
}

inline Bytes chunk(const Bytes& type, const Bytes& data) {
  const Bytes body = type + data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), uInt(body.size()));
  return big(uint32_t(data.size()), 4) + body + big(uint32_t(crc), 4);
}

inline Bytes packed(const Bytes& data) {
  Bytes out(compressBound(data.size()), '\0');
  uLongf size = out.size();
  compress(reinterpret_cast<Bytef*>(out.data()), &size, reinterpret_cast<const Bytef*>(data.data()),
           data.size());
  return out.substr(0, size);
}

inline const Bytes png_signature = "\x89PNG\r\n\x1a\n";

inline Bytes png_header(uint32_t width, uint32_t height, int depth, int color, int interlace = 0) {
  return chunk("IHDR",
               big(width, 4) + big(height, 4) + Bytes{char(depth), char(color), 0, 0, char(interlace)});
}

/// `rows` are whole rows, each with its filter byte before it.
inline Bytes png(uint32_t width, uint32_t height, int depth, int color, const Bytes& rows,
                 const Bytes& chunks = "") {
  return png_signature + png_header(width, height, depth, color) + chunks + chunk("IDAT", packed(rows)) +
         chunk("IEND", "");
}

/// 8-bit R G B of ramps().
inline Bytes png(int width, int height) {
  const std::vector<uint8_t> pixels = ramps(width, height);
  Bytes rows;
  for (int y = 0; y < height; ++y)
    rows += Bytes(1, '\0') + Bytes(reinterpret_cast<const char*>(pixels.data()) + 3 * y * width, 3 * width);
  return png(width, height, 8, 2, rows);
}

}  // namespace unisim::test
