#include <unisim/error.h>

#include <cstdlib>

#include "io/safetensors_header.h"

using namespace unisim;

/// Any bytes are a file or a DataError; the tensors of a file lie inside it and cover its data exactly.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const auto file_bytes = static_cast<int64_t>(size);
  try {
    int64_t total = 0, first = file_bytes;
    const auto bytes = std::as_bytes(std::span(data, size));
    for (const auto& [name, entry] : parse_safetensors_header(bytes, file_bytes, "fuzz.safetensors", {})) {
      if (entry.offset < 10 || entry.bytes < 0 || entry.offset > file_bytes - entry.bytes) std::abort();
      const auto count = element_count(entry.shape);
      if (!count || *count * size_of(entry.type) != entry.bytes) std::abort();
      total += entry.bytes;
      first = std::min(first, entry.offset);
    }
    if (first + total != file_bytes) std::abort();
  } catch (const DataError&) {
  }
  return 0;
}
