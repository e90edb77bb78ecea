#pragma once

#include <cstdint>
#include <type_traits>

namespace unisim {

/// Rows of equal width, `stride` elements apart, in memory that someone else owns.
template <class T>
struct Rows {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t width = 0;
  int64_t stride = 0;

  constexpr T* row(int64_t i) const { return data + i * stride; }
  template <class U>
  requires(std::is_same_v<U, const T> && !std::is_const_v<T>) constexpr operator Rows<U>() const {
    return {data, rows, width, stride};
  }
};

constexpr int64_t ceil_div(int64_t n, int64_t per) { return (n + per - 1) / per; }

}  // namespace unisim
