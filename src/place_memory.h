#pragma once

#include <unisim/error.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <utility>

#include "place.h"
#include "place_copy.h"

/// Memory of a place, of our own: no torch.
namespace unisim {

/// A place has no room. The caller may ask for less.
class OutOfMemory : public std::runtime_error {
 public:
  OutOfMemory(const char* place, std::size_t bytes_asked, std::size_t bytes_free)
      : std::runtime_error(text_of("[allocate] ", place, ": asked for ", bytes_asked, " bytes of memory, ",
                                   bytes_free, " are free")),
        asked(bytes_asked),
        free(bytes_free) {}

  std::size_t asked, free;  ///< bytes
};

/// Aligned to 64 bytes at least, not initialised; null for no bytes. Throws OutOfMemory.
void* allocate(Cpu, std::size_t bytes);
void* allocate(Cuda, std::size_t bytes);
/// Null does nothing. On Cuda it waits for the whole device, so it is nothing for the middle of a run.
void release(Cpu, void* memory) noexcept;
void release(Cuda, void* memory) noexcept;

/// A block of a place's memory that is released with its owner.
template <class Place>
class Memory {
 public:
  Memory() = default;
  Memory(Place place, std::size_t bytes) : data_(allocate(place, bytes)), bytes_(bytes) {}
  Memory(Memory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Memory& operator=(Memory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Memory() { release(Place{}, data_); }

  void* data() const { return data_; }
  /// As many T as begin at a byte.
  template <class T>
  T* at(std::size_t byte) const {
    return reinterpret_cast<T*>(static_cast<char*>(data_) + byte);
  }
  std::size_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace unisim
