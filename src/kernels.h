#pragma once

#include "views.h"

#include <cstdint>

/// The contract of every custom kernel: plain pointers and sizes; no torch, no CUDA, no Eigen.
///
/// A kernel with an implementation on each place is an overload set of two. Kernels compute in float (pairs in
/// double), never allocate, synchronise or check shapes: the caller has done that once, at the door.
namespace unisim {

struct Cpu {};
struct Cuda {
  void* stream = nullptr;  ///< a cudaStream_t
};

/// out[i] = x[i] / |x[i]|, rows of float; a zero row stays zero. Sets *flag to 1 if any row is zero or not finite
/// (else leaves it). In place is allowed. On Cuda, x, out and flag are device pointers.
void l2_normalize(Cpu, Rows<const float> x, Rows<float> out, int32_t* flag);
void l2_normalize(Cuda, Rows<const float> x, Rows<float> out, int32_t* flag);

}  // namespace unisim
