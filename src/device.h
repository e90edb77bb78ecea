#pragma once

#include <unisim/tensor.h>

#include <string>

namespace unisim {

/// Throws std::invalid_argument for a device that is neither CPU nor CUDA and for float16 on the CPU, and
/// std::runtime_error for a CUDA device that is not there. The operation opens the message.
void require_device(const std::string& operation, const Device& device, DType dtype);

}  // namespace unisim
