#pragma once

#include <cstdint>
#include <vector>

#include "half.h"
#include "support.h"

/// Numbers as kernels store them, for tests.
namespace unisim::test {

template <class T>
std::vector<T> stored(const std::vector<float>& values) {
  std::vector<T> out;
  for (const float value : values) out.push_back(rounded<T>(value));
  return out;
}

template <class T>
std::vector<float> floats(const std::vector<T>& values) {
  std::vector<float> out;
  for (const T value : values) out.push_back(to_float(value));
  return out;
}

/// Normally distributed numbers, rounded to T.
template <class T>
std::vector<T> random_stored(int64_t count, uint64_t seed, float scale = 1) {
  std::vector<float> values = random_floats(static_cast<std::size_t>(count), seed);
  for (float& value : values) value *= scale;
  return stored<T>(values);
}

/// The largest relative error of one rounding to T.
template <class T>
constexpr double rounding_of = 0x1p-24;
template <>
constexpr double rounding_of<bf16> = 0x1p-8;
template <>
constexpr double rounding_of<f16> = 0x1p-11;

}  // namespace unisim::test
