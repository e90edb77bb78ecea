#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <functional>
#include <string>

/// The emulated runtime's inner door: what launch.cpp needs of it.
namespace simt {

void note(std::string call, const void* stream = nullptr);
void set_error(cudaError_t error);
/// Appends work to a stream, or to what the stream captures.
void enqueue(void* stream, std::function<void()> work);
/// Dynamic shared memory that the kernel may ask for: 48 KiB, or what cudaFuncSetAttribute raised it to.
std::size_t allowed_shared(const void* function);

}  // namespace simt
