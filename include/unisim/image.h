#pragma once

#include <unisim/error.h>
#include <unisim/export.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

/// Images: reading files, Pillow-exact resizing. Everything here is 8-bit RGB, rows top to bottom.
namespace unisim {

/// pixels is [height, width, 3], R G B. warnings says what was read with a loss or a doubt (16-bit samples
/// clipped, extraneous bytes skipped), as a person would want to be told.
struct Image {
  int32_t width = 0;
  int32_t height = 0;
  std::vector<uint8_t> pixels;
  std::vector<std::string> warnings = {};
};

struct ReadOptions {
  int64_t max_pixels = 178'956'970;  ///< Pillow's limit for an error, 2 x 89,478,485
  int64_t max_file_bytes = int64_t{512} << 20;
  bool apply_orientation = false;  ///< turn the picture as its EXIF tag 0x0112 says
};

/// Reads JPEG (baseline, progressive, grey, CMYK, YCCK), PNG (1 to 16 bit, palette, alpha, interlaced; first
/// frame) or WebP (first frame), told apart by content, and converts as Pillow's convert("RGB") does: alpha
/// is dropped, 16-bit samples are clipped or cut as Pillow does and warned of. The pixels are those of
/// Pillow.
///
/// Throws filesystem_error (cannot be read), DataError (broken, truncated, too large, 10 s of decoding),
/// Unsupported (a format that we know and do not read: GIF, BMP, TIFF, ...; Python opens those with Pillow).
UNISIM_API Image read_image(const std::filesystem::path& file, const ReadOptions& options = {});

/// The same of bytes in memory; name stands in messages.
UNISIM_API Image decode_image(std::span<const std::byte> bytes, const std::string& name,
                              const ReadOptions& options = {});

/// A file that could not be read or embedded, and why.
struct Failure {
  std::filesystem::path file;
  std::string error;
  bool unsupported = false;  ///< the error was an Unsupported: another library may read the file
};

/// Reads all files on up to `threads` threads (0: one a core); throws the error of the first bad one.
/// progress(files done, files) is called on the caller's thread, between the files that it reads itself.
UNISIM_API std::vector<Image> read_images(std::span<const std::filesystem::path> files,
                                          const ReadOptions& options = {}, int threads = 0,
                                          const Progress& progress = {});

/// What could be read, in order, with the index into `files` of each; and what could not.
struct ImagesRead {
  std::vector<Image> images;
  std::vector<int64_t> index;
  std::vector<Failure> failures;
};

/// As read_images, but one bad file never ends the run. A failure is any DataError or filesystem_error.
UNISIM_API ImagesRead read_images_skipping(std::span<const std::filesystem::path> files,
                                           const ReadOptions& options = {}, int threads = 0,
                                           const Progress& progress = {});

/// Pillow's filters. Box, Bilinear, Hamming, Bicubic (a = -0.5) and Lanczos (3 lobes) are antialiased.
enum class Resample { Nearest, Box, Bilinear, Hamming, Bicubic, Lanczos };

UNISIM_API Resample resample_from_name(std::string_view name);  ///< "nearest", "box", ...
/// Pillow's number of a filter (0 nearest, 1 lanczos, 2 bilinear, 3 bicubic, 4 box, 5 hamming).
UNISIM_API Resample resample_from_pillow(int64_t number);

/// Image.resize((width, height), resample) of Pillow, bit for bit: two passes of 8-bit fixed point.
UNISIM_API Image resize(const Image& image, int32_t width, int32_t height,
                        Resample resample = Resample::Bicubic);

/// The [height, width] window in the middle. Where the image is smaller, zeros stand around it, placed as
/// transformers' center_crop does: top = ceil of half the padding.
UNISIM_API Image center_crop(const Image& image, int32_t width, int32_t height);

}  // namespace unisim
