#pragma once

#include "cases_memory.h"
#include "device.cuh"

/// How most of the cases are launched.
namespace simt {

using unisim::launch_as;

/// A kernel over 64 zeros.
inline void on_64(void (*kernel)(int*), unsigned grid = 1, unsigned shared = 0, unsigned threads = 64) {
  Memory<int> out(64, 0);
  launch(kernel, dim3(grid), dim3(threads), shared, nullptr, out.data());
}
/// A kernel of one warp that reads 128 ones and writes 32 numbers.
inline void copying(void (*kernel)(const int*, int*)) {
  Memory<int> in(128, 1), out(32, 0);
  launch(kernel, dim3(1), dim3(32), 0, nullptr, in.data(), out.data());
}

}  // namespace simt
