#include "each_item.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/isfinite.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <algorithm>
#include <stdexcept>

namespace unisim {

int64_t first_not_finite(const Tensor& items) {
  const Tensor finite = at::isfinite(items).flatten(1).all(1).cpu();
  for (int64_t i = 0; i < finite.size(0); ++i)
    if (!finite.const_data_ptr<bool>()[i]) return i;
  return -1;
}

Tensor each_item(const Tensor& items, const ItemRun& run, const AfterEach& after_each) {
  const int64_t n = items.size(0);
  std::vector<int64_t> shape = run.row;
  shape.insert(shape.begin(), n);
  const Tensor out = at::empty(shape, items.options().dtype(at::kFloat));
  const c10::InferenceMode inference;
  const int64_t step = items.device().is_cpu() ? 1 : std::max<int64_t>(n, 1);
  for (int64_t first = 0; first < n; first += step) {
    const int64_t last = std::min(n, first + step);
    const Tensor part = items.slice(0, first, last);
    const Tensor rows = run.rows(part);
    if (const int64_t bad = first_not_finite(rows); bad >= 0)
      throw NotFinite(text_of("[", run.operation, "] the result of item ", first + bad,
                                       " is not finite, ", run.blame(part.slice(0, bad, bad + 1))));
    out.slice(0, first, last).copy_(rows);
    if (after_each) after_each(last);
  }
  return out;
}

}  // namespace unisim
