#include "shard_index.h"

#include <unisim/error.h>

#include "json.h"
#include "quote.h"

namespace unisim {

ShardIndex parse_shard_index(std::span<const std::byte> bytes, const std::filesystem::path& file,
                             const SafeTensorsLimits& limits) {
  const Json document = parse_json(bytes, file, {.max_bytes = shard_index_max_bytes});
  Fields fields(document, file);
  fields.ignore({"metadata"});
  const Json& map = fields.value("weight_map");
  if (!map.is_object() || map.empty()) fields.refuse("weight_map", "an object from tensor to file");
  fields.finish();
  ShardIndex index;
  for (const auto& [tensor, shard] : map.items()) {
    require_data(shard.is_string(), file, "weight_map: the file of ", in_quotes(tensor), " is no string");
    index.shards.insert(shard.get_ref<const std::string&>());
    index.shard_of.emplace(tensor, shard.get_ref<const std::string&>());
  }
  const auto count = static_cast<int64_t>(index.shards.size());
  require_data(count <= limits.max_shards, file, count, " shards, expected at most ", limits.max_shards);
  return index;
}

}  // namespace unisim
