#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <c10/core/DeviceGuard.h>
#include <c10/util/Exception.h>
#include <unisim/mining.h>

#include <cmath>
#include <memory>
#include <optional>
#include <vector>

#include "kernels.h"
#include "pair_mining.h"

/// mine_blind_pairs of tensors that both lie on one place, where they lie.
namespace unisim {

/// Rows as float32 or float64 and their squared lengths, all on the rows' device.
struct RowsInPlace {
  at::Tensor rows, squares;

  template <class T>
  SquaredRows<T> as() const {
    return {{rows.const_data_ptr<T>(), rows.size(0), rows.size(1), rows.size(1)},
            squares.const_data_ptr<double>()};
  }
  /// f of the rows in their own type.
  template <class F>
  decltype(auto) with(F&& f) const {
    return rows.scalar_type() == at::kDouble ? f(as<double>()) : f(as<float>());
  }
};

/// None where squares, or the product of two, might leave the range of a double: such float64 rows must be
/// scaled first. A row that is not finite is std::invalid_argument naming its index.
template <class P>
std::optional<RowsInPlace> rows_in_place(P place, const char* side, const at::Tensor& x) {
  const bool wide = x.scalar_type() == at::kDouble;
  RowsInPlace own;
  own.rows = x.detach().to(wide ? at::kDouble : at::kFloat).contiguous();
  own.squares = at::empty({x.size(0)}, own.rows.options().dtype(at::kDouble));
  double* const squares = own.squares.template mutable_data_ptr<double>();
  own.with([&](auto view) { squared_lengths(place, view.rows, squares); });
  const at::Tensor host = own.squares.to(at::kCPU);
  for (int64_t i = 0; i < host.size(0); ++i) {
    const double square = host.const_data_ptr<double>()[i];
    if (wide && !(square > 0x1p-400 && square < 0x1p400)) return std::nullopt;
    require(std::isfinite(square), "[mine_blind_pairs] row ", i, " of ", side, " is not finite");
  }
  return own;
}

/// Memory of the device from LibTorch, which keeps what others gave back.
inline PlaceMemory memory_like(const at::Tensor& x) {
  return [options = x.options().dtype(at::kByte)](std::size_t bytes) -> std::shared_ptr<void> {
    try {
      const auto tensor = std::make_shared<at::Tensor>(at::empty({static_cast<int64_t>(bytes)}, options));
      return {tensor, tensor->mutable_data_ptr()};
    } catch (const c10::OutOfMemoryError&) {
      return nullptr;
    }
  };
}

/// The pairs of mine_blind_pairs; none where rows_in_place has none.
template <class P>
std::optional<std::vector<BlindPair>> mine_on(P place, const at::Tensor& alike, const at::Tensor& apart,
                                              const MiningOptions& options) {
  const c10::DeviceGuard guard(alike.device());
  const auto first = rows_in_place(place, "alike", alike), second = rows_in_place(place, "apart", apart);
  if (!first || !second) return std::nullopt;
  const PairMining mining{.alike_above = options.alike_above,
                          .apart_below = options.apart_below,
                          .memory = memory_like(alike),
                          .progress = options.progress};
  const std::vector<ScoredPair> pairs = first->with(
      [&](auto a) { return second->with([&](auto b) { return mine_pairs(place, a, b.rows, mining); }); });
  std::vector<BlindPair> rounded;
  rounded.reserve(pairs.size());
  for (const ScoredPair& pair : pairs)
    rounded.push_back({pair.i, pair.j, static_cast<float>(pair.alike), static_cast<float>(pair.apart)});
  return rounded;
}

}  // namespace unisim
