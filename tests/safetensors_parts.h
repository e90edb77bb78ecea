#pragma once

#include <unisim/error.h>

#include <optional>

#include "io/safetensors.h"
#include "support.h"

/// Files for the tests of safetensors, right and wrong.
namespace unisim::test {

/// A file as the format has it: the header's length, the header, then `data` zeros.
inline std::string container(const std::string& header, std::size_t data = 0,
                             std::optional<uint64_t> length = {}) {
  std::string file;
  for (int i = 0; i < 8; ++i) file += static_cast<char>((length.value_or(header.size()) >> (8 * i)) & 0xFF);
  return file + header + std::string(data, '\0');
}

/// One tensor "t" with these three fields, in a file with `data` bytes behind the header.
inline std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets,
                       std::size_t data) {
  return container(
      R"({"t":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}", data);
}

/// A tensor of bytes as a header has it.
inline std::string bytes_entry(const std::string& name, int begin, int end) {
  return text_of('"', name, R"(":{"dtype":"U8","shape":[)", end - begin, R"(],"data_offsets":[)", begin, ',',
                 end, "]}");
}

/// A file with one tensor of this name, as the shards of the tests are.
inline std::vector<std::byte> shard(const std::string& tensor) {
  const std::vector<float> value = {static_cast<float>(tensor.size())};
  const std::vector<TensorBytes> tensors = {{tensor, TensorType::F32, {1}, std::as_bytes(std::span(value))}};
  return safetensors_bytes(tensors);
}

}  // namespace unisim::test
