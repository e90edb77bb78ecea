// Device memory of exact size, and the shared memory of the running block: arrays with untouchable gaps
// between.

#include "memory.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace simt {
namespace {

constexpr std::size_t kArena = 512 * 1024, kGap = 128;

struct FreeCells {
  void operator()(Cell* cells) const { std::free(cells); }
};
using Cells = std::unique_ptr<Cell[], FreeCells>;

Cells cells_for(std::size_t bytes) {
  auto* cells =
      static_cast<Cell*>(std::calloc(bytes + 1, sizeof(Cell)));  // pages that nobody touches cost nothing
  if (!cells) throw std::bad_alloc();
  return Cells(cells);
}

struct Allocation {
  Region region;
  Cells cells;
};
std::map<uintptr_t, Allocation> allocations;  // by address
const Region* last_hit = nullptr;

/// Shared memory: one arena for all blocks.
struct Arena {
  unsigned char* bytes = nullptr;
  Cells cells;
  std::size_t used = 0;
  struct Array {
    std::string file;
    int line;
    Region region;
  };
  std::vector<Array> arrays;  // the first is the dynamic memory

  Arena() : cells(cells_for(kArena)) {
    void* memory = nullptr;
    if (posix_memalign(&memory, 4096, kArena) != 0) throw std::bad_alloc();
    bytes = static_cast<unsigned char*>(memory);
  }
  unsigned char* add(const char* file, int line, std::size_t size) {
    const std::size_t at = (used + kGap + 127) / 128 * 128;
    if (at + size + kGap > kArena)
      find_fatal("out of bounds", {file, line, nullptr}, "a block asks for more shared memory than there is");
    used = at + size;
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(bytes + at, size);
#endif
    std::memset(bytes + at, 0xff, size);
    const auto begin = reinterpret_cast<uintptr_t>(bytes + at);
    arrays.push_back({file, line, {begin, size, cells.get() + at, Space::Shared}});
    return bytes + at;
  }
};
Arena& arena() {
  static auto* the = new Arena;
  return *the;
}

}  // namespace

const Region* region_of(uintptr_t address) {
  if (in_arena(address)) {
    for (const Arena::Array& array : arena().arrays)
      if (address - array.region.begin < array.region.size) return &array.region;
    return nullptr;
  }
  if (last_hit && address - last_hit->begin < last_hit->size) return last_hit;
  auto after = allocations.upper_bound(address);
  if (after == allocations.begin()) return nullptr;
  const Region& region = std::prev(after)->second.region;
  if (address - region.begin >= region.size) return nullptr;
  return last_hit = &region;
}

bool in_arena(uintptr_t address) { return address - reinterpret_cast<uintptr_t>(arena().bytes) < kArena; }

void begin_block_memory() {
  Arena& shared = arena();
  shared.arrays.clear();
  shared.used = 0;
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(shared.bytes, kArena);
#endif
  shared.add("dynamic shared memory", 0, machine.dynamic_bytes);
}

unsigned char* dynamic_memory() {
  return reinterpret_cast<unsigned char*>(arena().arrays.front().region.begin);
}

void* shared_array(const char* file, int line, std::size_t bytes) {
  const Inside inside;
  for (const Arena::Array& array : arena().arrays)
    if (array.line == line && array.file == file) return reinterpret_cast<void*>(array.region.begin);
  std::size_t fixed = bytes;
  for (const Arena::Array& array : arena().arrays)
    if (array.line > 0) fixed += array.region.size;
  if (fixed > 48 * 1024)
    find_fatal("out of bounds", {file, line, nullptr}, "more than 48 KiB of shared arrays of a fixed size");
  return arena().add(file, line, bytes);
}

void add_memory(void* memory, std::size_t bytes) {
  Allocation allocation{{reinterpret_cast<uintptr_t>(memory), bytes, nullptr, Space::Global},
                        cells_for(bytes)};
  allocation.region.cells = allocation.cells.get();
  last_hit = nullptr;
  allocations.insert_or_assign(allocation.region.begin, std::move(allocation));
}

bool remove_memory(void* memory) {
  last_hit = nullptr;
  return allocations.erase(reinterpret_cast<uintptr_t>(memory)) == 1;
}

bool is_device_memory(const void* address) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const Region* region = region_of(at);
  return region && region->space == Space::Global;
}

namespace {

/// The cells of a range that a call of the runtime touches; null (and a finding) if it is not wholly in one
/// allocation.
Cell* cells_of(const void* address, std::size_t bytes, const char* call) {
  const auto at = reinterpret_cast<uintptr_t>(address);
  const Region* region = region_of(at);
  if (region && at - region->begin + bytes <= region->size) return region->cells + (at - region->begin);
  find("out of bounds", {call, 0, nullptr},
       std::string(call) + " of " + std::to_string(bytes) +
           " bytes is not within one allocation of device memory");
  return nullptr;
}

}  // namespace

void host_wrote(const void* address, std::size_t bytes, const char* call) {
  Cell* cells = cells_of(address, bytes, call);
  for (std::size_t k = 0; cells && k < bytes; ++k) cells[k].initialised = true;
}

void host_reads(const void* address, std::size_t bytes, const char* call) {
  const Cell* cells = cells_of(address, bytes, call);
  for (std::size_t k = 0; all_seen && cells && k < bytes; ++k)
    if (!cells[k].initialised)
      return find(
          "uninitialised", {call, 0, nullptr},
          std::string(call) + " reads byte " + std::to_string(k) + " of a buffer, which nobody wrote");
}

}  // namespace simt
