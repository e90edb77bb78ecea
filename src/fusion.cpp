#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/stack.h>
#include <unisim/error.h>
#include <unisim/fusion.h>

#include <algorithm>
#include <vector>

#include "bridge.h"
#include "kernels.h"
#include "measured_rows.h"
#include "run_on.h"
#include "tasks.h"

namespace unisim {
namespace {

constexpr int64_t kNumbersPerTask = int64_t{1} << 18;

void require_alike(const char* operation, const Tensor& a, const Tensor& b) {
  require(a.defined() && b.defined(), "[", operation, "] ", a.defined() ? "b" : "a", " is not a tensor");
  require(a.layout() == at::kStrided && b.layout() == at::kStrided, "[", operation,
          "] expected dense tensors, found ", a.layout(), " and ", b.layout());
  require(is_row_dtype(a.scalar_type()) && is_row_dtype(b.scalar_type()), "[", operation,
          "] expected floating dtypes, found ", text_of_tensor(a), " and ", text_of_tensor(b));
  require(a.sizes() == b.sizes(), "[", operation, "] shapes differ: ", text_of_tensor(a), " and ",
          text_of_tensor(b));
  require(a.device() == b.device(), "[", operation, "] devices differ: ", a.device().str(), " and ",
          b.device().str());
  require(a.is_cpu() || a.is_cuda(), "[", operation, "] expected the CPU or a CUDA device, found ",
          a.device().str());
}

template <class T>
Tensor mixed(const Tensor& a, const Tensor& b, double alpha) {
  const Tensor x = host_rows<T>(a), y = host_rows<T>(b);
  const Tensor out = at::empty_like(x);
  const int64_t count = x.numel();
  const T *from = x.const_data_ptr<T>(), *other = y.const_data_ptr<T>();
  T* to = out.mutable_data_ptr<T>();
  run_tasks((count + kNumbersPerTask - 1) / kNumbersPerTask, allowed_threads(), [&](int64_t task) {
    const int64_t first = task * kNumbersPerTask;
    additive_mof(Cpu{}, from + first, other + first, alpha, std::min(kNumbersPerTask, count - first),
                 to + first);
  });
  return out;
}

/// The kernel where the data lies.
Tensor mixed_on_device(const Tensor& a, const Tensor& b, double alpha) {
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  const Tensor out = at::empty_like(x);
  with_stored_type(x.scalar_type(), [&](auto number) {
    using T = decltype(number);
    run_on(x.device(), [&](auto place) {
      additive_mof(place, static_cast<const T*>(x.const_data_ptr()),
                   static_cast<const T*>(y.const_data_ptr()), alpha, x.numel(),
                   static_cast<T*>(out.mutable_data_ptr()));
    });
  });
  return out;
}

}  // namespace

Tensor additive_mof(const Tensor& a, const Tensor& b, double alpha) {
  require_alike("additive_mof", a, b);
  require(a.dim() >= 1, "[additive_mof] expected [..., d], found single numbers");
  require(alpha >= 0 && alpha <= 1, "[additive_mof] alpha must be in [0, 1], found ", alpha);
  if (UNISIM_HAS_CUDA && a.is_cuda() && a.scalar_type() == b.scalar_type() &&
      is_stored_dtype(a.scalar_type()))
    return mixed_on_device(a, b, alpha);
  const at::ScalarType dtype = a.scalar_type() == b.scalar_type() ? a.scalar_type() : at::kFloat;
  const Tensor result = dtype == at::kDouble ? mixed<double>(a, b, alpha) : mixed<float>(a, b, alpha);
  return result.to(a.device(), dtype);
}

Tensor interleaved_mof(const Tensor& a, const Tensor& b) {
  require_alike("interleaved_mof", a, b);
  require(a.scalar_type() == b.scalar_type(), "[interleaved_mof] dtypes differ: ", text_of_tensor(a), " and ",
          text_of_tensor(b));
  require(a.dim() == 2 || a.dim() == 3, "[interleaved_mof] expected [n, d] or [batch, n, d], found ",
          text_of_tensor(a));
  const int64_t axis = a.dim() - 1;
  if (!a.is_cpu() && !UNISIM_HAS_CUDA)
    return at::stack({a.detach(), b.detach()}, axis).flatten(axis - 1, axis);
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  std::vector<int64_t> shape = x.sizes().vec();
  shape[static_cast<std::size_t>(axis - 1)] *= 2;
  const Tensor out = at::empty(shape, x.options());
  const int64_t width = x.size(axis);
  if (width > 0)
    run_on(x.device(), [&](auto place) {
      interleaved_mof(place, x.const_data_ptr(), y.const_data_ptr(), x.numel() / width,
                      width * x.element_size(), out.mutable_data_ptr());
    });
  return out;
}

}  // namespace unisim
