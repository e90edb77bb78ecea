#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace unisim {

/// Called after each item of a batch with the number of items done; may throw to end the run.
using AfterEach = std::function<void(int64_t done)>;

/// What a tower does with a slice of its input.
struct ItemRun {
  std::string_view operation;                       ///< "embed_images", for messages
  std::vector<int64_t> row;                         ///< shape of an item's result
  std::function<Tensor(const Tensor& items)> rows;  ///< [k, ...] to [k, row...]
  /// Says where the computation of one item, whose result is not finite, went wrong.
  std::function<std::string(const Tensor& item)> blame;
};

/// [n, row...] float32 on the device of the items: the runs of all items under c10::InferenceMode, the result
/// an ordinary tensor. On the CPU items run one by one with intra-op threads: kernels choose their blocking,
/// and with it the order of their sums, by the shape, so a batch would change the bits of its rows. Elsewhere
/// they run at once. A result that is not finite is a std::runtime_error naming the item.
Tensor each_item(const Tensor& items, const ItemRun& run, const AfterEach& after_each);

/// The first item that holds a NaN or an infinity; -1: none does.
int64_t first_not_finite(const Tensor& items);

}  // namespace unisim
