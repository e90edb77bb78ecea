#include <cuda_runtime_api.h>

#include "findings.h"

namespace unisim::bench {

bool emulated() { return false; }

std::string findings() {
  const cudaError_t status = cudaDeviceSynchronize();
  return status == cudaSuccess ? "" : cudaGetErrorString(status);
}

}  // namespace unisim::bench
