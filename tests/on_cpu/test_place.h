#pragma once

#include <cstdint>
#include <vector>

#include "kernels.h"

/// Where the kernels of a test run: here the CPU. tests/on_cuda/test_place.h has the same names for a device; the include
/// path chooses.
namespace unisim::test {

using Place = Cpu;
inline Place place() { return {}; }
inline constexpr bool on_cuda = false;

/// Memory of the place, of exactly this size.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count) : values_(static_cast<std::size_t>(count)) {}
  explicit Buffer(const std::vector<T>& values) : values_(values) {}

  T* data() { return values_.data(); }
  const T* data() const { return values_.data(); }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }
  std::vector<T> host() const { return values_; }

 private:
  std::vector<T> values_;
};

/// Runs f once per round of the place.
template <class F>
void each_round(F&& f) {
  f();
}

}  // namespace unisim::test
