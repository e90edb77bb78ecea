#include "safetensors.h"

#include <unisim/error.h>

#include <algorithm>
#include <set>

#include "quote.h"
#include "safetensors_header.h"
#include "shard_index.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

/// There, whatever it is: a broken link or a folder of that name is an error of its own, not an absent file.
bool is_there(const fs::path& file) { return fs::symlink_status(file).type() != fs::file_type::not_found; }

/// What a folder has instead of safetensors, for the message.
std::string weights_instead(const fs::path& folder) {
  static const std::set<std::string> pickled{".bin", ".pt", ".pth", ".ckpt"};
  static const std::set<std::string> others{".h5", ".gguf", ".onnx", ".msgpack", ".npz", ".safetensors"};
  std::vector<std::string> found;
  bool convertible = false;
  std::error_code unreadable;
  for (fs::directory_iterator at(folder, unreadable), end; !unreadable && at != end;
       at.increment(unreadable)) {
    const std::string extension = at->path().extension().string();
    if (!pickled.contains(extension) && !others.contains(extension)) continue;
    convertible = convertible || pickled.contains(extension);
    found.push_back(in_quotes(at->path().filename().string()));
  }
  if (found.empty()) return "";
  std::sort(found.begin(), found.end());
  std::string list;
  for (std::size_t i = 0; i < std::min<std::size_t>(found.size(), 4); ++i) list += (i ? ", " : "") + found[i];
  if (found.size() > 4) list += ", ...";
  return "; there is " + list + (convertible ? ": convert it with `unisim convert`" : "");
}

ShardIndex read_index(const fs::path& folder, const std::string& name, const SafeTensorsLimits& limits) {
  const FileReader reader = FileReader::open_inside(folder, name, folder);
  const fs::path& file = reader.path();
  require_data(reader.size() <= shard_index_max_bytes, file, "has ", reader.size(),
               " bytes, expected at most ", shard_index_max_bytes);
  std::vector<std::byte> bytes(static_cast<std::size_t>(reader.size()));
  reader.read(0, bytes);
  reader.check_unchanged();
  return parse_shard_index(bytes, file, limits);
}

}  // namespace

void SafeTensors::add_file(FileReader reader, const SafeTensorsLimits& limits) {
  const auto prefix = [&](int64_t bytes) {
    std::vector<std::byte> begin(static_cast<std::size_t>(std::min(bytes, reader.size())));
    reader.read(0, begin);
    return begin;
  };
  const int64_t header_end = safetensors_header_end(prefix(16), reader.size(), reader.path(), limits);
  auto found = parse_safetensors_header(prefix(header_end), reader.size(), reader.path(), limits);
  reader.check_unchanged();
  for (auto& [name, entry] : found) {
    entry.file = files_.size();
    if (const TensorEntry* other = find(name))
      throw DataError(reader.path(), text_of("tensor ", in_quotes(name), " is in ",
                                             in_quotes(files_[other->file].filename().string()), " already"));
  }
  entries_.merge(found);
  files_.push_back(reader.path());
  readers_.push_back(std::make_shared<const FileReader>(std::move(reader)));
}

void SafeTensors::add_shards(const fs::path& folder, const std::string& name,
                             const SafeTensorsLimits& limits) {
  const ShardIndex index = read_index(folder, name, limits);
  for (const std::string& shard : index.shards)
    add_file(FileReader::open_inside(folder, shard, folder / name), limits);
  for (const auto& [tensor, shard] : index.shard_of) {
    const TensorEntry* entry = find(tensor);
    require_data(entry, folder / shard, "tensor ", in_quotes(tensor), " is missing, ", name,
                 " says it is here");
    const std::string lies_in = files_[entry->file].filename().string();
    require_data(lies_in == shard, folder / name, "tensor ", in_quotes(tensor), " is in ", in_quotes(lies_in),
                 ", expected in ", in_quotes(shard));
  }
  for (const auto& [tensor, entry] : entries_)
    require_data(index.shard_of.contains(tensor), files_[entry.file], "tensor ", in_quotes(tensor),
                 " is not in ", name);
}

SafeTensors SafeTensors::open_file(const fs::path& file, const SafeTensorsLimits& limits) {
  SafeTensors tensors;
  tensors.add_file(FileReader(file), limits);
  return tensors;
}

SafeTensors SafeTensors::open_folder(const fs::path& folder, const std::vector<std::string>& stems,
                                     const SafeTensorsLimits& limits) {
  if (!fs::exists(folder))
    throw fs::filesystem_error("cannot open", folder,
                               std::make_error_code(std::errc::no_such_file_or_directory));
  require_data(fs::is_directory(folder), folder, "is no folder, expected the folder of a model");
  SafeTensors tensors;
  std::string looked_for;
  for (const std::string& stem : stems) {
    const std::string single = stem + ".safetensors", index = single + ".index.json";
    if (is_there(folder / single)) {
      tensors.add_file(FileReader::open_inside(folder, single, folder), limits);
      return tensors;
    }
    if (is_there(folder / index)) {
      tensors.add_shards(folder, index, limits);
      return tensors;
    }
    looked_for += (looked_for.empty() ? "" : ", ") + single + ", " + index;
  }
  throw DataError(folder, text_of("no weights: expected one of ", looked_for, weights_instead(folder)));
}

const TensorEntry* SafeTensors::find(std::string_view name) const {
  const auto found = entries_.find(name);
  return found == entries_.end() ? nullptr : &found->second;
}

void SafeTensors::read(const TensorEntry& entry, std::span<std::byte> to) const {
  require(static_cast<int64_t>(to.size()) == entry.bytes, "[SafeTensors::read] the tensor has ", entry.bytes,
          " bytes, the place for it ", to.size());
  const FileReader& reader = *readers_.at(entry.file);
  reader.read(entry.offset, to);
  reader.check_unchanged();
}

}  // namespace unisim
