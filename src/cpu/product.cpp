// product: a weight^T in float with its epilogue.
//
// The trap: the bits of a row must not depend on how many rows there are. Every number is one sum over k in
// order, in one lane of one register; a tile that lacks rows computes its last row several times.
//
// 32 rows of the weight are packed so that their numbers for one k lie side by side, in memory of the
// thread's own that grows once; rows of a are taken by a few hundred, so that a pack serves many and fits a
// cache.

#include <algorithm>
#include <cstring>
#include <vector>

#include "../kernels.h"
#include "activation.h"
#include "lanes.h"

namespace unisim {
namespace {

constexpr int kColumns = 32;         ///< of a tile
constexpr int kTileRows = 8;         ///< of a tile
constexpr int64_t kBlockRows = 256;  ///< of a that meet a pack in turn

using Tile = float[kTileRows][kColumns];
/// tile[r][c] = a[r] . column c of the pack, for rows r0 to r0 + R - 1 and 2 L columns from c0.
template <int L, int R>
UNISIM_INLINE void multiply_part(const float* const* a, const float* pack, int64_t width, int r0, int c0,
                                 Tile& tile) {
  using Floats = typename Lanes<float, L>::type;
  const float* x[R];
  for (int r = 0; r < R; ++r) x[r] = a[r0 + r];
  Floats sums[R][2] = {};
  for (int64_t k = 0; k < width; ++k) {
    Floats left, right;  // two loads: a copy of both at once would pass through memory
    std::memcpy(&left, pack + k * kColumns + c0, sizeof left);
    std::memcpy(&right, pack + k * kColumns + c0 + L, sizeof right);
    for (int r = 0; r < R; ++r) {
      sums[r][0] += x[r][k] * left;
      sums[r][1] += x[r][k] * right;
    }
  }
  for (int r = 0; r < R; ++r) {
    const Floats left = sums[r][0], right = sums[r][1];
    std::memcpy(&tile[r0 + r][c0], &left, sizeof left);
    std::memcpy(&tile[r0 + r][c0 + L], &right, sizeof right);
  }
}

template <int L, int R>
UNISIM_INLINE void multiply_parts(const float* const* a, const float* pack, int64_t width, Tile& tile) {
  for (int c = 0; c < kColumns; c += 2 * L)
    for (int r = 0; r < kTileRows; r += R) multiply_part<L, R>(a, pack, width, r, c, tile);
}

[[gnu::target("avx512f")]] void multiply_avx512(const float* const* a, const float* pack, int64_t width,
                                                Tile& tile) {
  multiply_parts<16, 8>(a, pack, width, tile);
}
[[gnu::target("avx2,fma")]] void multiply_avx2(const float* const* a, const float* pack, int64_t width,
                                               Tile& tile) {
  multiply_parts<8, 4>(a, pack, width, tile);
}
void multiply_baseline(const float* const* a, const float* pack, int64_t width, Tile& tile) {
  multiply_parts<4, 4>(a, pack, width, tile);
}

/// Rows first to first + 31 of the weight, transposed; zeros for rows that there are not.
template <class T>
void pack_columns(Rows<const T> weight, int64_t first, float* pack) {
  const int64_t columns = std::min<int64_t>(kColumns, weight.rows - first);
  if (columns < kColumns)
    std::memset(pack, 0, sizeof(float) * static_cast<std::size_t>(kColumns * weight.width));
  constexpr int64_t kRun = 16;  // numbers of a row that are read together: a part of the pack that stays near
  for (int64_t k0 = 0; k0 < weight.width; k0 += kRun)
    for (int64_t c = 0; c < columns; ++c) {
      const T* row = weight.row(first + c);
      for (int64_t k = k0; k < std::min(k0 + kRun, weight.width); ++k)
        pack[k * kColumns + c] = to_float(row[k]);
    }
}

/// Rows of a as floats: themselves, or converted into `copy`.
Rows<const float> as_floats(Rows<const float> a, std::vector<float>&) { return a; }
template <class T>
Rows<const float> as_floats(Rows<const T> a, std::vector<float>& copy) {
  copy.resize(static_cast<std::size_t>(a.rows * a.width));
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t k = 0; k < a.width; ++k)
      copy[static_cast<std::size_t>(i * a.width + k)] = to_float(a.row(i)[k]);
  return {copy.data(), a.rows, a.width, a.width};
}

/// What becomes of the sums of a tile's valid part, each rounded once.
template <class T>
void store_tile(const Product<T>& p, const Tile& tile, int64_t row, int64_t rows, int64_t column) {
  const int64_t columns = std::min<int64_t>(kColumns, p.out.width - column);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t j = column + c;
      float value = tile[r][c];
      if (p.bias) value += to_float(p.bias[j]);
      if (p.activate) value = static_cast<float>(activated(p.activation, double{value}));
      if (p.residual.data) value += to_float(p.residual.row(row + r)[j]);
      p.out.row(row + r)[j] = rounded<T>(value);
    }
}

}  // namespace

template <class T>
void product(Cpu, const Product<T>& p) {
  if (p.out.rows == 0 || p.out.width == 0) return;
  thread_local std::vector<float> pack, copy;
  const auto multiply = by_isa(multiply_baseline, multiply_avx2, multiply_avx512);
  const int64_t width = p.a.width;
  pack.resize(static_cast<std::size_t>(kColumns * width));
  for (int64_t block = 0; block < p.out.rows; block += kBlockRows) {
    const int64_t end = std::min(block + kBlockRows, p.out.rows);
    const Rows<const float> a =
        as_floats(Rows<const T>{p.a.row(block), end - block, width, p.a.stride}, copy);
    for (int64_t column = 0; column < p.out.width; column += kColumns) {
      pack_columns(p.weight, column, pack.data());
      for (int64_t row = block; row < end; row += kTileRows) {
        const float* rows[kTileRows];
        for (int64_t r = 0; r < kTileRows; ++r) rows[r] = a.row(std::min(row + r, end - 1) - block);
        Tile tile;
        multiply(rows, pack.data(), width, tile);
        store_tile(p, tile, row, std::min<int64_t>(kTileRows, end - row), column);
      }
    }
  }
}

template void product(Cpu, const Product<float>&);
template void product(Cpu, const Product<bf16>&);
template void product(Cpu, const Product<f16>&);

}  // namespace unisim
