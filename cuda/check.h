#pragma once

#include <cuda_runtime_api.h>

#include <stdexcept>
#include <string>

namespace unisim {

/// Throws std::runtime_error naming the call and the CUDA error, and clears the pending error.
inline void check_cuda(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  cudaGetLastError();
  throw std::runtime_error(std::string("[") + call + "] " + cudaGetErrorName(status) + ": " +
                           cudaGetErrorString(status));
}

}  // namespace unisim
