// Counters: the lanes of a warp that meet at one instruction make one request, of global sectors or of shared
// banks.

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "machine.h"

namespace simt {
namespace {

struct Part {
  uintptr_t address;
  uint32_t size;
  unsigned lane;
};
/// Warp, instruction, epoch between operations of the warp, how often the lane came by since: one request.
using Key = std::tuple<unsigned, const void*, uint32_t, uint32_t, Space, Access>;

std::map<Key, std::vector<Part>> requests;
std::map<std::string, Traffic> kernels;

/// Sorted, disjoint [begin, end) of all parts.
std::vector<std::pair<uintptr_t, uintptr_t>> merged(std::vector<Part> parts) {
  std::sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.address < b.address; });
  std::vector<std::pair<uintptr_t, uintptr_t>> out;
  for (const Part& part : parts) {
    const uintptr_t end = part.address + part.size;
    if (!out.empty() && part.address <= out.back().second)
      out.back().second = std::max(out.back().second, end);
    else
      out.emplace_back(part.address, end);
  }
  return out;
}

void add_global(Traffic& sum, const std::vector<Part>& parts, Access kind) {
  if (kind == Access::Atomic) {
    ++sum.atomics;
    return;
  }
  uint64_t bytes = 0, sectors = 0;
  uintptr_t last = ~uintptr_t{0};
  for (const auto& [begin, end] : merged(parts)) {
    bytes += end - begin;
    for (uintptr_t sector = begin / 32; sector <= (end - 1) / 32; ++sector)
      if (sector != last) {
        ++sectors;
        last = sector;
      }
  }
  const bool read = kind == Access::Read;
  (read ? sum.bytes_read : sum.bytes_written) += bytes;
  (read ? sum.sectors_read : sum.sectors_written) += sectors;
  (read ? sum.least_sectors_read : sum.least_sectors_written) += (bytes + 31) / 32;
}

/// Lanes that one pass can serve together: 4-byte accesses all, 8-byte ones by halves, 16-byte ones by
/// quarters.
void add_shared(Traffic& sum, const std::vector<Part>& parts) {
  uint32_t size = 4;
  for (const Part& part : parts) size = std::max(size, part.size);
  const unsigned lanes = size <= 4 ? 32 : size <= 8 ? 16 : 8;
  for (unsigned first = 0; first < kLanes; first += lanes) {
    std::set<uintptr_t> words;
    for (const Part& part : parts)
      if (part.lane >= first && part.lane < first + lanes)
        for (uintptr_t word = part.address / 4; word <= (part.address + part.size - 1) / 4; ++word)
          words.insert(word);
    if (words.empty()) continue;
    uint64_t in_bank[32] = {}, most = 0;
    for (const uintptr_t word : words) most = std::max(most, ++in_bank[word % 32]);
    sum.wavefronts += most;
    sum.least_wavefronts += (words.size() + 31) / 32;
  }
}

}  // namespace

void next_epoch(Thread& thread, uint32_t epoch) {
  thread.epoch = epoch;
  thread.occurrences.clear();
}

void count_access(Thread& thread, Space space, const void* address, std::size_t size, Access kind,
                  const void* site) {
  const void* key = static_cast<const char*>(site) + static_cast<int>(kind);
  auto seen = std::find_if(thread.occurrences.begin(), thread.occurrences.end(),
                           [&](const auto& entry) { return entry.first == key; });
  if (seen == thread.occurrences.end()) seen = thread.occurrences.insert(seen, {key, 0});
  requests[{thread.warp(), key, thread.epoch, seen->second++, space, kind}].push_back(
      {reinterpret_cast<uintptr_t>(address), static_cast<uint32_t>(size), thread.lane()});
}

void count_block_end() {
  if (requests.empty()) return;
  Traffic& sum = kernels[machine.kernel];
  sum.kernel = machine.kernel;
  for (const auto& [key, parts] : requests) {
    if (std::get<Space>(key) == Space::Global)
      add_global(sum, parts, std::get<Access>(key));
    else
      add_shared(sum, parts);
  }
  requests.clear();
}

std::vector<Traffic> traffic() {
  drain_streams();
  std::vector<Traffic> all;
  for (auto& [name, sum] : kernels) all.push_back(sum);
  kernels.clear();
  return all;
}

}  // namespace simt
