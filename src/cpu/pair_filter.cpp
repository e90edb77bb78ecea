// filter_pairs: which pairs of two panels of 32 rows might have a cosine above a threshold, by products in
// float.
//
// The trap: a pair that the double decides for must never be lost here, so the caller lowers the threshold by
// filter_guard. Both panels share one layout: a register holds one number of many columns, and the rows'
// numbers for the same place lie side by side to be broadcast.

#include <cmath>
#include <cstring>

#include "../kernels.h"
#include "lanes.h"

namespace unisim {
namespace {

/// scores[r][c] = row r0 + r of a . row c0 + c of b, for R rows and 2 L columns; true if any is above.
template <int L, int R>
UNISIM_INLINE bool score_tile(const float* a, const float* b, int64_t width, float above, int r0, int c0,
                              float (*scores)[kPanelRows]) {
  using Floats = typename Lanes<float, L>::type;
  Floats sums[R][2] = {};
  for (int64_t k = 0; k < width; ++k) {
    Floats y[2];
    std::memcpy(y, b + k * kPanelRows + c0, sizeof y);
    const float* x = a + k * kPanelRows + r0;
    for (int r = 0; r < R; ++r) {
      sums[r][0] += x[r] * y[0];
      sums[r][1] += x[r] * y[1];
    }
  }
  // A loop of its own, short enough to be unrolled: sums that are indexed would live in memory, not in
  // registers.
  for (int r = 0; r < R; ++r) {
    const Floats left = sums[r][0], right = sums[r][1];
    std::memcpy(&scores[r0 + r][c0], &left, sizeof left);
    std::memcpy(&scores[r0 + r][c0 + L], &right, sizeof right);
  }
  bool any = false;
  for (int r = 0; r < R; ++r)
    for (int c = 0; c < 2 * L; ++c) any |= scores[r0 + r][c0 + c] > above;
  return any;
}

template <int L, int R>
UNISIM_INLINE bool score_panels(const float* a, const float* b, int64_t width, float above,
                                float (*scores)[kPanelRows]) {
  bool any = false;
  for (int c = 0; c < kPanelRows; c += 2 * L)
    for (int r = 0; r < kPanelRows; r += R) any |= score_tile<L, R>(a, b, width, above, r, c, scores);
  return any;
}

[[gnu::target("avx512f")]] bool score_avx512(const float* a, const float* b, int64_t width, float above,
                                             float (*scores)[kPanelRows]) {
  return score_panels<16, 8>(a, b, width, above, scores);
}

[[gnu::target("avx2,fma")]] bool score_avx2(const float* a, const float* b, int64_t width, float above,
                                            float (*scores)[kPanelRows]) {
  return score_panels<8, 4>(a, b, width, above, scores);
}

bool score_baseline(const float* a, const float* b, int64_t width, float above, float (*scores)[kPanelRows]) {
  return score_panels<4, 4>(a, b, width, above, scores);
}

template <class T>
void pack(Rows<const T> x, const double* squares, int64_t p, float* panel) {
  for (int64_t r = 0; r < kPanelRows; ++r) {
    const int64_t i = p * kPanelRows + r;
    const bool zero = i >= x.rows || squares[i] == 0;
    const double scale = zero ? 0 : 1 / std::sqrt(squares[i]);
    for (int64_t k = 0; k < x.width; ++k)
      panel[k * kPanelRows + r] = zero ? 0.0f : static_cast<float>(static_cast<double>(x.row(i)[k]) * scale);
  }
}

}  // namespace

void pack_panel(Cpu, Rows<const float> x, const double* squares, int64_t p, float* panel) {
  pack(x, squares, p, panel);
}

void pack_panel(Cpu, Rows<const double> x, const double* squares, int64_t p, float* panel) {
  pack(x, squares, p, panel);
}

double filter_guard(int64_t width) {
  // Higham, Accuracy and Stability, section 3.1: a sum of d products, in any order, fused or not, errs by at
  // most d u / (1 - d u) times the sum of |x_k y_k|, which is at most |x| |y|; u = 2^-24. Rounding unit rows
  // to float adds 2 u and their lengths a trace of it; two more u hold the squares of u, the double sums' own
  // error and what underflows.
  const double bound = (static_cast<double>(width) + 4) * 0x1p-24;
  return bound < 0.5 ? bound / (1 - bound) : 3;
}

int64_t filter_pairs(Cpu, Panels x, int64_t p, int64_t q, float above, PanelPair* found) {
  alignas(64) float scores[kPanelRows][kPanelRows];
  static_assert(kPanelRows <= 256, "PanelPair counts rows in bytes");
  const auto score = by_isa(score_baseline, score_avx2, score_avx512);
  if (!score(x.panel(p), x.panel(q), x.width, above, scores)) return 0;
  const int64_t rows = x.rows - p * kPanelRows, columns = x.rows - q * kPanelRows;
  int64_t count = 0;
  for (int64_t r = 0; r < kPanelRows && r < rows; ++r)
    for (int64_t c = p == q ? r + 1 : 0; c < kPanelRows && c < columns; ++c)
      if (scores[r][c] > above) found[count++] = {static_cast<uint8_t>(r), static_cast<uint8_t>(c)};
  return count;
}

}  // namespace unisim
