#pragma once

#include <atomic>
#include <cstring>

/// Vectors of the compiler, and which of them this machine runs. Vectors are never passed by value: functions
/// for different instruction sets would not agree on how.
namespace unisim {

/// N numbers in one register, or in several where the machine's are narrower.
template <class T, int N>
struct Lanes {
  using type [[gnu::vector_size(N * sizeof(T))]] = T;
};

enum class Isa { Baseline, Avx2, Avx512 };

/// For tests: kernels use nothing above this.
inline std::atomic<Isa> isa_limit{Isa::Avx512};

inline Isa isa() {
  static const Isa best = __builtin_cpu_supports("avx512f")                                 ? Isa::Avx512
                          : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? Isa::Avx2
                                                                                            : Isa::Baseline;
  return best < isa_limit ? best : isa_limit.load();
}

/// The version of a function for the instruction set at hand.
template <class F>
F* by_isa(F* baseline, F* avx2, F* avx512) {
  return isa() == Isa::Avx512 ? avx512 : isa() == Isa::Avx2 ? avx2 : baseline;
}

}  // namespace unisim

/// Joins the caller's instruction set, whichever that is.
#define UNISIM_INLINE [[gnu::always_inline]] inline
