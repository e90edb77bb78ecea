// cosine: the cosine in double of rows of float or double.
//
// The trap: a sum must not depend on the tile that it is taken in nor on the machine. Every sum has eight
// lanes and no fused multiply-add (this file is compiled with -ffp-contract=off), so that all tiles and
// instruction sets agree in every bit.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "../kernels.h"
#include "lanes.h"

namespace unisim {
namespace {

constexpr int kLanes = 8;
using Doubles = Lanes<double, kLanes>::type;

/// Eight numbers of a row as doubles.
template <class T>
UNISIM_INLINE void load(const T* from, Doubles& to) {
  typename Lanes<T, kLanes>::type raw;
  std::memcpy(&raw, from, sizeof raw);
  to = __builtin_convertvector(raw, Doubles);
}

/// Fewer than eight, zeros behind them: they leave their sums as they are.
template <class T>
UNISIM_INLINE void load_tail(const T* from, int64_t count, Doubles& to) {
  T filled[kLanes] = {};
  for (int64_t k = 0; k < count; ++k) filled[k] = from[k];
  load(filled, to);
}

UNISIM_INLINE double fold(const Doubles& s) {
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/// out[i][j] = a[i] . b[j] for A rows of a and B rows of b.
template <int A, int B, class T>
UNISIM_INLINE void dots(Rows<const T> a, Rows<const T> b, double (&out)[A][B]) {
  Doubles sums[A][B] = {};
  Doubles x[A], y;
  const auto add = [&](auto&& load_at) __attribute__((always_inline)) {
    for (int i = 0; i < A; ++i) load_at(a.row(i), x[i]);
    for (int j = 0; j < B; ++j) {
      load_at(b.row(j), y);
      for (int i = 0; i < A; ++i) sums[i][j] += x[i] * y;
    }
  };
  int64_t k = 0;
  for (; k + kLanes <= a.width; k += kLanes)
    add([k](const T* row, Doubles& to) __attribute__((always_inline)) { load(row + k, to); });
  if (k < a.width)
    add([ k, left = a.width - k ](const T* row, Doubles& to)
            __attribute__((always_inline)) { load_tail(row + k, left, to); });
  for (int i = 0; i < A; ++i)
    for (int j = 0; j < B; ++j) out[i][j] = fold(sums[i][j]);
}

template <class T>
UNISIM_INLINE Rows<T> rows_from(Rows<T> x, int64_t i) {
  return {x.row(i), x.rows - i, x.width, x.stride};
}

template <int A, int B, class T>
UNISIM_INLINE void cosine_tile(Rows<const T> a, const double* a_squares, Rows<const T> b,
                               const double* b_squares, Rows<float> out, int64_t i, int64_t j) {
  double products[A][B];
  dots<A, B, T>(rows_from(a, i), rows_from(b, j), products);
  for (int r = 0; r < A; ++r)
    for (int c = 0; c < B; ++c)
      out.row(i + r)[j + c] =
          static_cast<float>(cosine_of(products[r][c], a_squares[i + r], b_squares[j + c]));
}

/// Tiles of A x B, as many sums as the machine has registers for; the rims one by one.
template <int A, int B, class T>
UNISIM_INLINE void cosine_in_tiles(Rows<const T> a, const double* a_squares, Rows<const T> b,
                                   const double* b_squares, Rows<float> out) {
  const int64_t whole_rows = a.rows / A * A, whole_columns = b.rows / B * B;
  for (int64_t j = 0; j < whole_columns; j += B)
    for (int64_t i = 0; i < whole_rows; i += A) cosine_tile<A, B>(a, a_squares, b, b_squares, out, i, j);
  for (int64_t i = 0; i < a.rows; ++i)
    for (int64_t j = i < whole_rows ? whole_columns : 0; j < b.rows; ++j)
      cosine_tile<1, 1>(a, a_squares, b, b_squares, out, i, j);
}

template <class T>
[[gnu::target("avx512f")]] void cosine_avx512(Rows<const T> a, const double* a_squares, Rows<const T> b,
                                              const double* b_squares, Rows<float> out) {
  cosine_in_tiles<4, 4>(a, a_squares, b, b_squares, out);
}

template <class T>
[[gnu::target("avx2")]] void cosine_avx2(Rows<const T> a, const double* a_squares, Rows<const T> b,
                                         const double* b_squares, Rows<float> out) {
  cosine_in_tiles<2, 2>(a, a_squares, b, b_squares, out);
}

template <class T>
void cosine_baseline(Rows<const T> a, const double* a_squares, Rows<const T> b, const double* b_squares,
                     Rows<float> out) {
  cosine_in_tiles<1, 2>(a, a_squares, b, b_squares, out);
}

template <class T>
void cosine_on(Rows<const T> a, const double* a_squares, Rows<const T> b, const double* b_squares,
               Rows<float> out) {
  by_isa(cosine_baseline<T>, cosine_avx2<T>, cosine_avx512<T>)(a, a_squares, b, b_squares, out);
}

template <class T>
UNISIM_INLINE double dot_of_one(const T* x, const T* y, int64_t width) {
  double product[1][1];
  dots<1, 1, T>({x, 1, width, width}, {y, 1, width, width}, product);
  return product[0][0];
}

template <class T>
[[gnu::target("avx512f")]] double dot_avx512(const T* x, const T* y, int64_t width) {
  return dot_of_one(x, y, width);
}

template <class T>
double dot(const T* x, const T* y, int64_t width) {
  return isa() == Isa::Avx512 ? dot_avx512(x, y, width) : dot_of_one(x, y, width);
}

}  // namespace

double cosine_of(double dot, double x_square, double y_square) {
  if (x_square == 0 || y_square == 0) return 0;
  return std::clamp(dot / std::sqrt(x_square * y_square), -1.0, 1.0);
}

void squared_lengths(Cpu, Rows<const float> x, double* squares) {
  for (int64_t i = 0; i < x.rows; ++i) squares[i] = dot(x.row(i), x.row(i), x.width);
}

void squared_lengths(Cpu, Rows<const double> x, double* squares) {
  for (int64_t i = 0; i < x.rows; ++i) squares[i] = dot(x.row(i), x.row(i), x.width);
}

void cosine(Cpu, Rows<const float> a, const double* a_squares, Rows<const float> b, const double* b_squares,
            Rows<float> out) {
  cosine_on(a, a_squares, b, b_squares, out);
}

void cosine(Cpu, Rows<const double> a, const double* a_squares, Rows<const double> b, const double* b_squares,
            Rows<float> out) {
  cosine_on(a, a_squares, b, b_squares, out);
}

double cosine(Cpu, const float* x, double x_square, const float* y, double y_square, int64_t width) {
  return cosine_of(dot(x, y, width), x_square, y_square);
}

double cosine(Cpu, const double* x, double x_square, const double* y, double y_square, int64_t width) {
  return cosine_of(dot(x, y, width), x_square, y_square);
}

}  // namespace unisim
