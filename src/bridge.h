#pragma once

#include <ATen/core/Tensor.h>
#include <unisim/error.h>

#include <string>

#include "half.h"
#include "views.h"

/// Where LibTorch meets the kernels: a Tensor as a view, checked once here and trusted below.
namespace unisim {

/// "[3, 768] float32", as messages name a tensor.
inline std::string text_of_tensor(const at::Tensor& x) {
  std::string text = "[";
  for (int64_t k = 0; k < x.dim(); ++k) text += (k ? ", " : "") + std::to_string(x.size(k));
  return text + "] " + c10::toString(x.scalar_type());
}

/// The floating dtypes that the library reads as rows; the others are refused by name.
inline bool is_row_dtype(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kDouble || dtype == at::kHalf || dtype == at::kBFloat16;
}

/// The tensor as rows of T in host memory: copied where its device, dtype or strides ask for it, else shared.
template <class T>
at::Tensor host_rows(const at::Tensor& x) {
  return x.detach().to(at::kCPU, c10::CppTypeToScalarType<T>::value).contiguous();
}

/// A contiguous [n, d] tensor of T on the CPU as a view. The tensor must outlive it.
template <class T>
Rows<T> rows_of(const at::Tensor& x) {
  require(x.dim() == 2 && x.is_contiguous() && x.is_cpu(),
          "[rows_of] expected contiguous [n, d] on the CPU, found ", text_of_tensor(x));
  return {x.data_ptr<std::remove_const_t<T>>(), x.size(0), x.size(1), x.size(1)};
}

/// Whether kernels store this dtype.
inline bool is_stored_dtype(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf;
}

/// f(T{}) with the kernels' type of a stored dtype.
template <class F>
void with_stored_type(at::ScalarType dtype, F&& f) {
  require(is_stored_dtype(dtype), "[with_stored_type] kernels store no ", c10::toString(dtype));
  if (dtype == at::kFloat) return f(float{});
  if (dtype == at::kBFloat16) return f(bf16{});
  f(f16{});
}

/// A contiguous [n, d] tensor on any device as the kernels see it. The tensor must outlive the view.
template <class T>
Rows<const T> stored_rows(const at::Tensor& x) {
  return {static_cast<const T*>(x.const_data_ptr()), x.size(0), x.size(1), x.size(1)};
}

}  // namespace unisim
