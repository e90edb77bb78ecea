#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

/// SHA-256 (FIPS 180-4), for naming contents: files, texts, models.
namespace unisim {

/// In pieces: update() as often as there are any, hex() once.
class Sha256 {
 public:
  void update(std::span<const std::byte> bytes);
  /// 64 lower-case hexadecimal digits. Ends it: no update() afterwards.
  std::string hex();

 private:
  std::array<uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_{};
  uint64_t length_ = 0;  // bytes so far
};

std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view text);

/// Of a file of any size, read in pieces. Throws filesystem_error if it cannot be opened or read, DataError
/// if it is no regular file or changed while it was read.
std::string sha256_of_file(const std::filesystem::path& file);

}  // namespace unisim
