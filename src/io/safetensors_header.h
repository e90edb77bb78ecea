#pragma once

#include <optional>

#include "safetensors.h"

/// The first part of a .safetensors file: eight bytes of length, then JSON that says where each tensor lies.
namespace unisim {

constexpr int64_t safetensors_max_dims = 8;
constexpr std::size_t safetensors_max_name = 512;

using TensorEntries = std::map<std::string, TensorEntry, std::less<>>;

/// The tensors of a file of `file_bytes` bytes, of which `begin` holds the first: all of the header, or the
/// whole file where that is shorter. Offsets count from the start of the file. Every rule of the header is
/// checked here.
TensorEntries parse_safetensors_header(std::span<const std::byte> begin, int64_t file_bytes,
                                       const std::filesystem::path& file, const SafeTensorsLimits& limits);

/// Bytes that parse_safetensors_header needs, given the first sixteen (or fewer, of a shorter file).
int64_t safetensors_header_end(std::span<const std::byte> first, int64_t file_bytes,
                               const std::filesystem::path& file, const SafeTensorsLimits& limits);

/// Elements of a shape, nothing if they are more than an int64_t holds; a zero among the dimensions forgives
/// nothing.
std::optional<int64_t> element_count(std::span<const int64_t> shape);

}  // namespace unisim
