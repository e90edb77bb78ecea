// pair_rescore: the cosine in double of the pairs that a filter let through; squared_lengths in the same
// order.
//
// The trap: this decides, so it must give the bits of src/cpu/cosine.cpp. A group of eight lanes holds its
// eight sums, term k in lane k mod 8, and nothing is fused. Eight lanes read 32 bytes of floats at a time:
// one sector. Bytes: pairs x 2 x width x sizeof(T), 8 of the pair and 8 of the result each.

#include "check.h"
#include "kernels.h"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ---------------------------------------------------------------------------------------

constexpr unsigned kBlock = 256;
constexpr unsigned kSums = 8;

/// ((0+4)+(2+6))+((1+5)+(3+7)) of the group's sums, the same in each of its lanes.
__device__ inline double folded(double sum) {
  for (unsigned step = kSums / 2; step > 0; step /= 2)
    sum = __dadd_rn(sum, __shfl_xor_sync(kAllLanes, sum, step));
  return sum;
}

__device__ inline double plus_product(double sum, double x, double y) {
  return __dadd_rn(sum, __dmul_rn(x, y));
}

/// The definition of cosine_of.
__device__ inline double cosine_of_sums(double dot, double x_square, double y_square) {
  if (x_square == 0 || y_square == 0) return 0;
  const double cosine = __ddiv_rn(dot, __dsqrt_rn(__dmul_rn(x_square, y_square)));
  return cosine < -1 ? -1 : 1 < cosine ? 1 : cosine;
}

/// Groups without a pair run along with no terms, since all lanes of a warp fold together.
template <class T>
__global__ void __launch_bounds__(kBlock)
    rescore(Rows<const T> x, const RowPair* pairs, int64_t count, double* out) {
  const int64_t p = (int64_t{blockIdx.x} * kBlock + threadIdx.x) / kSums;
  const bool given = p < count;
  const RowPair pair = given ? load_as<RowPair>(pairs + p) : RowPair{};
  const T* const a = x.row(pair.i);
  const T* const b = x.row(pair.j);
  const int64_t width = given ? x.width : 0;
  double dot = 0, a_square = 0, b_square = 0;
#pragma unroll 4
  for (int64_t k = threadIdx.x % kSums; k < width; k += kSums) {
    const double s = a[k], t = b[k];
    dot = plus_product(dot, s, t);
    a_square = plus_product(a_square, s, s);
    b_square = plus_product(b_square, t, t);
  }
  const double cosine = cosine_of_sums(folded(dot), folded(a_square), folded(b_square));
  if (given && threadIdx.x % kSums == 0) out[p] = cosine;
}

template <class T>
__global__ void __launch_bounds__(kBlock) square_rows(Rows<const T> x, double* squares) {
  const int64_t i = (int64_t{blockIdx.x} * kBlock + threadIdx.x) / kSums;
  const bool given = i < x.rows;
  const T* const row = x.row(given ? i : 0);
  const int64_t width = given ? x.width : 0;
  double sum = 0;
#pragma unroll 4
  for (int64_t k = threadIdx.x % kSums; k < width; k += kSums) {
    const double s = row[k];
    sum = plus_product(sum, s, s);
  }
  sum = folded(sum);
  if (given && threadIdx.x % kSums == 0) squares[i] = sum;
}

// ---- launchers -----------------------------------------------------------------------------------------

dim3 blocks_for(int64_t groups) { return dim3(static_cast<unsigned>(ceil_div(groups, kBlock / kSums))); }

template <class T>
void launch_rescore(Cuda place, Rows<const T> x, const RowPair* pairs, int64_t count, double* out) {
  if (count == 0) return;
  launch(rescore<T>, blocks_for(count), dim3(kBlock), 0, place.stream, x, pairs, count, out);
  check_cuda(cudaGetLastError(), "pair_rescore");
}

template <class T>
void launch_squares(Cuda place, Rows<const T> x, double* squares) {
  if (x.rows == 0) return;
  launch(square_rows<T>, blocks_for(x.rows), dim3(kBlock), 0, place.stream, x, squares);
  check_cuda(cudaGetLastError(), "squared_lengths");
}

}  // namespace

void pair_rescore(Cuda place, Rows<const float> x, const RowPair* pairs, int64_t count, double* out) {
  launch_rescore(place, x, pairs, count, out);
}

void pair_rescore(Cuda place, Rows<const double> x, const RowPair* pairs, int64_t count, double* out) {
  launch_rescore(place, x, pairs, count, out);
}

void squared_lengths(Cuda place, Rows<const float> x, double* squares) { launch_squares(place, x, squares); }

void squared_lengths(Cuda place, Rows<const double> x, double* squares) { launch_squares(place, x, squares); }

}  // namespace unisim
