#pragma once

#include <vector_types.h>

#include <cstdint>
#include <string>
#include <type_traits>

#include "machine.h"

/// What the names of device.cuh do. These templates are instantiated in kernel files, whose accesses the
/// compiler announces; they announce their own, so they must not be announced a second time, nor be inlined
/// into what is.
#define SIMT_UNWATCHED __attribute__((no_sanitize("thread")))
#define SIMT_ACCESS __attribute__((no_sanitize("thread"), noinline))

namespace simt {

uint3 thread_index();
uint3 block_index();
dim3 block_shape();
dim3 grid_shape();

/// The kernel's own text out of the text of a launch: up to the first comma outside of brackets.
std::string kernel_text(const char* launch);

inline void sync_warp(Site where, unsigned mask = 0xffffffffu) {
  meet(Kind::SyncWarp, mask, where, nullptr, nullptr);
}

enum class From : uint8_t { Index, Xor, Up, Down };

/// The lane that a shuffle reads, its own where the segment ends.
inline unsigned source_lane(From from, unsigned lane, unsigned by, unsigned width) {
  const unsigned first = lane & ~(width - 1), last = first + width - 1;
  if (from == From::Index) return first | (by & (width - 1));
  if (from == From::Xor) return (lane ^ by) <= last ? lane ^ by : lane;
  if (from == From::Up) return by <= lane - first ? lane - by : lane;
  return lane + by <= last ? lane + by : lane;
}

template <class T>
struct ShuffleSlot {
  T in, out;
  unsigned source;
};

template <From from, class T>
SIMT_ACCESS T shuffle(Site where, unsigned mask, T value, unsigned by, int width = 32) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  ShuffleSlot<T> slot{value, value, source_lane(from, current->lane(), by, static_cast<unsigned>(width))};
  meet(Kind::Shuffle, mask, where, &slot, [](Meeting& meeting) SIMT_UNWATCHED {
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      if (!(meeting.mask >> lane & 1)) continue;
      auto& mine = *static_cast<ShuffleSlot<T>*>(meeting.slots[lane]);
      if (!(meeting.mask >> mine.source & 1))
        find_fatal("divergence", meeting.where,
                   "lane " + std::to_string(lane) + " takes a value from lane " +
                       std::to_string(mine.source) + ", which the mask omits");
      mine.out = static_cast<const ShuffleSlot<T>*>(meeting.slots[mine.source])->in;
    }
  });
  return slot.out;
}

struct VoteSlot {
  bool in;
  unsigned out;
};
inline unsigned ballot(Site where, unsigned mask, bool predicate) {
  VoteSlot slot{predicate, 0};
  meet(Kind::Vote, mask, where, &slot, [](Meeting& meeting) {
    unsigned votes = 0;
    for (unsigned lane = 0; lane < kLanes; ++lane)
      if (meeting.mask >> lane & 1 && static_cast<VoteSlot*>(meeting.slots[lane])->in) votes |= 1u << lane;
    for (unsigned lane = 0; lane < kLanes; ++lane)
      if (meeting.mask >> lane & 1) static_cast<VoteSlot*>(meeting.slots[lane])->out = votes;
  });
  return slot.out;
}

enum class Fold : uint8_t { Add, Min, Max, And, Or, Xor };

template <Fold fold, class T>
T folded(T a, T b) {
  if constexpr (fold == Fold::Add) return a + b;
  if constexpr (fold == Fold::Min) return b < a ? b : a;
  if constexpr (fold == Fold::Max) return a < b ? b : a;
  if constexpr (fold == Fold::And) return a & b;
  if constexpr (fold == Fold::Or) return a | b;
  if constexpr (fold == Fold::Xor) return a ^ b;
}

template <Fold fold, class T>
SIMT_ACCESS T reduce(Site where, unsigned mask, T value) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>,
                "__reduce_*_sync takes 32-bit integers");
  ShuffleSlot<T> slot{value, value, 0};
  meet(Kind::Reduce, mask, where, &slot, [](Meeting& meeting) SIMT_UNWATCHED {
    bool first = true;
    T sum{};
    for (unsigned lane = 0; lane < kLanes; ++lane) {
      if (!(meeting.mask >> lane & 1)) continue;
      const T in = static_cast<ShuffleSlot<T>*>(meeting.slots[lane])->in;
      sum = first ? in : folded<fold>(sum, in);
      first = false;
    }
    for (unsigned lane = 0; lane < kLanes; ++lane)
      if (meeting.mask >> lane & 1) static_cast<ShuffleSlot<T>*>(meeting.slots[lane])->out = sum;
  });
  return slot.out;
}

/// What `to` held before `change` of it took its place.
template <class T, class F>
SIMT_ACCESS T atomic(T* to, const void* site, F change) {
  access(to, sizeof(T), Access::Atomic, {nullptr, 0, site});
  const T before = *to;
  *to = change(before);
  yield_sometimes();
  return before;
}

template <class T>
constexpr bool is_atomic_type = std::is_same_v<T, int> || std::is_same_v<T, unsigned> ||
                                std::is_same_v<T, unsigned long long> || std::is_same_v<T, float>;

template <class T>
SIMT_ACCESS T atomic_add(T* to, std::type_identity_t<T> by) {
  static_assert(is_atomic_type<T>);
  return atomic(to, __builtin_return_address(0), [by](T x) SIMT_UNWATCHED { return x + by; });
}
template <class T>
SIMT_ACCESS T atomic_max(T* to, std::type_identity_t<T> with) {
  static_assert(is_atomic_type<T> && !std::is_same_v<T, float>);
  return atomic(to, __builtin_return_address(0), [with](T x) SIMT_UNWATCHED { return x < with ? with : x; });
}
template <class T>
SIMT_ACCESS T atomic_min(T* to, std::type_identity_t<T> with) {
  static_assert(is_atomic_type<T> && !std::is_same_v<T, float>);
  return atomic(to, __builtin_return_address(0), [with](T x) SIMT_UNWATCHED { return with < x ? with : x; });
}
template <class T>
SIMT_ACCESS T atomic_exchange(T* to, std::type_identity_t<T> with) {
  static_assert(is_atomic_type<T>);
  return atomic(to, __builtin_return_address(0), [with](T) SIMT_UNWATCHED { return with; });
}
template <class T>
SIMT_ACCESS T atomic_cas(T* to, std::type_identity_t<T> expected, std::type_identity_t<T> with) {
  static_assert(is_atomic_type<T> && !std::is_same_v<T, float>);
  return atomic(to, __builtin_return_address(0),
                [expected, with](T x) SIMT_UNWATCHED { return x == expected ? with : x; });
}

// ---- matrix.cpp
// -----------------------------------------------------------------------------------------------

enum class Element : uint8_t { Bf16, F16, S8 };

void load_matrices(Site where, int count, bool transposed, uint32_t* r, const void* row);
/// d += a b; d is float, or int32 for S8.
void multiply(Site where, Element element, void* d, const uint32_t* a, const uint32_t* b);

}  // namespace simt
