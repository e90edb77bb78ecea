#pragma once

#include <unisim/error.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "simt.h"

namespace simt {

/// A row of the table that scripts/gpu_traffic prints: bytes beside the least that the tiling needs, sectors
/// and passes over the banks beside the least that could hold what was asked for.
inline void print_traffic(const Traffic& t, const std::string& shape, uint64_t least_bytes) {
  const auto share = [](uint64_t found, uint64_t least) {
    return least == 0 ? 1.0 : static_cast<double>(found) / static_cast<double>(least);
  };
  std::printf("traffic %-44s %-34s bytes %9llu, %.3f of least; sectors read %.3f, written %.3f; banks %.3f\n",
              t.kernel.c_str(), shape.c_str(),
              static_cast<unsigned long long>(t.bytes_read + t.bytes_written),
              share(t.bytes_read + t.bytes_written, least_bytes), share(t.sectors_read, t.least_sectors_read),
              share(t.sectors_written, t.least_sectors_written), share(t.wavefronts, t.least_wavefronts));
}

}  // namespace simt
