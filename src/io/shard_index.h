#pragma once

#include <map>
#include <set>
#include <string>

#include "safetensors.h"

/// model.safetensors.index.json: which of a model's files holds which tensor.
namespace unisim {

constexpr int64_t shard_index_max_bytes = int64_t{64} << 20;

struct ShardIndex {
  std::map<std::string, std::string, std::less<>> shard_of;  ///< by tensor
  std::set<std::string> shards;                              ///< names as they stand there, not yet checked
};

/// Reads {"metadata": ..., "weight_map": {TENSOR: FILE}}; another field is Unsupported, the metadata are not
/// looked at.
ShardIndex parse_shard_index(std::span<const std::byte> bytes, const std::filesystem::path& file,
                             const SafeTensorsLimits& limits);

}  // namespace unisim
