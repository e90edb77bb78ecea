// unit_rows: rows divided by their lengths, as a filter reads them.
//
// The trap: a zero row must stay zero, never 0/0. Bytes: width * (sizeof(T) + sizeof(U)) and 8 a row.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ---------------------------------------------------------------------------------------

constexpr unsigned kWarpsPerBlock = 8;

/// N numbers in one access.
template <class T, int N>
struct alignas(N * sizeof(T)) Several {
  T v[N];
};

/// One warp a row, 16 bytes of it a lane at a time.
template <class T, class U>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock)
    divide_rows(Rows<const T> x, const double* squares, Rows<U> out, bool aligned) {
  constexpr int kEach = kPack<T>;
  const int64_t i = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (i >= x.rows) return;
  const T* const from = x.row(i);
  U* const to = out.row(i);
  const double square = squares[i];
  const double scale = square == 0 ? 0 : __ddiv_rn(1, __dsqrt_rn(square));
  const auto unit = [&](T value) {
    return stored<U>(static_cast<float>(__dmul_rn(static_cast<double>(value), scale)));
  };
  for (int64_t k = threadIdx.x % kWarp * kEach; k < x.width; k += kWarp * kEach) {
    if (aligned && x.width - k >= kEach) {
      const auto values = load_as<Several<T, kEach>>(from + k);
      Several<U, kEach> units;
#pragma unroll
      for (int j = 0; j < kEach; ++j) units.v[j] = unit(values.v[j]);
      store_as(to + k, units);
    } else {
      for (int64_t j = k; j < k + kEach && j < x.width; ++j) to[j] = unit(from[j]);
    }
  }
}

}  // namespace

// ---- launcher ------------------------------------------------------------------------------------------

template <class T, class U>
void unit_rows(Cuda place, Rows<const T> x, const double* squares, Rows<U> out) {
  if (x.rows == 0) return;
  const auto blocks = static_cast<unsigned>(ceil_div(x.rows, kWarpsPerBlock));
  constexpr uintptr_t kStored = kPack<T> * sizeof(U);
  const bool aligned = aligned_rows(x) && reinterpret_cast<uintptr_t>(out.data) % kStored == 0 &&
                       out.stride * sizeof(U) % kStored == 0;
  launch(divide_rows<T, U>, dim3(blocks), dim3(kWarp * kWarpsPerBlock), 0, place.stream, x, squares, out,
         aligned);
  check_cuda(cudaGetLastError(), "unit_rows");
}

template void unit_rows(Cuda, Rows<const float>, const double*, Rows<float>);
template void unit_rows(Cuda, Rows<const float>, const double*, Rows<bf16>);
template void unit_rows(Cuda, Rows<const float>, const double*, Rows<f16>);
template void unit_rows(Cuda, Rows<const double>, const double*, Rows<float>);
template void unit_rows(Cuda, Rows<const double>, const double*, Rows<bf16>);
template void unit_rows(Cuda, Rows<const double>, const double*, Rows<f16>);

}  // namespace unisim
