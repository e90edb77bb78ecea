#pragma once

#include "kernels.h"
#include "pack.cuh"
#include "pair_tiles.h"
#include "warp.cuh"

/// A tile of 128 x 128 products of rows by a block of eight warps, and the pairs of it that are above a
/// threshold.
///
/// Two panels, 128 rows for the tile's rows and 128 for its columns, pass through shared memory in steps of
/// 64 bytes of each row, four steps in flight. A warp owns 64 x 32 products: 4 x 4 fragments of 16 x 8, in
/// registers to the end.
namespace unisim {

constexpr int kTileThreads = 256;
constexpr int kStepBytes = 64;
constexpr int kStages = 4;
constexpr int kTileSide = static_cast<int>(kTileRows);
constexpr int kPanelBytes = kTileSide * kStepBytes;
constexpr int kTileShared = kStages * 2 * kPanelBytes;
constexpr int kWarpRows = 64, kWarpColumns = 32;
constexpr int kRowFragments = kWarpRows / 16, kColumnFragments = kWarpColumns / 8;

// ---- products ------------------------------------------------------------------------------------------

template <class T>
struct Product;
template <>
struct Product<bf16> {
  using Sum = float;
  static __device__ void add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_bf16(d, a, b);
  }
};
template <>
struct Product<f16> {
  using Sum = float;
  static __device__ void add(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_f16(d, a, b);
  }
};
template <>
struct Product<int8_t> {
  using Sum = int32_t;
  static __device__ void add(int32_t (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    mma_s8(d, a, b);
  }
};

/// One warp's products: of row 16 m + g + 8 (e / 2) and column 8 n + 2 t + e % 2, where g = lane / 4, t =
/// lane % 4.
template <class T>
using WarpSums = typename Product<T>::Sum[kRowFragments][kColumnFragments][4];

/// Rows from `first` on, as many as the tile may read; the others count as zeros.
struct Panel {
  int64_t first;
  int rows;
};

// ---- from global to shared memory ----------------------------------------------------------------------

/// Where 16-byte chunk 0 to 3 of a row lies in its panel. Eight rows of 64 bytes fill four lines of all
/// banks; turning the chunks by half the row's number puts one chunk of eight successive rows in eight
/// different places of a line.
__device__ inline int staged_at(int row, int chunk) {
  return row * kStepBytes + (chunk ^ (row / 2 % 4)) * 16;
}

/// Up to 16 bytes of a row whose address suits no wider load, zeros behind them.
template <class T>
__device__ inline uint4 gathered(const T* from, int count) {
  constexpr int kBits = 8 * static_cast<int>(sizeof(T)), kPerWord = 32 / kBits;
  unsigned word[4] = {0, 0, 0, 0};
#pragma unroll
  for (int k = 0; k < kPack<T>; ++k) {
    if (k >= count) continue;
    if constexpr (sizeof(T) == 1)
      word[k / kPerWord] |= static_cast<unsigned>(static_cast<uint8_t>(from[k])) << (kBits * (k % kPerWord));
    else
      word[k / kPerWord] |= static_cast<unsigned>(from[k].bits) << (kBits * (k % kPerWord));
  }
  return make_uint4(word[0], word[1], word[2], word[3]);
}

/// Numbers k, k + 1, ... of the panel's rows, 64 bytes of each.
template <class T>
__device__ inline void stage_panel(unsigned char* staged, Rows<const T> x, Panel panel, int64_t k,
                                   bool aligned) {
  constexpr int kChunks = kStepBytes / 16;
#pragma unroll
  for (int copy = 0; copy < kTileSide * kChunks / kTileThreads; ++copy) {
    const int id = copy * kTileThreads + static_cast<int>(threadIdx.x);
    const int row = id / kChunks, chunk = id % kChunks;
    const int64_t at = k + chunk * kPack<T>;
    const int64_t left = row < panel.rows && at < x.width ? x.width - at : 0;
    const int count = left < kPack<T> ? static_cast<int>(left) : kPack<T>;
    const T* from = count > 0 ? x.row(panel.first + row) + at : x.data;  // reads nothing of what is not there
    unsigned char* to = staged + staged_at(row, chunk);
    if (aligned)
      cp_async16(to, from, count * static_cast<int>(sizeof(T)));
    else
      store_as<uint4>(to, gathered(from, count));
  }
}

// ---- from shared memory to sums ------------------------------------------------------------------------

/// Adds the products of one step. Both panels hold rows of numbers, so both operands load without a
/// transposition.
template <class T>
__device__ inline void add_step(const unsigned char* rows, const unsigned char* columns, WarpSums<T>& sums) {
  const int lane = static_cast<int>(threadIdx.x % kWarp), warp = static_cast<int>(threadIdx.x / kWarp);
  const int row = warp / 4 * kWarpRows + lane % 16;
  const int column = warp % 4 * kWarpColumns + lane % 8 + lane / 16 * 8;
#pragma unroll
  for (int chunk = 0; chunk < kStepBytes / 16; chunk += 2) {
    uint32_t b[kColumnFragments / 2][4];  // two fragments of eight columns each
#pragma unroll
    for (int n = 0; n < kColumnFragments / 2; ++n)
      ldmatrix_x4(b[n], columns + staged_at(column + 16 * n, chunk + lane / 8 % 2));
#pragma unroll
    for (int m = 0; m < kRowFragments; ++m) {
      uint32_t a[4];
      ldmatrix_x4(a, rows + staged_at(row + 16 * m, chunk + lane / 16));
#pragma unroll
      for (int n = 0; n < kColumnFragments; ++n) {
        const uint32_t half[2] = {b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]};
        Product<T>::add(sums[m][n], a, half);
      }
    }
  }
}

