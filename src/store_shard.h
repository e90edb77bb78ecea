#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>

#include "io/file.h"

/// The data files of a store: float32 rows, one after another, little-endian. Where each is, the index knows.
namespace unisim {

static_assert(std::endian::native == std::endian::little, "shards are little-endian");

/// A SHA-256.
using StoreKey = std::array<std::byte, 32>;

/// FNV-1a, 64 bits, byte by byte: of two inputs that differ in one byte it always differs.
class Checksum {
 public:
  Checksum& add(std::span<const std::byte> bytes) {
    for (const std::byte byte : bytes) value_ = (value_ ^ std::to_integer<uint64_t>(byte)) * 0x100000001b3;
    return *this;
  }
  int64_t value() const { return std::bit_cast<int64_t>(value_); }  // SQLite's integers have a sign

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

/// A shard that this writer alone has: a name that no other has, made with O_EXCL. Every error is a
/// filesystem_error; after one the shard is not to be used again (what a failed sync left on the disk is
/// unknown).
class ShardWriter {
 public:
  explicit ShardWriter(const std::filesystem::path& folder);
  ~ShardWriter();
  ShardWriter(const ShardWriter&) = delete;
  ShardWriter& operator=(const ShardWriter&) = delete;

  std::string name() const { return file_.filename().string(); }
  int64_t size() const { return size_; }
  void append(std::span<const std::byte> bytes);
  /// All that was appended is on the disk; its name is once the folder is.
  void make_durable();

 private:
  std::filesystem::path file_;
  int descriptor_ = -1;
  int64_t size_ = 0;
};

/// The names in a folder are on the disk.
void make_folder_durable(const std::filesystem::path& folder);

/// Opened shards of a folder; a few, since a process may have few descriptors.
class ShardReaders {
 public:
  /// Throws DataError or filesystem_error if there is no such regular file in the folder itself.
  std::shared_ptr<const FileReader> open(const std::filesystem::path& folder, const std::string& name);

 private:
  std::map<std::string, std::shared_ptr<const FileReader>> opened_;
};

}  // namespace unisim
