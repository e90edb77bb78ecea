#pragma once

#include <c10/core/Device.h>
#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <unisim/error.h>

#include "kernels.h"

namespace unisim {

/// f(Cpu{}) or f(Cuda{the current stream}), by the device of the data: the library's only build switch. An
/// operation whose kernels have no Cuda overload does not come here: it moves its rows to the CPU (host_rows
/// in bridge.h).
template <class F>
decltype(auto) run_on(c10::Device device, F&& f) {
  if constexpr (UNISIM_HAS_CUDA) {
    if (device.is_cuda())
      return f(Cuda{c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle()});
  }
  require(device.is_cpu(), "[run_on] no kernels are built for device ", device.str());
  return f(Cpu{});
}

}  // namespace unisim
