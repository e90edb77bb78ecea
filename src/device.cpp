#include "device.h"

#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <unisim/error.h>

#include <cstdlib>

namespace unisim {

void require_device(const std::string& operation, const Device& device, DType dtype) {
  if (device.is_cpu()) {
    require(dtype != DType::Float16, "[", operation,
            "] float16 is for CUDA; on the CPU take float32 or bfloat16");
    return;
  }
  require(device.is_cuda(), "[", operation, "] device ", device.str(), " is neither cpu nor cuda");
  const std::string missing = missing_for_cuda();
  if (!missing.empty())
    throw std::runtime_error(text_of("[", operation, "] device ", device.str(), " is asked for: ", missing,
                                     "; the CPU goes on working"));
  const int count = c10::impl::VirtualGuardImpl(device.type()).deviceCount();
  if (device.has_index() && device.index() >= count)
    throw std::runtime_error(text_of("[", operation, "] device ", device.str(),
                                     " is asked for, this machine has ", count, " CUDA device",
                                     count == 1 ? "" : "s"));
}

std::string missing_for_cuda() {
  // The library stays loaded, as it would be by the first CUDA call.
  if (!dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL))
    return "there is no NVIDIA driver (libcuda.so.1 is not found)";
  if (!c10::impl::hasDeviceGuardImpl(c10::DeviceType::CUDA))
    return "torch's CUDA library is not loaded (link libtorch_cuda, or import torch in Python)";
  if (c10::impl::VirtualGuardImpl(c10::DeviceType::CUDA).deviceCount() == 0) {
    const char* visible = std::getenv("CUDA_VISIBLE_DEVICES");
    return text_of("the NVIDIA driver shows no device",
                   visible ? text_of(" (CUDA_VISIBLE_DEVICES is \"", visible, "\")") : "",
                   ", or is older than torch's CUDA needs");
  }
  return "";
}

}  // namespace unisim
