#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "kernels.h"
#include "support.h"

/// Where the kernels of a test run: a CUDA device, emulated (rounds_emulated.cpp) or real
/// (rounds_device.cpp).
namespace unisim::test {

using Place = Cuda;
inline Place place() { return {}; }
inline constexpr bool on_cuda = true;

/// Device memory of exactly this size; emulated, it is poisoned and every access is watched.
template <class T>
class Buffer {
 public:
  explicit Buffer(int64_t count) : count_(count) {
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, static_cast<std::size_t>(count) * sizeof(T)), "Buffer");
    data_ = static_cast<T*>(memory);
  }
  explicit Buffer(const std::vector<T>& values) : Buffer(static_cast<int64_t>(values.size())) {
    check_cuda(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "Buffer");
  }
  Buffer(Buffer&& other) noexcept : data_(std::exchange(other.data_, nullptr)), count_(other.count_) {}
  ~Buffer() { cudaFree(data_); }

  T* data() { return data_; }
  const T* data() const { return data_; }
  int64_t size() const { return count_; }
  std::vector<T> host() const {
    std::vector<T> values(static_cast<std::size_t>(count_));
    check_cuda(cudaMemcpy(values.data(), data_, values.size() * sizeof(T), cudaMemcpyDeviceToHost),
               "Buffer.host");
    return values;
  }

 private:
  T* data_ = nullptr;
  int64_t count_ = 0;
};

/// The seeds to run with: emulated 0 to 7, or 0 to UNISIM_SEEDS - 1; one on a device.
std::vector<uint64_t> rounds();
void begin_round(uint64_t seed);
/// What the watched device found since the round began: "" is well.
std::string end_round();

/// Runs f once per round of the place; anything found fails the test.
template <class F>
void each_round(F&& f) {
  for (const uint64_t seed : rounds()) {
    begin_round(seed);
    f();
    const std::string found = end_round();
    INFO("seed " << seed);
    CHECK(found == "");
  }
}

}  // namespace unisim::test
