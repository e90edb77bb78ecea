#include "device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <unisim/error.h>

namespace unisim {

void require_device(const std::string& operation, const Device& device, DType dtype) {
  if (device.is_cpu()) {
    require(dtype != DType::Float16, "[", operation,
            "] float16 is for CUDA; on the CPU take float32 or bfloat16");
    return;
  }
  require(device.is_cuda(), "[", operation, "] device ", device.str(), " is neither cpu nor cuda");
  const bool known = c10::impl::hasDeviceGuardImpl(device.type());
  const int count = known ? c10::impl::VirtualGuardImpl(device.type()).deviceCount() : 0;
  if (count == 0 || (device.has_index() && device.index() >= count))
    throw std::runtime_error(text_of("[", operation, "] device ", device.str(),
                                     " is asked for, and torch sees ", count, " CUDA devices"));
}

}  // namespace unisim
