#pragma once

#include <cstdint>

/// Square tiles of the products of all rows with all, of which only those on and above the diagonal are
/// computed.
namespace unisim {

constexpr int64_t kTileRows = 128;  ///< rows and columns of a tile on tensor cores

struct PairTile {
  int64_t row = 0;
  int64_t column = 0;

  bool operator==(const PairTile&) const = default;
};

/// Tiles on and above the diagonal in the first `rows` rows of tiles of `columns` >= `rows`.
constexpr int64_t pair_tile_count(int64_t rows, int64_t columns) {
  return rows * (rows + 1) / 2 + (columns - rows) * rows;
}

/// Tile t of them, column after column: 0 is (0, 0), 1 (0, 1), 2 (1, 1), 3 (0, 2), ..., so that the rows of a
/// low band stay in a cache while each column is read once. `root` is sqrt(8 t + 1) in double: rounded, hence
/// the two loops.
constexpr PairTile pair_tile(int64_t t, int64_t rows, double root) {
  const int64_t triangle = rows * (rows + 1) / 2;
  if (t >= triangle) return {(t - triangle) % rows, rows + (t - triangle) / rows};
  auto column = static_cast<int64_t>((root - 1) / 2);
  while (column * (column + 1) / 2 > t) --column;
  while ((column + 1) * (column + 2) / 2 <= t) ++column;
  return {t - column * (column + 1) / 2, column};
}

}  // namespace unisim
