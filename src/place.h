#pragma once

namespace unisim {

/// Where a kernel runs: a kernel with an implementation on each place is an overload set of two.
struct Cpu {};
struct Cuda {
  void* stream = nullptr;  ///< a cudaStream_t
};

}  // namespace unisim
