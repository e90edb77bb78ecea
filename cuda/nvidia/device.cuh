#pragma once

// The device vocabulary for nvcc: every launch, shared-memory declaration and line of inline PTX of the project.

#include <cuda_runtime.h>

#include <cstddef>

/// A shared array of a fixed size, as a name in the kernel's scope.
#define SHARED_ARRAY(type, name, size) __shared__ type name[size]

namespace unisim {

/// kernel<<<grid, block, shared_bytes, stream>>>(args...)
template <class... Params, class... Args>
void launch(void (*kernel)(Params...), dim3 grid, dim3 block, std::size_t shared_bytes, void* stream,
            Args... args) {
  kernel<<<grid, block, shared_bytes, static_cast<cudaStream_t>(stream)>>>(static_cast<Params>(args)...);
}

}  // namespace unisim
