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
void squared_lengths(Cuda, Rows<const float> x, double* squares);
void squared_lengths(Cuda, Rows<const double> x, double* squares);

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

// ---- pair filter by tensor cores ------------------------------------------------------------------------

/// out[i] = x[i] / sqrt(squares[i]) in double, rounded to float and then to U; a row whose square is zero
/// stays zero. T is float or double, U float, bf16 or f16.
template <class T, class U>
void unit_rows(Cpu, Rows<const T> x, const double* squares, Rows<U> out);
template <class T, class U>
void unit_rows(Cuda, Rows<const T> x, const double* squares, Rows<U> out);

/// Row i to bytes: out[i, k] = round(x[i, k] / scale[i]), scale[i] = max |x[i, k]| / 127, ties to even; where
/// that is zero, zeros. residual[i] is |x[i] - scale[i] out[i]| rounded up, so that |x_i.x_j - scale_i
/// scale_j q_i.q_j| <= residual_i |x_j| + scale_i |q_i| residual_j. Rows must be finite.
template <class T>
void quantize_rows(Cpu, Rows<const T> x, Rows<int8_t> out, float* scale, float* residual);
template <class T>
void quantize_rows(Cuda, Rows<const T> x, Rows<int8_t> out, float* scale, float* residual);

/// i < j.
struct alignas(8) RowPair {
  int32_t i = 0, j = 0;

  bool operator==(const RowPair&) const = default;
};

/// Where found pairs go, in any order: *count counts all, also those beyond `capacity`, which are not stored.
/// The caller then makes room and runs the same band again.
struct PairList {
  RowPair* pairs = nullptr;
  int64_t capacity = 0;
  unsigned long long* count = nullptr;  ///< zeroed by the caller
};

/// The pairs i < j with first <= i < last whose product is above `above`.
struct PairBand {
  int64_t first = 0, last = 0;
  float above = 0;
};

/// How far the product that pair_filter takes of two unit_rows of T may lie from their cosine in double, at
/// most. T is bf16 or f16.
template <class T>
double pair_filter_guard(int64_t width);

/// Rows of length one or zero, f16 or bf16; at most 2^31 - 1 of them. Lets rounding through, by the caller's
/// guard, never too little.
template <class T>
void pair_filter(Cpu, Rows<const T> x, PairBand band, PairList list);
template <class T>
void pair_filter(Cuda, Rows<const T> x, PairBand band, PairList list);

/// The same of rows of unit length, quantized: pairs whose product's upper bound scale_i scale_j q_i.q_j +
/// (residual_i + residual_j (1 + residual_i)) is above `above`. The bound is computed in float, every
/// operation rounded by itself, so that it may lie 2^-20 below: the caller lowers `above` by that. Width at
/// most 2^17, where q_i.q_j fits an int32.
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
