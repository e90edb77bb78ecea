#include "image_format.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace unisim {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t at;
  std::string_view bytes;
  FoundFormat found;
};

constexpr FoundFormat other(std::string_view name) { return {ImageFormat::Other, name}; }
constexpr FoundFormat no_image(std::string_view name) { return {ImageFormat::NoImage, name}; }

constexpr Signature signatures[] = {
    {0, "\xff\xd8\xff"sv, {ImageFormat::Jpeg, "JPEG"}},
    {0, "\x89PNG\r\n\x1a\n"sv, {ImageFormat::Png, "PNG"}},
    {8, "WEBP"sv, {ImageFormat::WebP, "WebP"}},
    {0, "GIF87a"sv, other("GIF")},
    {0, "GIF89a"sv, other("GIF")},
    {0, "BM"sv, other("BMP")},
    {0, "II*\0"sv, other("TIFF")},
    {0, "MM\0*"sv, other("TIFF")},
    {0, "II+\0"sv, other("BigTIFF")},
    {0, "MM\0+"sv, other("BigTIFF")},
    {4, "ftypavif"sv, other("AVIF")},
    {4, "ftypavis"sv, other("AVIF")},
    {4, "ftyphei"sv, other("HEIC")},
    {4, "ftyphev"sv, other("HEIC")},
    {4, "ftypmif1"sv, other("HEIF")},
    {4, "ftypmsf1"sv, other("HEIF")},
    {0, "\xff\x0a"sv, other("JPEG XL")},
    {0, "\0\0\0\x0cJXL \r\n\x87\n"sv, other("JPEG XL")},
    {0, "\0\0\0\x0cjP  \r\n\x87\n"sv, other("JPEG 2000")},
    {0, "\xff\x4f\xff\x51"sv, other("JPEG 2000")},
    {0, "\0\0\1\0"sv, other("ICO")},
    {0, "\0\0\2\0"sv, other("CUR")},
    {0, "8BPS"sv, other("Photoshop")},
    {0, "DDS "sv, other("DDS")},
    {0, "qoif"sv, other("QOI")},
    {0, "icns"sv, other("ICNS")},
    {0, "/* XPM */"sv, other("XPM")},
    {0, "DanM"sv, other("MSP")},
    {0, "LinS"sv, other("MSP")},
    {0, "\x0a\x05\x01"sv, other("PCX")},
    {0, "\x0a\x03\x01"sv, other("PCX")},
    {0, "\x0a\x02\x01"sv, other("PCX")},
    {0, "\x0a\x00\x01"sv, other("PCX")},
    {0, "%!PS"sv, other("EPS")},
    {0, "\xc5\xd0\xd3\xc6"sv, other("EPS")},
    {0, "%PDF"sv, other("PDF")},
    {0, "SIMPLE  ="sv, other("FITS")},
    {0, "\x01\xda"sv, other("SGI")},
    {0, "\x59\xa6\x6a\x95"sv, other("Sun raster")},
    {0, "\x76\x2f\x31\x01"sv, other("OpenEXR")},
    {0, "#?RADIANCE"sv, other("Radiance HDR")},
    {0, "gimp xcf"sv, other("XCF")},
    {0, "\xd7\xcd\xc6\x9a"sv, other("WMF")},
    {0, "\x8aMNG\r\n\x1a\n"sv, other("MNG")},
    {0, "\x8bJNG\r\n\x1a\n"sv, other("JNG")},
    {0, "FWS"sv, no_image("a Flash film")},
    {0, "PK\3\4"sv, no_image("a zip archive (or a torch file)")},
    {0, "\x1f\x8b"sv, no_image("a gzip file")},
    {0, "\x93NUMPY"sv, no_image("a numpy file")},
    {0, "\x89HDF\r\n\x1a\n"sv, no_image("an HDF5 file")},
    {0,
     "\x7f"
     "ELF"sv,
     no_image("a program")},
};

bool holds(std::string_view text, const Signature& signature) {
  return text.size() >= signature.at && text.substr(signature.at).starts_with(signature.bytes);
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

/// P1 to P7, Pf, PF and white space behind: the portable maps.
bool is_portable_map(std::string_view text) {
  return text.size() > 2 && text[0] == 'P' && "1234567fFy"sv.find(text[1]) != std::string_view::npos &&
         " \t\r\n#"sv.find(text[2]) != std::string_view::npos;
}

/// A TGA file has no signature; its header's small numbers are all there is to go by.
bool is_targa(std::string_view text) {
  constexpr std::array<char, 6> kinds{1, 2, 3, 9, 10, 11};
  constexpr std::array<char, 5> depths{1, 8, 16, 24, 32};
  return text.size() >= 18 && (text[1] == 0 || text[1] == 1) &&
         std::ranges::find(kinds, text[2]) != kinds.end() &&
         std::ranges::find(depths, text[16]) != depths.end() && (text[12] != 0 || text[13] != 0) &&
         (text[14] != 0 || text[15] != 0);
}

FoundFormat markup_or_text(std::string_view text) {
  std::string start(text.substr(0, 1024));
  std::ranges::transform(start, start.begin(), lower);
  const std::size_t at = start.find_first_not_of("\xef\xbb\xbf \t\r\n");
  const std::string_view trimmed =
      at == std::string::npos ? std::string_view() : std::string_view(start).substr(at);
  if (trimmed.starts_with("<svg") ||
      (trimmed.starts_with("<?xml") && trimmed.find("<svg") != std::string_view::npos))
    return other("SVG");
  if (trimmed.starts_with("<!doctype html") || trimmed.starts_with("<html")) return no_image("an HTML page");
  const auto printable = [](char c) {
    return c == '\t' || c == '\n' || c == '\r' || static_cast<uint8_t>(c) >= ' ';
  };
  if (std::ranges::all_of(start, printable)) return no_image("a text");
  return {};
}

}  // namespace

FoundFormat image_format_of(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.empty()) return no_image("an empty file");
  for (const Signature& signature : signatures)
    if (holds(text, signature) && (signature.at != 8 || text.starts_with("RIFF"))) return signature.found;
  if (is_portable_map(text)) return other("PPM");
  if (text.size() > 1 && text[0] == '\x80' && text[1] >= 2 && text[1] <= 5) return no_image("a pickle");
  if (is_targa(text)) return other("TGA");
  return markup_or_text(text);
}

}  // namespace unisim
