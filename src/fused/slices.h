#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>

#include "fused/room.h"
#include "place_copy.h"
#include "place_memory.h"
#include "place_stream.h"

/// Runs a batch slice by slice through one arena. Work says what a slice needs and does:
///
///   std::size_t input_bytes(), output_bytes()              of one item
///   void stage(void* to, const void* input, int64_t first, int64_t items)   puts items of the caller's input
///   in a row std::size_t arena_bytes(int64_t items) Ends ends(void* arena, int64_t items) where input and
///   output of a slice lie void compute(Place, void* arena, int64_t items)        queues the kernels of a
///   slice; allocates nothing
namespace unisim {

struct Ends {
  void* input = nullptr;
  const void* output = nullptr;
};

/// The largest arena for up to `items` items that the place has memory for: half as many until it fits.
/// Throws OutOfMemory where there is none for one.
template <class P, class Work>
Memory<P> arena_for(P place, const Work& work, int64_t& items) {
  for (;; items /= 2) {
    try {
      return Memory<P>(place, work.arena_bytes(items));
    } catch (const OutOfMemory&) {
      if (items == 1) throw;
    }
  }
}

template <class P, class Work>
class SliceRunner;

/// Where an executor queues its work, ready for products: on Cuda a stream of its own.
template <class P>
class OwnPlace {
 public:
  P place() const { return {}; }
};
template <>
class OwnPlace<Cuda> {
 public:
  OwnPlace() { prepare_products(place()); }
  OwnPlace(const OwnPlace&) = delete;
  OwnPlace& operator=(const OwnPlace&) = delete;
  ~OwnPlace() { release_products(place()); }

  Cuda place() const { return stream_.place(); }

 private:
  Stream stream_;
};

template <class Work>
class SliceRunner<Cpu, Work> {
 public:
  SliceRunner(Cpu, Work work, int64_t items)
      : work_(std::move(work)), items_(items), arena_(arena_for(Cpu{}, work_, items_)) {}

  int64_t items() const { return items_; }

  /// n items of `input`, which is whatever work stages from, to `output`; both the host's.
  void run(const void* input, int64_t n, void* output) {
    auto* to = static_cast<char*>(output);
    for (int64_t first = 0; first < n; first += items_) {
      const int64_t count = std::min(items_, n - first);
      const Ends ends = work_.ends(arena_.data(), count);
      work_.stage(ends.input, input, first, count);
      work_.compute(Cpu{}, arena_.data(), count);
      const std::size_t each = work_.output_bytes();
      std::memcpy(to + each * static_cast<std::size_t>(first), ends.output,
                  each * static_cast<std::size_t>(count));
    }
  }

 private:
  Work work_;
  int64_t items_;
  Memory<Cpu> arena_;
};

/// One stream. The host fills a pinned buffer while the slice before computes; the kernels of a slice of one
/// size are recorded when it comes a second time and then queued as a whole.
template <class Work>
class SliceRunner<Cuda, Work> {
 public:
  /// The place must be a stream of one's own, which outlives the runner.
  SliceRunner(Cuda place, Work work, int64_t items)
      : place_(place), work_(std::move(work)), items_(items), arena_(arena_for(place, work_, items_)) {
    for (Side& side : sides_) {
      side.input = PinnedBuffer(work_.input_bytes() * static_cast<std::size_t>(items_));
      side.output = PinnedBuffer(work_.output_bytes() * static_cast<std::size_t>(items_));
    }
  }

  int64_t items() const { return items_; }

  void run(const void* input, int64_t n, void* output) {
    auto* to = static_cast<char*>(output);
    for (int64_t first = 0; first < n; first += items_) {
      Side& side = sides_[first / items_ % 2];
      collect(side, to);
      side.first = first;
      side.count = std::min(items_, n - first);
      queue(side, input);
    }
    for (Side& side : sides_) collect(side, to);
  }

 private:
  struct Side {
    PinnedBuffer input, output;
    Event done;
    int64_t first = 0, count = 0;  ///< what is under way; count 0: nothing
  };

  struct Recorded {
    int64_t seen = 0;
    Graph graph;
  };

  void queue(Side& side, const void* input) {
    const Ends ends = work_.ends(arena_.data(), side.count);
    const std::size_t bytes = work_.input_bytes() * static_cast<std::size_t>(side.count);
    work_.stage(side.input.data(), input, side.first, side.count);
    copy_in(place_, ends.input, side.input.data(), bytes);
    compute(side.count);
    copy_out(place_, side.output.data(), ends.output,
             work_.output_bytes() * static_cast<std::size_t>(side.count));
    side.done.record(place_);
  }

  /// The first time a size runs as it is: libraries set themselves up then, which a recording must not hold.
  void compute(int64_t count) {
    Recorded& recorded = recorded_[count];
    if (recorded.seen++ == 1)
      recorded.graph = Graph::capture(place_, [&] { work_.compute(place_, arena_.data(), count); });
    if (recorded.graph)
      recorded.graph.launch(place_);
    else
      work_.compute(place_, arena_.data(), count);
  }

  void collect(Side& side, char* to) {
    if (side.count == 0) return;
    side.done.synchronize();
    std::memcpy(to + work_.output_bytes() * static_cast<std::size_t>(side.first), side.output.data(),
                work_.output_bytes() * static_cast<std::size_t>(side.count));
    side.count = 0;
  }

  Cuda place_;
  Work work_;
  int64_t items_;
  Memory<Cuda> arena_;
  Side sides_[2];
  std::map<int64_t, Recorded> recorded_;
};

}  // namespace unisim
