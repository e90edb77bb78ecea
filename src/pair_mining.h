#pragma once

#include <unisim/error.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernels.h"
#include "place_copy.h"

/// Mining over the place type, without torch: pair_filter lets too many pairs through, a band of rows at a
/// time, and pair_rescore decides on each in double.
namespace unisim {

struct ScoredPair {
  int64_t i = 0, j = 0;
  double alike = 0, apart = 0;

  bool operator==(const ScoredPair&) const = default;
};

/// Memory of the place, at least 16-byte aligned, for as long as the handle lives; none where there is no
/// more.
using PlaceMemory = std::function<std::shared_ptr<void>(std::size_t bytes)>;

struct PairMining {
  double alike_above = 0;
  double apart_below = 0;
  PlaceMemory memory;
  std::function<void(int64_t done, int64_t total)> progress = {};  ///< in bands
  int64_t band_rows = 8192;               ///< their numbers stay in a device's cache beside a column of tiles
  int64_t capacity = int64_t{1} << 20;    ///< pairs that the list holds at first
  int64_t most_pairs = int64_t{1} << 26;  ///< where a band finds more it is halved, down to one row
};

/// The largest float from which no cosine above the threshold can be missed.
inline float lowered(double threshold, double guard) {
  const double low = std::clamp(threshold - guard, -8.0, 8.0);  // beyond [-1, 1] all are the same
  return std::nextafter(static_cast<float>(low), -std::numeric_limits<float>::infinity());
}

/// Rows on the place and their squared_lengths there.
template <class T>
struct SquaredRows {
  Rows<const T> rows;
  const double* squares = nullptr;
};

template <class P, class A, class B>
class PairMiner {
 public:
  PairMiner(P place, SquaredRows<A> alike, Rows<const B> apart, const PairMining& mining)
      : place_(place),
        alike_(alike.rows),
        apart_(apart),
        mining_(mining),
        above_(lowered(mining.alike_above, pair_filter_guard<f16>(alike.rows.width))) {
    const int64_t stride = ceil_div(alike_.width, 8) * 8;  // aligned rows
    unit_memory_ = taken(alike_.rows * stride, sizeof(f16), "unit rows");
    const Rows<f16> unit{static_cast<f16*>(unit_memory_.get()), alike_.rows, alike_.width, stride};
    unit_rows(place_, alike_, alike.squares, unit);
    unit_ = {unit.data, unit.rows, unit.width, unit.stride};
    count_ = taken(1, sizeof(unsigned long long), "a counter");
    make_room(std::clamp<int64_t>(alike_.rows * (alike_.rows - 1) / 2, 1, mining.capacity));
  }

  std::vector<ScoredPair> run() {
    const int64_t bands = ceil_div(alike_.rows, mining_.band_rows);
    for (int64_t band = 0; band < bands; ++band) {
      mine_band(band * mining_.band_rows, std::min(alike_.rows, (band + 1) * mining_.band_rows));
      if (mining_.progress) mining_.progress(band + 1, bands);
    }
    std::sort(kept_.begin(), kept_.end(), [](const ScoredPair& x, const ScoredPair& y) {
      return std::pair(x.i, x.j) < std::pair(y.i, y.j);
    });
    return std::move(kept_);
  }

 private:
  std::shared_ptr<void> taken(int64_t count, std::size_t size, const char* what) {
    const std::size_t bytes = static_cast<std::size_t>(count) * size;
    std::shared_ptr<void> memory = mining_.memory(bytes);
    if (!memory)
      throw std::runtime_error(text_of("[mine_blind_pairs] no memory on the device for ", what, ": ", bytes,
                                       " bytes asked, for ", alike_.rows, " rows"));
    return memory;
  }

  /// The list, its old memory given back first: two arrays of scores, then the pairs.
  void make_room(int64_t capacity) {
    list_memory_.reset();
    list_memory_ = taken(capacity, 2 * sizeof(double) + sizeof(RowPair), "a list of pairs");
    alike_scores_ = static_cast<double*>(list_memory_.get());
    apart_scores_ = alike_scores_ + capacity;
    list_ = {reinterpret_cast<RowPair*>(apart_scores_ + capacity), capacity,
             static_cast<unsigned long long*>(count_.get())};
  }

  int64_t filter(int64_t first, int64_t last) {
    fill_zero(place_, list_.count, sizeof *list_.count);
    pair_filter(place_, unit_, PairBand{first, last, above_}, list_);
    unsigned long long count = 0;
    copy_to_host(place_, &count, list_.count, sizeof count);
    return static_cast<int64_t>(count);
  }

  /// A list that overflowed is thrown away whole and the same rows run again, so that no pair is lost or
  /// repeated.
  void mine_band(int64_t first, int64_t last) {
    int64_t height = last - first;
    while (first < last) {
      const int64_t end = std::min(last, first + height);
      const int64_t count = filter(first, end);
      if (count <= list_.capacity) {
        decide(count);
        first = end;
      } else if (count > mining_.most_pairs && height > 1) {
        height /= 2;
      } else {
        make_room(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(count))));
      }
    }
  }

  void decide(int64_t count) {
    if (count == 0) return;
    pair_rescore(place_, alike_, list_.pairs, count, alike_scores_);
    pair_rescore(place_, apart_, list_.pairs, count, apart_scores_);
    const auto size = static_cast<std::size_t>(count);
    std::vector<RowPair> pairs(size);
    std::vector<double> alike(size), apart(size);
    copy_to_host(place_, pairs.data(), list_.pairs, size * sizeof(RowPair));
    copy_to_host(place_, alike.data(), alike_scores_, size * sizeof(double));
    copy_to_host(place_, apart.data(), apart_scores_, size * sizeof(double));
    for (std::size_t p = 0; p < size; ++p)
      if (alike[p] > mining_.alike_above && apart[p] < mining_.apart_below)
        kept_.push_back({pairs[p].i, pairs[p].j, alike[p], apart[p]});
  }

  const P place_;
  const Rows<const A> alike_;
  const Rows<const B> apart_;
  const PairMining& mining_;
  const float above_;
  std::shared_ptr<void> unit_memory_, count_, list_memory_;
  Rows<const f16> unit_;
  PairList list_;
  double *alike_scores_ = nullptr, *apart_scores_ = nullptr;
  std::vector<ScoredPair> kept_;
};

/// The pairs i < j with a cosine above alike_above in `alike` and below apart_below in `apart`, both strict
/// and in double, sorted by (i, j): those of brute force. Rows are finite, equally many, fewer than 2^31, of
/// float or double. std::runtime_error says what was asked where memory ends. An exception of progress ends
/// the run.
template <class P, class A, class B>
std::vector<ScoredPair> mine_pairs(P place, SquaredRows<A> alike, Rows<const B> apart,
                                   const PairMining& mining) {
  if (alike.rows.rows == 0) return {};
  return PairMiner<P, A, B>(place, alike, apart, mining).run();
}

}  // namespace unisim
