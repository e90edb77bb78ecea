#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "place.h"

/// Bytes between a place's memory and the host's, in the order of the place's work.
namespace unisim {

/// On Cuda the call may return before the copy is done: host memory that is pinned (place_stream.h) must not
/// be touched until then; other memory has been read, or written, when it returns.
inline void copy_in(Cpu, void* to, const void* host, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, host, bytes);
}
void copy_in(Cuda, void* to, const void* host, std::size_t bytes);
inline void copy_out(Cpu, void* host, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(host, from, bytes);
}
void copy_out(Cuda, void* host, const void* from, std::size_t bytes);

/// `rows` rows of `width` numbers, each so many numbers behind the one before, within the place's memory; to
/// and from share none.
template <class T>
void copy_rows_within(Cpu, T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t width,
                      int64_t rows) {
  for (int64_t row = 0; row < rows; ++row)
    std::memcpy(to + row * to_stride, from + row * from_stride, static_cast<std::size_t>(width) * sizeof(T));
}
void copy_bytes_within(Cuda, void* to, std::size_t to_pitch, const void* from, std::size_t from_pitch,
                       std::size_t width, std::size_t rows);
template <class T>
void copy_rows_within(Cuda place, T* to, int64_t to_stride, const T* from, int64_t from_stride, int64_t width,
                      int64_t rows) {
  const auto bytes = [](int64_t count) { return static_cast<std::size_t>(count) * sizeof(T); };
  copy_bytes_within(place, to, bytes(to_stride), from, bytes(from_stride), bytes(width),
                    static_cast<std::size_t>(rows));
}

/// Waits for what is queued on the place.
inline void synchronize(Cpu) {}
void synchronize(Cuda);

/// copy_out, waited for.
template <class Place>
void copy_to_host(Place place, void* to, const void* from, std::size_t bytes) {
  copy_out(place, to, from, bytes);
  synchronize(place);
}

/// Zeros.
inline void fill_zero(Cpu, void* memory, std::size_t bytes) {
  if (bytes > 0) std::memset(memory, 0, bytes);
}
void fill_zero(Cuda, void* memory, std::size_t bytes);

}  // namespace unisim
