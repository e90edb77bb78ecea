// ldmatrix and mma, from the tables of the PTX manual: lane = 4 g + t.

#include <cmath>
#include <cstring>

#include "emulate.h"
#include "half.h"

namespace simt {
namespace {

struct MatrixSlot {
  int count;
  bool transposed;
  uint32_t* r;
  const void* row;
};

void load(Meeting& meeting) {
  const auto slot = [&](unsigned lane) -> MatrixSlot& {
    return *static_cast<MatrixSlot*>(meeting.slots[lane]);
  };
  const int count = slot(0).count;
  const bool transposed = slot(0).transposed;
  for (int matrix = 0; matrix < count; ++matrix) {
    uint16_t rows[8][8];
    for (unsigned k = 0; k < 8; ++k) {
      const unsigned lane = static_cast<unsigned>(matrix) * 8 + k;
      std::memcpy(rows[k], slot(lane).row, 16);
    }
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      const unsigned g = lane / 4, t = lane % 4;
      const uint16_t low = transposed ? rows[2 * t][g] : rows[g][2 * t];
      const uint16_t high = transposed ? rows[2 * t + 1][g] : rows[g][2 * t + 1];
      slot(lane).r[matrix] = uint32_t{low} | uint32_t{high} << 16;
    }
  }
}

struct ProductSlot {
  Element element;
  void* d;
  const uint32_t *a, *b;
};

double half_of(uint32_t word, unsigned which, Element element) {
  const auto bits = static_cast<uint16_t>(word >> (16 * which));
  return element == Element::Bf16 ? unisim::to_float(unisim::bf16{bits})
                                  : unisim::to_float(unisim::f16{bits});
}

/// Towards zero, as an adder that drops bits would leave it.
float cut(double x) {
  const auto nearest = static_cast<float>(x);
  if (std::abs(double{nearest}) <= std::abs(x) || !std::isfinite(nearest)) return nearest;
  return std::nextafter(nearest, 0.0f);
}

float summed(const double* a, const double (*b)[8], unsigned n, float d) {
  if (!options.truncate) {
    double sum = d;
    for (unsigned k = 0; k < 16; ++k) sum += a[k] * b[k][n];
    return static_cast<float>(sum);
  }
  for (unsigned first = 0; first < 16; first += 8) {
    double sum = d;
    for (unsigned k = first; k < first + 8; ++k) sum += a[k] * b[k][n];
    d = cut(sum);
  }
  return d;
}

void multiply_halves(Meeting& meeting) {
  const auto slot = [&](unsigned lane) -> ProductSlot& {
    return *static_cast<ProductSlot*>(meeting.slots[lane]);
  };
  const Element element = slot(0).element;
  double a[16][16], b[16][8];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; ++r)
      for (unsigned h = 0; h < 2; ++h)
        a[g + 8 * (r % 2)][2 * t + 8 * (r / 2) + h] = half_of(slot(lane).a[r], h, element);
    for (unsigned r = 0; r < 2; ++r)
      for (unsigned h = 0; h < 2; ++h) b[2 * t + 8 * r + h][g] = half_of(slot(lane).b[r], h, element);
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    auto* d = static_cast<float*>(slot(lane).d);
    for (unsigned r = 0; r < 4; ++r) d[r] = summed(a[g + 8 * (r / 2)], b, 2 * t + r % 2, d[r]);
  }
}

void multiply_bytes(Meeting& meeting) {
  const auto slot = [&](unsigned lane) -> ProductSlot& {
    return *static_cast<ProductSlot*>(meeting.slots[lane]);
  };
  int32_t a[16][32], b[32][8];
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    for (unsigned r = 0; r < 4; ++r)
      for (unsigned k = 0; k < 4; ++k)
        a[g + 8 * (r % 2)][4 * t + 16 * (r / 2) + k] = static_cast<int8_t>(slot(lane).a[r] >> (8 * k));
    for (unsigned r = 0; r < 2; ++r)
      for (unsigned k = 0; k < 4; ++k)
        b[4 * t + 16 * r + k][g] = static_cast<int8_t>(slot(lane).b[r] >> (8 * k));
  }
  for (unsigned lane = 0; lane < kLanes; ++lane) {
    const unsigned g = lane / 4, t = lane % 4;
    auto* d = static_cast<int32_t*>(slot(lane).d);
    for (unsigned r = 0; r < 4; ++r)
      for (unsigned k = 0; k < 32; ++k) d[r] += a[g + 8 * (r / 2)][k] * b[k][2 * t + r % 2];
  }
}

}  // namespace

void load_matrices(Site where, int count, bool transposed, uint32_t* r, const void* row) {
  if (current->lane() < static_cast<unsigned>(count) * 8) access(row, 16, Access::Read, where);
  MatrixSlot slot{count, transposed, r, row};
  meet(Kind::LdMatrix, ~0u, where, &slot, load);
}

void multiply(Site where, Element element, void* d, const uint32_t* a, const uint32_t* b) {
  ProductSlot slot{element, d, a, b};
  meet(Kind::Mma, ~0u, where, &slot, element == Element::S8 ? multiply_bytes : multiply_halves);
}

}  // namespace simt
