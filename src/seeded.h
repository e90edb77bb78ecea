#pragma once

#include <cstdint>

namespace unisim {

/// A random generator whose numbers are the same on every machine: SplitMix64 (Steele, Lea and Flood, OOPSLA
/// 2014), as in python/unisim/seeded.py. There a seed may be any text and is mixed into the first state; here
/// the seed is the first state, so one number as the seed of both gives two streams.
class Seeded {
 public:
  explicit Seeded(uint64_t seed) : state_(seed) {}

  /// 64 random bits.
  uint64_t bits() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
  }

  /// A whole number of [0, n), each as likely; n is at least 1.
  uint64_t below(uint64_t n) {
    const uint64_t unfair = (0 - n) % n;  // 2^64 mod n: the lowest numbers would come once too often
    uint64_t drawn = bits();
    while (drawn < unfair) drawn = bits();
    return drawn % n;
  }

 private:
  uint64_t state_;
};

}  // namespace unisim
