#pragma once

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "kernels.h"
#include "support.h"
#include "test_place.h"

/// Lists of pairs for the tests of pair_filter: run, sorted and checked for what must hold of any list.
namespace unisim::test {

using Pairs = std::vector<std::pair<int64_t, int64_t>>;

struct PairsFound {
  Pairs pairs;  ///< sorted; as many as there was room for
  int64_t count = 0;
};

/// Calls filter(list) with room for exactly `capacity` pairs.
template <class Filter>
PairsFound run_filter(int64_t capacity, Filter&& filter) {
  Buffer<RowPair> pairs(std::vector<RowPair>(static_cast<std::size_t>(capacity), RowPair{-1, -1}));
  Buffer<unsigned long long> count(std::vector<unsigned long long>{0});
  filter(PairList{capacity > 0 ? pairs.data() : nullptr, capacity, count.data()});
  PairsFound found;
  found.count = static_cast<int64_t>(count.host()[0]);
  for (const RowPair& pair : pairs.host())
    if (pair.i >= 0 || pair.j >= 0) found.pairs.emplace_back(pair.i, pair.j);
  std::sort(found.pairs.begin(), found.pairs.end());
  return found;
}

/// The pairs i < j, first <= i < last, with value(i, j) above `above`, sorted.
inline Pairs brute_force(int64_t n, PairBand band, const std::function<double(int64_t, int64_t)>& value) {
  Pairs pairs;
  for (int64_t i = band.first; i < std::min(band.last, n); ++i)
    for (int64_t j = i + 1; j < n; ++j)
      if (value(i, j) > double{band.above}) pairs.emplace_back(i, j);
  return pairs;
}

/// A list with room for all is exactly this.
inline void check_found(const PairsFound& found, const Pairs& expected) {
  CHECK(found.count == static_cast<int64_t>(expected.size()));
  CHECK(found.pairs == expected);
}

}  // namespace unisim::test
