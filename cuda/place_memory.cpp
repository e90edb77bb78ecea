// A CUDA device's memory as a place's.

#include "place_memory.h"

#include <cuda_runtime_api.h>

#include "check.h"

namespace unisim {

void* allocate(Cuda, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it has been told: no later check shall meet it
    std::size_t free = 0, total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "allocate");
    throw OutOfMemory("the CUDA device", bytes, free);
  }
  check_cuda(status, "allocate");
  return memory;
}

void release(Cuda, void* memory) noexcept {
  if (cudaFree(memory) != cudaSuccess) cudaGetLastError();  // nobody to tell
}

}  // namespace unisim
