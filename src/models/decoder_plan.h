#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decoder.h"

/// Which rows of a run see which keys: what any executor of Decoder::run has to do in its attention.
namespace unisim {

/// Rows of queries that all see the same keys.
struct SeenKeys {
  int64_t query = 0, queries = 0;    ///< among the rows that are finished
  const KeysValues* kept = nullptr;  ///< the keys lie there; null: they are those of the run's own rows
  int64_t key = 0, keys = 0;
  bool causal = false;               ///< query i sees the keys up to the i-th alone
};

/// `own` has each query once; what it sees besides is in `more`, whose parts are merged with it.
struct AttentionPlan {
  std::vector<int64_t> rows = {};  ///< of the run's rows, those that are finished, rising
  std::vector<SeenKeys> own = {}, more = {};
};

/// Of a block in which every row is finished.
AttentionPlan plan_of_all(std::span<const Stretch> stretches);
/// Of the last block: of each stretch the rows from the first to the last that is wanted.
AttentionPlan plan_of_wanted(std::span<const Stretch> stretches, std::span<const int64_t> wanted);

}  // namespace unisim
