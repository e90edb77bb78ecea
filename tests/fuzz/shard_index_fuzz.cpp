#include <unisim/error.h>

#include <cstdlib>

#include "io/shard_index.h"

using namespace unisim;

/// Any bytes are an index or a DataError; an index names a shard for every tensor, and no shard without one.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const ShardIndex index = parse_shard_index(std::as_bytes(std::span(data, size)), "fuzz.index.json", {});
    std::set<std::string> used;
    for (const auto& [tensor, shard] : index.shard_of) used.insert(shard);
    if (used.empty() || used != index.shards) std::abort();
  } catch (const DataError&) {
  }
  return 0;
}
