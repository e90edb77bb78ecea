// The host's memory as a place's.

#include "../place_memory.h"

#include <unistd.h>

#include <new>

namespace unisim {
namespace {

constexpr std::align_val_t kAlignment{64};  // a cache line, and the widest vector

std::size_t free_bytes() {
  const long pages = sysconf(_SC_AVPHYS_PAGES), size = sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<std::size_t>(pages) * static_cast<std::size_t>(size) : 0;
}

}  // namespace

void* allocate(Cpu, std::size_t bytes) {
  if (bytes == 0) return nullptr;
  void* memory = ::operator new(bytes, kAlignment, std::nothrow);
  if (!memory) throw OutOfMemory("the CPU", bytes, free_bytes());
  return memory;
}

void release(Cpu, void* memory) noexcept { ::operator delete(memory, kAlignment); }

}  // namespace unisim
