#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "io/exif.h"
#include "io/file.h"
#include "io/image_codec.h"
#include "io/image_format.h"
#include "resize.h"

namespace unisim {
namespace {

Image decoded(const EncodedImage& file) {
  const FoundFormat found = image_format_of(file.bytes);
  switch (found.format) {
    case ImageFormat::Jpeg:
      return decode_jpeg(file);
    case ImageFormat::Png:
      return decode_png(file);
    case ImageFormat::WebP:
      return decode_webp(file);
    case ImageFormat::Other:
      throw Unsupported(file.name,
                        text_of("an image in the format ", found.name, "; JPEG, PNG and WebP are read"));
    case ImageFormat::NoImage:
      throw DataError(file.name, text_of("not an image but ", found.name));
    case ImageFormat::Unknown:
      break;
  }
  throw DataError(file.name, "not an image in any format that we know; JPEG, PNG and WebP are read");
}

/// Calls work(i) for i < count on up to `threads` threads (0: one a core), of which the caller's is one:
/// there progress is told how many are done. What it throws ends the run, once the others have done what they
/// are at. work must not throw.
template <class Work>
void on_threads(std::size_t count, int threads, const Progress& progress, const Work& work) {
  require(threads >= 0, "[read_images] threads must be 0 or more, not ", threads);
  const std::size_t wanted =
      threads > 0 ? static_cast<std::size_t>(threads) : std::thread::hardware_concurrency();
  std::atomic<std::size_t> next = 0, done = 0;
  const auto work_on_one = [&] {
    const std::size_t i = next++;
    if (i >= count) return false;
    work(i);
    ++done;
    return true;
  };
  const auto tell = [&](std::size_t known) {
    if (progress) progress(static_cast<int64_t>(known), static_cast<int64_t>(count));
  };
  std::vector<std::jthread> pool;
  try {
    while (pool.size() + 1 < std::min(wanted, count))
      pool.emplace_back([&] {
        while (work_on_one()) continue;
      });
  } catch (const std::system_error&) {
    // No more threads to be had: those that started, and this one, do the work.
  }
  try {
    while (work_on_one())
      if (const std::size_t known = done; known < count) tell(known);
  } catch (...) {
    next = count;
    throw;
  }
  pool.clear();
  if (count > 0) tell(count);
}

}  // namespace

Image sized_image(const EncodedImage& file, int64_t width, int64_t height) {
  require_data(width > 0 && height > 0, file.name, "an image of ", width, " x ", height, " pixels");
  require_data(height <= file.options.max_pixels / width, file.name, "an image of ", width, " x ", height,
               " = ", width * height, " pixels; the limit is ", file.options.max_pixels, " (max_pixels)");
  Image image{static_cast<int32_t>(width), static_cast<int32_t>(height), {}, {}};
  image.pixels.resize(std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  return image;
}

Image decode_image(std::span<const std::byte> bytes, const std::string& name, const ReadOptions& options) {
  require(options.max_pixels > 0 && options.max_pixels <= int64_t{1} << 31,
          "[read_image] max_pixels must be in 1..2^31, not ", options.max_pixels);
  require_data(static_cast<int64_t>(bytes.size()) <= options.max_file_bytes, name, "a file of ", bytes.size(),
               " bytes; the limit is ", options.max_file_bytes, " (max_file_bytes)");
  Image image = decoded({bytes, name, options});
  return options.apply_orientation ? oriented(std::move(image), exif_orientation(bytes)) : image;
}

Image read_image(const std::filesystem::path& file, const ReadOptions& options) {
  return decode_image(read_file(file, options.max_file_bytes), file.string(), options);
}

std::vector<Image> read_images(std::span<const std::filesystem::path> files, const ReadOptions& options,
                               int threads, const Progress& progress) {
  std::vector<Image> images(files.size());
  std::mutex mutex;
  std::size_t first_bad = files.size();
  std::exception_ptr error;
  on_threads(files.size(), threads, progress, [&](std::size_t i) {
    try {
      {
        const std::lock_guard lock(mutex);
        if (i > first_bad) return;  // only an earlier file could still matter
      }
      images[i] = read_image(files[i], options);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (i < first_bad) {
        first_bad = i;
        error = std::current_exception();
      }
    }
  });
  if (error) std::rethrow_exception(error);
  return images;
}

ImagesRead read_images_skipping(std::span<const std::filesystem::path> files, const ReadOptions& options,
                                int threads, const Progress& progress) {
  std::vector<Image> images(files.size());
  std::vector<Failure> failures(files.size());
  std::mutex mutex;
  std::exception_ptr fatal;  // memory, the device, the caller's fault: no file's failure
  on_threads(files.size(), threads, progress, [&](std::size_t i) {
    try {
      try {
        images[i] = read_image(files[i], options);
      } catch (const Unsupported& error) {
        failures[i] = {files[i], error.what(), true};
      } catch (const DataError& error) {
        failures[i] = {files[i], error.what(), false};
      } catch (const std::filesystem::filesystem_error& error) {
        failures[i] = {files[i], error.what(), false};
      }
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!fatal) fatal = std::current_exception();
    }
  });
  if (fatal) std::rethrow_exception(fatal);
  ImagesRead read;
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (!failures[i].error.empty()) {
      read.failures.push_back(std::move(failures[i]));
      continue;
    }
    read.images.push_back(std::move(images[i]));
    read.index.push_back(static_cast<int64_t>(i));
  }
  return read;
}

Image center_crop(const Image& image, int32_t width, int32_t height) {
  require_whole(image, "center_crop");
  require(width > 0 && height > 0, "[center_crop] to an empty size: ", width, " x ", height);
  require(int64_t{width} * height <= int64_t{1} << 31, "[center_crop] to ", width, " x ", height,
          ", more than 2^31 pixels");
  Image out{width, height, {}, image.warnings};
  out.pixels.resize(std::size_t{3} * static_cast<std::size_t>(width) * static_cast<std::size_t>(height));
  // Of a picture padded to at least the window: where it stands in it, then where the window begins.
  const auto start = [](int32_t size, int32_t wanted) {
    return wanted > size ? -(wanted - size + 1) / 2 : (size - wanted) / 2;
  };
  const int32_t left = start(image.width, width), top = start(image.height, height);
  const int32_t first = std::max(0, left), last = std::min(image.width, left + width);
  for (int32_t y = std::max(0, top); y < std::min(image.height, top + height); ++y)
    std::memcpy(out.pixels.data() + 3 * (int64_t{y - top} * width + first - left),
                image.pixels.data() + 3 * (int64_t{y} * image.width + first),
                3 * static_cast<std::size_t>(last - first));
  return out;
}

}  // namespace unisim
