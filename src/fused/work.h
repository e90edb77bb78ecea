#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "fused/slices.h"
#include "fused/text.h"
#include "fused/vision.h"

/// What SliceRunner runs: a tower's own rows, hidden states, texts.
namespace unisim {

template <class P, class T>
struct VisionWork {
  const FusedVision<P, T>* tower;

  std::size_t input_bytes() const { return static_cast<std::size_t>(tower->pixels()) * sizeof(float); }
  std::size_t output_bytes() const { return static_cast<std::size_t>(tower->dim()) * sizeof(T); }
  std::size_t arena_bytes(int64_t items) const {
    Arena arena;
    tower->take(arena, items);
    return arena.used();
  }
  void stage(void* to, const void* pixels, int64_t first, int64_t items) const {
    const std::size_t each = input_bytes();
    std::memcpy(to, static_cast<const char*>(pixels) + each * static_cast<std::size_t>(first),
                each * static_cast<std::size_t>(items));
  }
  VisionRoom<T> room(void* memory, int64_t items) const {
    Arena arena(memory);
    return tower->take(arena, items);
  }
  Ends ends(void* memory, int64_t items) const {
    const VisionRoom<T> r = room(memory, items);
    return {r.pixels, r.out};
  }
  void compute(P place, void* memory, int64_t items) const {
    tower->embed(place, room(memory, items), items);
  }
};

/// Hidden state `layer` of every token.
template <class P, class T>
struct HiddenWork : VisionWork<P, T> {
  int64_t layer = 0;

  std::size_t output_bytes() const {
    return static_cast<std::size_t>(this->tower->tokens() * this->tower->width()) * sizeof(T);
  }
  Ends ends(void* memory, int64_t items) const {
    const VisionRoom<T> r = this->room(memory, items);
    return {r.pixels, r.block.x};
  }
  void compute(P place, void* memory, int64_t items) const {
    this->tower->hidden(place, this->room(memory, items), items, layer);
  }
};

struct TextItems {
  const int64_t* ids = nullptr;    ///< [n, length]
  const int64_t* index = nullptr;  ///< [n]: the row that stands for each text
};

/// Texts of one length, given as TextItems.
template <class P, class T>
struct TextWork {
  const FusedText<P, T>* tower;
  int64_t length;

  std::size_t input_bytes() const { return static_cast<std::size_t>(length + 1) * sizeof(int64_t); }
  std::size_t output_bytes() const { return static_cast<std::size_t>(tower->dim()) * sizeof(T); }
  std::size_t arena_bytes(int64_t items) const {
    Arena arena;
    tower->take(arena, items, length);
    return arena.used();
  }
  void stage(void* to, const void* input, int64_t first, int64_t items) const {
    const auto& texts = *static_cast<const TextItems*>(input);
    auto* ids = static_cast<int64_t*>(to);
    std::copy_n(texts.ids + first * length, items * length, ids);
    std::copy_n(texts.index + first, items, ids + items * length);
  }
  TextRoom<T> room(void* memory, int64_t items) const {
    Arena arena(memory);
    return tower->take(arena, items, length);
  }
  Ends ends(void* memory, int64_t items) const {
    const TextRoom<T> r = room(memory, items);
    return {r.ids, r.out};
  }
  void compute(P place, void* memory, int64_t items) const {
    tower->embed(place, room(memory, items), items, length);
  }
};

}  // namespace unisim
