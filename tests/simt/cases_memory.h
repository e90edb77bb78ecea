#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <vector>

namespace simt {

/// Device memory for the emulated device's own tests.
template <class T>
class Memory {
 public:
  explicit Memory(std::size_t count) : count_(count) {
    void* memory = nullptr;
    cudaMalloc(&memory, count * sizeof(T));
    data_ = static_cast<T*>(memory);
  }
  Memory(std::size_t count, T value) : Memory(std::vector<T>(count, value)) {}
  explicit Memory(const std::vector<T>& values) : Memory(values.size()) {
    cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { cudaFree(data_); }

  T* data() const { return data_; }
  std::vector<T> host() const {
    std::vector<T> values(count_);
    cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost);
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

}  // namespace simt
