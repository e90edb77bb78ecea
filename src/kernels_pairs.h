#pragma once

#include <cstdint>

#include "half.h"
#include "place.h"
#include "views.h"

/// The kernels that find pairs of rows and decide on them. kernels.h says what holds for all.
namespace unisim {

// ---- cosine ---------------------------------------------------------------------------------------------

/// squares[i] = the sum of squares of row i. The order of every sum of products here is one, whatever the
/// machine: eight sums, term k in sum k mod 8, then ((0+4)+(2+6))+((1+5)+(3+7)). Products of floats are exact
/// in double.
void squared_lengths(Cpu, Rows<const float> x, double* squares);
void squared_lengths(Cpu, Rows<const double> x, double* squares);

/// The definition that decides: x.y / sqrt(x.x * y.y), clamped to [-1, 1]; 0 if either row is zero. Identical
/// rows give exactly 1, since the root of a rounded square is the number itself. Squares are those of
/// squared_lengths.
double cosine_of(double dot, double x_square, double y_square);

/// out[i, j] = the cosine of a[i] and b[j], rounded once.
void cosine(Cpu, Rows<const float> a, const double* a_squares, Rows<const float> b, const double* b_squares,
            Rows<float> out);
void cosine(Cpu, Rows<const double> a, const double* a_squares, Rows<const double> b, const double* b_squares,
            Rows<float> out);

/// The cosine of one row with another.
double cosine(Cpu, const float* x, double x_square, const float* y, double y_square, int64_t width);
double cosine(Cpu, const double* x, double x_square, const double* y, double y_square, int64_t width);

// ---- pair filter ----------------------------------------------------------------------------------------

constexpr int64_t kPanelRows =
    32;  ///< rows of a panel: [width][32] floats, one number of 32 rows side by side

/// Rows of length one in panels; the last is filled up with zeros.
struct Panels {
  const float* data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;

  constexpr int64_t count() const { return (rows + kPanelRows - 1) / kPanelRows; }
  constexpr const float* panel(int64_t p) const { return data + p * kPanelRows * width; }
};

/// Rows of one panel and another, by their place in it.
struct PanelPair {
  uint8_t row = 0;
  uint8_t column = 0;
};

/// Panel p of the rows divided by their lengths; zero rows stay zero.
void pack_panel(Cpu, Rows<const float> x, const double* squares, int64_t p, float* panel);
void pack_panel(Cpu, Rows<const double> x, const double* squares, int64_t p, float* panel);

/// How far a cosine summed in float over packed rows may lie from the cosine in double, at most.
double filter_guard(int64_t width);

/// The pairs i < j of panel p with panel q >= p whose product in float is above `above`, in the order of (i,
/// j); room for kPanelRows squared. Lets too much through by the caller's guard, never too little.
int64_t filter_pairs(Cpu, Panels x, int64_t p, int64_t q, float above, PanelPair* found);

// ---- pair filter on Cuda --------------------------------------------------------------------------------

/// Row i to bytes: out[i, k] = round(x[i, k] / scale[i]), scale[i] = max |x[i, k]| / 127, ties to even; a
/// zero row has scale 0. residual[i] = |x[i] - scale[i] out[i]|, so that |x_i.x_j - scale_i scale_j q_i.q_j|
/// <= residual_i |x_j| + scale_i |q_i| residual_j.
template <class T>
void quantize_rows(Cpu, Rows<const T> x, Rows<int8_t> out, float* scale, float* residual);
template <class T>
void quantize_rows(Cuda, Rows<const T> x, Rows<int8_t> out, float* scale, float* residual);

/// i < j.
struct RowPair {
  int32_t i = 0, j = 0;
};

/// Where found pairs go, in any order: *count counts all, also those beyond `capacity`, which are not stored.
/// The caller then makes room and runs the same band again.
struct PairList {
  RowPair* pairs = nullptr;
  int64_t capacity = 0;
  unsigned long long* count = nullptr;  ///< zeroed by the caller
};

/// The pairs i < j with first <= i < last whose product is above `above`. Rows of unit length, f16 or bf16;
/// lets rounding through, by the caller's guard, never too little.
struct PairBand {
  int64_t first = 0, last = 0;
  float above = 0;
};
template <class T>
void pair_filter(Cpu, Rows<const T> x, PairBand band, PairList list);
template <class T>
void pair_filter(Cuda, Rows<const T> x, PairBand band, PairList list);

/// The same of quantized rows of unit length: pairs with scale_i scale_j q_i.q_j + residual_i + residual_j (1
/// + residual_i) > above, the upper bound of their product.
struct QuantizedRows {
  Rows<const int8_t> q;
  const float* scale = nullptr;
  const float* residual = nullptr;
};
void pair_filter(Cpu, QuantizedRows x, PairBand band, PairList list);
void pair_filter(Cuda, QuantizedRows x, PairBand band, PairList list);

/// out[p] = the cosine in double of rows pairs[p].i and pairs[p].j, to the bit what `cosine` of two rows
/// gives.
void pair_rescore(Cpu, Rows<const float> x, const RowPair* pairs, int64_t count, double* out);
void pair_rescore(Cpu, Rows<const double> x, const RowPair* pairs, int64_t count, double* out);
void pair_rescore(Cuda, Rows<const float> x, const RowPair* pairs, int64_t count, double* out);
void pair_rescore(Cuda, Rows<const double> x, const RowPair* pairs, int64_t count, double* out);

}  // namespace unisim
