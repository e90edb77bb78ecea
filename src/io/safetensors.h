#pragma once

#include "file.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// The safetensors format, read without trust: one file, or shards named by an index.
namespace unisim {

enum class TensorType { F64, F32, F16, BF16, I64, I32, I16, I8, U8, Bool };

std::string_view name_of(TensorType type);  ///< "F32"
int64_t size_of(TensorType type);           ///< bytes an element

struct TensorEntry {
  TensorType type = TensorType::F32;
  std::vector<int64_t> shape;
  int64_t offset = 0;  ///< bytes from the start of the file
  int64_t bytes = 0;
  std::size_t file = 0;  ///< index into SafeTensors::files()
};

struct SafeTensorsLimits {
  int64_t max_header_bytes = int64_t{16} << 20;  ///< the format itself allows 100 MB
  int64_t max_tensors = 200'000;                 ///< of one file
  int64_t max_shards = 1024;
};

/// The tensors of a model folder: their names, types and shapes at once, their bytes when asked.
///
/// Header rules: length within the limits and the file; begins with '{'; no duplicate keys; UTF-8; shape times
/// element size without overflow equals the byte range; ranges contiguous from 0 to exactly the end of the file;
/// at most 8 dimensions, names to 512 bytes. Anything else is a DataError naming file and tensor; an element type of
/// the format that we do not read (F8_E4M3, U16, ...), or a pickle, zip, HDF5 or GGUF file in place of one, told by
/// its first bytes, is Unsupported. Values are not looked at: a NaN is read as it stands.
class SafeTensors {
 public:
  /// A .safetensors file.
  static SafeTensors open_file(const std::filesystem::path& file, const SafeTensorsLimits& limits = {});
  /// Of a folder: the first of `stems` ("model", "open_clip_model") with STEM.safetensors or
  /// STEM.safetensors.index.json and its shards. DataError listing what was looked for and what is there instead
  /// (pytorch_model.bin: "convert it with unisim convert"). Every tensor lies in exactly the shard that the index
  /// says; none is missing and none is there besides. Files are opened inside the folder alone (see file_inside).
  static SafeTensors open_folder(const std::filesystem::path& folder, const std::vector<std::string>& stems,
                                 const SafeTensorsLimits& limits = {});

  const std::vector<std::filesystem::path>& files() const { return files_; }
  const std::map<std::string, TensorEntry, std::less<>>& entries() const { return entries_; }
  const TensorEntry* find(std::string_view name) const;  ///< null if there is none
  /// The tensor's bytes into `to`, which is exactly entry.bytes long. Several threads may read at once. DataError if
  /// the file was written to since it was opened.
  void read(const TensorEntry& entry, std::span<std::byte> to) const;

 private:
  void add_file(FileReader reader, const SafeTensorsLimits& limits);
  void add_shards(const std::filesystem::path& folder, const std::string& index, const SafeTensorsLimits& limits);

  std::vector<std::filesystem::path> files_;
  std::vector<std::shared_ptr<const FileReader>> readers_;
  std::map<std::string, TensorEntry, std::less<>> entries_;
};

/// A tensor to be written: its bytes in row-major order, little-endian.
struct TensorBytes {
  std::string name;
  TensorType type = TensorType::F32;
  std::vector<int64_t> shape;
  std::span<const std::byte> bytes;
};
/// The bytes of a .safetensors file with these tensors, wide elements first and then by name, so that each is aligned.
/// The metadata say what wrote them; transformers insists on a "format". Throws std::invalid_argument for whatever the
/// reader would refuse.
std::vector<std::byte> safetensors_bytes(std::span<const TensorBytes> tensors,
                                         const std::map<std::string, std::string>& metadata = {{"format", "pt"}});

}  // namespace unisim
