#include "../kernels.h"

namespace unisim {
namespace {

template <class T>
void rescore(Rows<const T> x, const RowPair* pairs, int64_t count, double* out) {
  for (int64_t p = 0; p < count; ++p) {
    const T *const a = x.row(pairs[p].i), *const b = x.row(pairs[p].j);
    double squares[2];
    squared_lengths(Cpu{}, Rows<const T>{a, 1, x.width, x.width}, &squares[0]);
    squared_lengths(Cpu{}, Rows<const T>{b, 1, x.width, x.width}, &squares[1]);
    out[p] = cosine(Cpu{}, a, squares[0], b, squares[1], x.width);
  }
}

}  // namespace

void pair_rescore(Cpu, Rows<const float> x, const RowPair* pairs, int64_t count, double* out) {
  rescore(x, pairs, count, out);
}

void pair_rescore(Cpu, Rows<const double> x, const RowPair* pairs, int64_t count, double* out) {
  rescore(x, pairs, count, out);
}

}  // namespace unisim
