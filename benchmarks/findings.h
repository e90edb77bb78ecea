#pragma once

#include <string>

/// What kind of device a benchmark was linked with: findings_device.cpp or findings_emulated.cpp answers.
namespace unisim::bench {

/// An emulated device has no clock worth reading.
bool emulated();

/// What went wrong on the device since the last call, all work done first; "" is well.
std::string findings();

}  // namespace unisim::bench
