#pragma once

#include <cstdint>

namespace unisim::test {

/// Rows somewhere in memory: `more` elements stand between them, `offset` before the first.
struct RowShape {
  int64_t rows = 1, width = 1, more = 0, offset = 0;
  bool bias = true;  ///< whether the operation gets one, where it takes one

  int64_t stride() const { return width + more; }
  int64_t at(int64_t i, int64_t k) const { return offset + i * stride() + k; }
  int64_t count() const { return offset + rows * stride(); }
};

}  // namespace unisim::test
