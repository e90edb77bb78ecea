// interleaved_mof: two streams of tokens into one, by turns. Bytes are moved, so every dtype is exact.

#include <cstring>

#include "../kernels.h"

namespace unisim {

void interleaved_mof(Cpu, const void* a, const void* b, int64_t tokens, int64_t token_bytes, void* out) {
  if (token_bytes == 0) return;  // there may be no memory at all
  const auto bytes = static_cast<std::size_t>(token_bytes);
  const char* from[] = {static_cast<const char*>(a), static_cast<const char*>(b)};
  auto* to = static_cast<char*>(out);
  for (int64_t n = 0; n < tokens; ++n)
    for (const char* source : from) {
      std::memcpy(to, source + n * token_bytes, bytes);
      to += bytes;
    }
}

}  // namespace unisim
