// pair_filter: the pairs of rows whose product is above a threshold, by tensor cores; no product reaches
// memory.
//
// The trap: rows that fill up a tile are zeros, and zero is above a threshold below it; only the masks of
// append_pairs keep them out. Bytes read: for each tile, its two panels once, min(128, rows left) * width *
// sizeof(T) each (int8: and 8 bytes of scale and residual a row, once for each of the warps that share it: 4
// for rows, 2 for columns).

#include <algorithm>

#include "check.h"
#include "pair_filter.cuh"

namespace unisim {
namespace {

// ---- device code ---------------------------------------------------------------------------------------

template <class T>
__global__ void __launch_bounds__(kTileThreads, 2)
    filter_tiles(Rows<const T> x, PairBand band, PairList list, int64_t first_tile, bool aligned) {
  const TilePanels tile = tile_panels(band, x.rows, first_tile);
  WarpSums<T> sums = {};
  multiply_panels(x, tile.rows, tile.columns, aligned, sums);
  append_pairs(
      tile.rows, tile.columns, band.above, [&](int m, int n, int e) { return sums[m][n][e]; }, list);
}

/// What belongs to one row, zeros for rows that are not there.
struct RowScale {
  float scale, residual;
};
__device__ inline RowScale scale_of(const QuantizedRows& x, Panel panel, int row) {
  if (row >= panel.rows) return {0, 0};
  return {x.scale[panel.first + row], x.residual[panel.first + row]};
}

/// The upper bound of a product: no operation may be fused, or the Cpu would find other pairs.
__device__ inline float upper_bound(int32_t product, RowScale i, RowScale j) {
  const float rounded = __fmul_rn(__fmul_rn(i.scale, j.scale), static_cast<float>(product));
  return __fadd_rn(rounded, __fadd_rn(i.residual, __fmul_rn(j.residual, __fadd_rn(1.0f, i.residual))));
}

__global__ void __launch_bounds__(kTileThreads, 2)
    filter_quantized_tiles(QuantizedRows x, PairBand band, PairList list, int64_t first_tile, bool aligned) {
  const TilePanels tile = tile_panels(band, x.q.rows, first_tile);
  WarpSums<int8_t> sums = {};
  multiply_panels(x.q, tile.rows, tile.columns, aligned, sums);
  RowScale row[kRowFragments][2], column[kColumnFragments][2];
#pragma unroll
  for (int half = 0; half < 2; ++half) {
#pragma unroll
    for (int m = 0; m < kRowFragments; ++m)
      row[m][half] = scale_of(x, tile.rows, lane_row() + 16 * m + 8 * half);
#pragma unroll
    for (int n = 0; n < kColumnFragments; ++n)
      column[n][half] = scale_of(x, tile.columns, lane_column() + 8 * n + half);
  }
  append_pairs(
      tile.rows, tile.columns, band.above,
      [&](int m, int n, int e) { return upper_bound(sums[m][n][e], row[m][e / 2], column[n][e % 2]); }, list);
}

}  // namespace

// ---- launchers -----------------------------------------------------------------------------------------

namespace {

/// Calls f(band, blocks, first tile) for the launches of the kernel that cover the band.
template <class Kernel, class F>
void each_launch(Kernel* kernel, int64_t n, PairBand band, F&& f) {
  band.last = std::min(band.last, n);
  if (band.first >= band.last) return;
  check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                  cudaFuncAttributeMaxDynamicSharedMemorySize, kTileShared),
             "pair_filter");
  const int64_t tiles =
      pair_tile_count(ceil_div(band.last - band.first, kTileRows), ceil_div(n - band.first, kTileRows));
  constexpr int64_t kMost = int64_t{1} << 30;  // a grid holds less than 2^31 blocks
  for (int64_t first = 0; first < tiles; first += kMost) {
    f(band, dim3(static_cast<unsigned>(std::min(kMost, tiles - first))), first);
    check_cuda(cudaGetLastError(), "pair_filter");
  }
}

}  // namespace

template <class T>
void pair_filter(Cuda place, Rows<const T> x, PairBand band, PairList list) {
  each_launch(filter_tiles<T>, x.rows, band, [&](PairBand cut, dim3 blocks, int64_t first) {
    launch(filter_tiles<T>, blocks, dim3(kTileThreads), kTileShared, place.stream, x, cut, list, first,
           aligned_rows(x));
  });
}

template void pair_filter(Cuda, Rows<const bf16>, PairBand, PairList);
template void pair_filter(Cuda, Rows<const f16>, PairBand, PairList);

void pair_filter(Cuda place, QuantizedRows x, PairBand band, PairList list) {
  each_launch(filter_quantized_tiles, x.q.rows, band, [&](PairBand cut, dim3 blocks, int64_t first) {
    launch(filter_quantized_tiles, blocks, dim3(kTileThreads), kTileShared, place.stream, x, cut, list, first,
           aligned_rows(x.q));
  });
}

}  // namespace unisim