/// The products of a whole tile.
template <class T>
__device__ inline void multiply_panels(Rows<const T> x, Panel rows, Panel columns, bool aligned,
                                       WarpSums<T>& sums) {
  unsigned char* const shared = dynamic_shared();
  constexpr int kNumbers = kStepBytes / static_cast<int>(sizeof(T));
  const auto steps = static_cast<int>(ceil_div(x.width, kNumbers));
  const auto stage = [&](int step) {
    unsigned char* const staged = shared + step % kStages * 2 * kPanelBytes;
    if (step < steps) {
      stage_panel(staged, x, rows, int64_t{step} * kNumbers, aligned);
      stage_panel(staged + kPanelBytes, x, columns, int64_t{step} * kNumbers, aligned);
    }
    cp_async_commit();  // empty at the end, so that the wait goes on counting
  };
  for (int step = 0; step < kStages - 1; ++step) stage(step);
  for (int step = 0; step < steps; ++step) {
    cp_async_wait<kStages - 2>();
    __syncthreads();  // all have this step's numbers, and none still reads those of the step before
    stage(step + kStages - 1);
    const unsigned char* const staged = shared + step % kStages * 2 * kPanelBytes;
    add_step<T>(staged, staged + kPanelBytes, sums);
  }
}

// ---- from sums to pairs --------------------------------------------------------------------------------

/// Calls f(m, n, e) for every product of a lane, all indices constants after unrolling.
template <class F>
__device__ inline void each_product(F&& f) {
#pragma unroll
  for (int m = 0; m < kRowFragments; ++m)
#pragma unroll
    for (int n = 0; n < kColumnFragments; ++n)
#pragma unroll
      for (int e = 0; e < 4; ++e) f(m, n, e);
}

/// The first row and column of this lane's products within the tile.
__device__ inline int lane_row() {
  return static_cast<int>(threadIdx.x / kWarp / 4 * kWarpRows + threadIdx.x % kWarp / 4);
}
__device__ inline int lane_column() {
  return static_cast<int>(threadIdx.x / kWarp % 4 * kWarpColumns + threadIdx.x % 4 * 2);
}

/// Appends the pairs i < j within the panels whose value(m, n, e) is above `above`. Almost every warp has
/// none: one maximum a lane and one vote. Else one atomic a warp makes room for all of its pairs.
template <class Value>
__device__ inline void append_pairs(Panel rows, Panel columns, float above, Value&& value, PairList list) {
  float most = value(0, 0, 0);
  each_product([&](int m, int n, int e) { most = fmaxf(most, value(m, n, e)); });
  if (!__any_sync(kAllLanes, most > above)) return;

  const unsigned lane = threadIdx.x % kWarp;
  const int row = lane_row(), column = lane_column();
  const int64_t diagonal = columns.first - rows.first;  // i < j: row < column + diagonal
  uint64_t hits = 0;
  each_product([&](int m, int n, int e) {
    const int r = row + 16 * m + 8 * (e / 2), c = column + 8 * n + e % 2;
    const bool hit = value(m, n, e) > above && r < rows.rows && c < columns.rows && r < c + diagonal;
    hits |= uint64_t{hit} << ((m * kColumnFragments + n) * 4 + e);
  });
  const int own = __popc(static_cast<unsigned>(hits)) + __popc(static_cast<unsigned>(hits >> 32));
  int up_to = own;  // hits of this lane and those before it
  for (unsigned step = 1; step < kWarp; step *= 2) {
    const int before = __shfl_up_sync(kAllLanes, up_to, step);
    if (lane >= step) up_to += before;
  }
  unsigned long long start = 0;
  if (lane == kWarp - 1 && up_to > 0) start = atomicAdd(list.count, static_cast<unsigned long long>(up_to));
  start = __shfl_sync(kAllLanes, start, kWarp - 1);
  int64_t slot = static_cast<int64_t>(start) + up_to - own;
  each_product([&](int m, int n, int e) {
    if ((hits >> ((m * kColumnFragments + n) * 4 + e) & 1) == 0) return;
    const int64_t i = rows.first + row + 16 * m + 8 * (e / 2), j = columns.first + column + 8 * n + e % 2;
    if (slot < list.capacity) list.pairs[slot] = {static_cast<int32_t>(i), static_cast<int32_t>(j)};
    ++slot;
  });
}

/// The panels of this block's tile of the band. Tiles begin at the band's first row, in rows and columns
/// alike: what lies left of it is below the diagonal.
struct TilePanels {
  Panel rows, columns;
};
__device__ inline TilePanels tile_panels(PairBand band, int64_t n, int64_t first_tile) {
  const int64_t t = first_tile + blockIdx.x;
  const PairTile tile =
      pair_tile(t, ceil_div(band.last - band.first, kTileRows), __dsqrt_rn(8 * static_cast<double>(t) + 1));
  const auto panel = [](int64_t first, int64_t end) {
    return Panel{first, static_cast<int>(end - first < kTileRows ? end - first : kTileRows)};
  };
  return {panel(band.first + tile.row * kTileRows, band.last),
          panel(band.first + tile.column * kTileRows, n)};
}

}  // namespace unisim
