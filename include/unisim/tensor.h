#pragma once

#include <ATen/core/Tensor.h>
#include <unisim/error.h>
#include <unisim/export.h>

#include <cstdint>
#include <string>
#include <string_view>

/// The one header that brings in LibTorch.
namespace unisim {

using at::Tensor;
using c10::Device;

/// What a model computes in. Results are float32 whatever this is, unless a function says otherwise.
enum class DType { Float32, BFloat16, Float16 };

UNISIM_API at::ScalarType scalar_type(DType dtype);
UNISIM_API DType dtype_from_name(std::string_view name);  ///< "float32", "bfloat16", "float16"
UNISIM_API std::string name_of(DType dtype);

/// The library's version, "0.1.0", and whether CUDA kernels are built in.
UNISIM_API std::string version();
UNISIM_API bool built_with_cuda();
/// What a CUDA device would need that is not here ("there is no NVIDIA driver ..."); "" if one can be used. The kernels of
/// the library are another thing: without them LibTorch's operations run on the device.
UNISIM_API std::string missing_for_cuda();

}  // namespace unisim
