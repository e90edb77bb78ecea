#include "findings.h"
#include "simt.h"

namespace unisim::bench {

bool emulated() { return true; }

std::string findings() { return simt::report(); }

}  // namespace unisim::bench
