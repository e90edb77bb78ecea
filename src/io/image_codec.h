#pragma once

#include <unisim/image.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <span>
#include <string>

/// The three codecs behind decode_image, and what they share. Each reads its header before it allocates.
namespace unisim {

/// What a decoder is given. The name stands in messages.
struct EncodedImage {
  std::span<const std::byte> bytes;
  const std::string& name;
  const ReadOptions& options;

  const uint8_t* data() const { return reinterpret_cast<const uint8_t*>(bytes.data()); }
  std::size_t size() const { return bytes.size(); }
};

Image decode_jpeg(const EncodedImage& file);
Image decode_png(const EncodedImage& file);
Image decode_webp(const EncodedImage& file);

/// An image of this size, its pixels zero, or DataError where the header claims nothing or more than
/// max_pixels.
Image sized_image(const EncodedImage& file, int64_t width, int64_t height);

/// Ends the decoding of a file that would keep a core busy for ever. Measures the thread's processor time, so
/// that a loaded machine does not refuse good files. Plain data: decoders hold it across longjmp.
struct Watchdog {
  double until = 0;
};
inline std::atomic<double> decoding_seconds{10};  ///< tests lower it

inline double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

inline Watchdog started_watchdog() { return {thread_seconds() + decoding_seconds}; }
inline bool expired(const Watchdog& watchdog) { return thread_seconds() > watchdog.until; }

/// 0xAABB.. of `count` bytes, big-endian.
inline uint32_t big_endian(const uint8_t* p, int count) {
  uint32_t value = 0;
  for (int i = 0; i < count; ++i) value = value << 8 | p[i];
  return value;
}

inline uint32_t little_endian(const uint8_t* p, int count) {
  uint32_t value = 0;
  for (int i = count; i-- > 0;) value = value << 8 | p[i];
  return value;
}

}  // namespace unisim
