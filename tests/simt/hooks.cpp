// What -fsanitize=thread makes the compiler call before every access that is not a private local: ours, not
// its runtime's.

#include <cstddef>
#include <cstdint>

#include "machine.h"

using simt::Access;

namespace {

/// An access that need not be aligned, as pieces that are.
void pieces(const void* address, std::size_t size, Access kind, const void* site) {
  auto at = reinterpret_cast<std::uintptr_t>(address);
  while (size > 0) {
    std::size_t step = at % 8 ? at & (~at + 1) : 8;
    while (step > size) step /= 2;
    simt::access(reinterpret_cast<const void*>(at), step, kind, {nullptr, 0, site});
    at += step;
    size -= step;
  }
}

}  // namespace

#define SIMT_HOOK(name, size, kind)                                                         \
  void name(void* address) {                                                                \
    if (simt::watching)                                                                     \
      simt::access(address, size, Access::kind, {nullptr, 0, __builtin_return_address(0)}); \
  }
#define SIMT_PIECES(name, size, kind)                                                     \
  void name(void* address) {                                                              \
    if (simt::watching) pieces(address, size, Access::kind, __builtin_return_address(0)); \
  }
#define SIMT_HOOKS(size)                               \
  SIMT_HOOK(__tsan_read##size, size, Read)             \
  SIMT_HOOK(__tsan_write##size, size, Write)           \
  SIMT_HOOK(__tsan_volatile_read##size, size, Read)    \
  SIMT_HOOK(__tsan_volatile_write##size, size, Write)  \
  SIMT_PIECES(__tsan_unaligned_read##size, size, Read) \
  SIMT_PIECES(__tsan_unaligned_write##size, size, Write)

extern "C" {
SIMT_HOOKS(1)
SIMT_HOOKS(2)
SIMT_HOOKS(4)
SIMT_HOOKS(8)
SIMT_HOOKS(16)

void __tsan_read_range(void* address, std::size_t size) {
  if (simt::watching) pieces(address, size, Access::Read, __builtin_return_address(0));
}
void __tsan_write_range(void* address, std::size_t size) {
  if (simt::watching) pieces(address, size, Access::Write, __builtin_return_address(0));
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
// Of the launcher's shared pointers, on the host.
int __tsan_atomic32_fetch_add(volatile int* address, int by, int) {
  return __atomic_fetch_add(address, by, __ATOMIC_ACQ_REL);
}
}
