#include <numeric>

#include "kernels.h"
#include "test_place.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// Bytes that differ from their neighbours near and far.
std::vector<uint8_t> bytes(int64_t count, unsigned seed) {
  std::vector<uint8_t> values(static_cast<std::size_t>(count));
  for (std::size_t k = 0; k < values.size(); ++k)
    values[k] = static_cast<uint8_t>((k * 2654435761u + seed) >> 7);
  return values;
}

struct Offsets {
  int64_t a = 0, b = 0, out = 0;
};

void check(int64_t tokens, int64_t token_bytes, Offsets at) {
  CAPTURE(tokens, token_bytes, at.a, at.b, at.out);
  const int64_t count = tokens * token_bytes;
  const std::vector<uint8_t> a = bytes(at.a + count, 1), b = bytes(at.b + count, 1000);
  std::vector<uint8_t> want(static_cast<std::size_t>(at.out + 2 * count + 5), 77);
  for (int64_t n = 0; n < tokens; ++n)
    for (int64_t k = 0; k < token_bytes; ++k) {
      want[at.out + 2 * n * token_bytes + k] = a[at.a + n * token_bytes + k];
      want[at.out + (2 * n + 1) * token_bytes + k] = b[at.b + n * token_bytes + k];
    }
  each_round([&] {
    const Buffer<uint8_t> x(a), y(b);
    Buffer<uint8_t> out(std::vector<uint8_t>(want.size(), 77));
    interleaved_mof(place(), x.data() + at.a, y.data() + at.b, tokens, token_bytes, out.data() + at.out);
    CHECK(out.host() == want);
  });
}

}  // namespace

TEST_CASE("interleaved_mof puts a's token n at 2n and b's at 2n + 1, whatever a token's bytes",
          "[interleaved_mof]") {
  const int64_t token_bytes = GENERATE(1, 2, 3, 4, 6, 16, 20, 31, 33, 64, 124, 128, 132, 496, 512, 528, 2064);
  check(5, token_bytes, {});
}

TEST_CASE("interleaved_mof is right for one token less and more than a block has warps",
          "[interleaved_mof]") {
  const int64_t tokens = GENERATE(1, 7, 8, 9, 17);
  check(tokens, 48, {});
  check(tokens, 7, {});
}

TEST_CASE("interleaved_mof reads and writes at any address", "[interleaved_mof]") {
  const Offsets at = GENERATE(Offsets{4, 0, 0}, Offsets{0, 4, 0}, Offsets{0, 0, 4}, Offsets{1, 0, 0},
                              Offsets{0, 2, 0}, Offsets{0, 0, 3}, Offsets{16, 16, 16});
  check(3, 64, at);
}

TEST_CASE("interleaved_mof of no tokens, or of empty ones, does nothing", "[interleaved_mof]") {
  check(0, 16, {});
  check(3, 0, {});
}
