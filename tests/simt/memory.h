#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "machine.h"

/// Where an address lies on the emulated device.
namespace simt {

struct Region {
  uintptr_t begin = 0;
  std::size_t size = 0;
  Cell* cells = nullptr;
  Space space = Space::Global;
};

/// The allocation or shared array that holds the address; null: none.
const Region* region_of(uintptr_t address);
/// The whole arena of the block's shared memory, guards included.
bool in_arena(uintptr_t address);

}  // namespace simt
