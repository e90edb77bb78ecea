#include <unisim/error.h>
#include <unisim/tensor.h>

namespace unisim {

at::ScalarType scalar_type(DType dtype) {
  switch (dtype) {
    case DType::Float32: return at::kFloat;
    case DType::BFloat16: return at::kBFloat16;
    case DType::Float16: return at::kHalf;
  }
  throw std::invalid_argument("[scalar_type] no such dtype");
}

DType dtype_from_name(std::string_view name) {
  for (const DType dtype : {DType::Float32, DType::BFloat16, DType::Float16})
    if (name_of(dtype) == name) return dtype;
  throw std::invalid_argument(text_of("[dtype] ", name, " is not float32, bfloat16 or float16"));
}

std::string name_of(DType dtype) {
  switch (dtype) {
    case DType::Float32: return "float32";
    case DType::BFloat16: return "bfloat16";
    case DType::Float16: return "float16";
  }
  throw std::invalid_argument("[name_of] no such dtype");
}

std::string version() { return UNISIM_VERSION; }
bool built_with_cuda() { return UNISIM_HAS_CUDA != 0; }

}  // namespace unisim
