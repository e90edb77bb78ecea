#include "test_place.h"
#include "simt/simt.h"

namespace unisim::test {

std::vector<uint64_t> rounds() { return simt::seeds(); }

void begin_round(uint64_t seed) {
  simt::report();
  simt::options = {};
  simt::options.seed = seed;
}

std::string end_round() { return simt::report(); }

}  // namespace unisim::test
