#include "decoder_run.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/tensor.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <algorithm>
#include <functional>

#include "each_item.h"
#include "fused_decoder.h"

/// What every executor's run begins and ends with.
namespace unisim {
namespace {

/// Room for keys or values of so many tokens, the first `kept` of which are those of `old`.
using RoomMaker = std::function<Tensor(int64_t tokens, const Tensor& old, int64_t kept)>;

/// The last tensor's: it is the last to be made, should memory end on the way.
int64_t room_of(const KeysValues& kept) {
  return kept.values.empty() || !kept.values.back().defined() ? 0 : kept.values.back().size(2);
}

/// Room for what will be appended. Tokens are counted when the run has ended.
std::vector<Appended> make_room(const DecoderConfig& config, std::span<const Stretch> stretches,
                                const RoomMaker& make) {
  std::vector<Appended> all;
  int64_t row = 0;
  for (const Stretch& stretch : stretches) {
    if (stretch.into) {
      int64_t at = stretch.into->tokens;
      for (const Appended& other : all)
        if (other.into == stretch.into) at = other.at + other.rows;
      all.push_back({stretch.into, at, row, stretch.rows});
    }
    row += stretch.rows;
  }
  // From the last one on, since that needs the most of its room.
  for (auto found = all.rbegin(); found != all.rend(); ++found) {
    const Appended& one = *found;
    KeysValues& kept = *one.into;
    const int64_t needed = one.at + one.rows, full = room_of(kept);
    if (needed <= full) continue;
    const int64_t room = std::max(kept.reserve, full == 0 ? needed : needed + needed / 4 + 16);
    kept.keys.resize(static_cast<std::size_t>(config.layers));
    kept.values.resize(static_cast<std::size_t>(config.layers));
    for (std::vector<Tensor>* tensors : {&kept.keys, &kept.values})
      for (Tensor& tensor : *tensors) tensor = make(room, tensor, kept.tokens);
  }
  return all;
}

void check_kept(const DecoderConfig& config, const KeysValues& kept, bool long_factors) {
  const int64_t layers = std::ssize(kept.keys);
  require(layers == std::ssize(kept.values) && (layers == config.layers || (layers == 0 && kept.tokens == 0)),
          "[Decoder] kept keys are of ", layers, " blocks, the model has ", config.layers);
  require(kept.tokens == 0 || kept.long_factors == long_factors, "[Decoder] kept keys were rotated by ",
          kept.long_factors ? "long" : "short", " factors, the run is by the other");
}

void check_run(const DecoderConfig& config, const Tensor& x, std::span<const Stretch> stretches,
               std::span<const int64_t> wanted, bool long_factors) {
  require(x.dim() == 2 && x.size(1) == config.width, "[Decoder] rows are ", x.sizes(), ", expected [rows, ",
          config.width, "]");
  int64_t rows = 0;
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const Stretch& stretch = stretches[i];
    require(stretch.rows > 0, "[Decoder] stretch ", i, " has ", stretch.rows, " rows");
    require(stretch.position >= 0 && stretch.position + stretch.rows <= config.positions,
            "[Decoder] stretch ", i, " reaches to position ", stretch.position + stretch.rows,
            ", the model has ", config.positions);
    require(stretch.parent >= -1 && stretch.parent < static_cast<int64_t>(i), "[Decoder] stretch ", i,
            " has stretch ", stretch.parent, " as parent, expected one before it");
    if (stretch.behind) check_kept(config, *stretch.behind, long_factors);
    if (stretch.into) check_kept(config, *stretch.into, long_factors);
    rows += stretch.rows;
  }
  require(rows == x.size(0), "[Decoder] the stretches have ", rows, " rows, ", x.size(0), " are given");
  for (std::size_t i = 0; i < wanted.size(); ++i)
    require(wanted[i] < rows && wanted[i] > (i == 0 ? -1 : wanted[i - 1]), "[Decoder] row ", wanted[i],
            " is wanted, expected rising numbers below ", rows);
}

/// As transformers has them: the product with the position in float32, cosine and sine rounded to the model's
/// type.
Angles angles_of(std::span<const Stretch> stretches, const Tensor& frequencies, double scale,
                 const Tensor& like) {
  std::vector<float> positions;
  for (const Stretch& stretch : stretches)
    for (int64_t i = 0; i < stretch.rows; ++i) positions.push_back(static_cast<float>(stretch.position + i));
  const Tensor at = at::tensor(positions, at::kFloat).to(frequencies.device());
  const Tensor angle = at.view({-1, 1, 1}).mul(frequencies);
  return {angle.cos().mul_(scale).to(like.scalar_type()), angle.sin().mul_(scale).to(like.scalar_type())};
}

}  // namespace

Tensor Decoder::run(const Tensor& x, std::span<const Stretch> stretches, std::span<const int64_t> wanted,
                    bool long_factors) const {
  long_factors = long_factors && long_frequencies_.defined();
  check_run(config_, x, stretches, wanted, long_factors);
  // The result is an ordinary tensor; everything before is not.
  const Tensor result =
      at::empty({std::ssize(wanted), config_.width}, x.options().dtype(scalar_type(dtype_)));
  if (x.size(0) == 0) return result;
  const c10::InferenceMode inference;
  const Tensor rows = x.to(device_, scalar_type(dtype_));
  const RoomMaker room = [&](int64_t tokens, const Tensor& old, int64_t kept) {
    if (fused_) return fused_->room(tokens, old, kept);
    const Tensor fresh = at::empty({1, config_.kv_heads, tokens, config_.head_width}, rows.options());
    if (kept > 0) fresh.narrow(2, 0, kept).copy_(old.narrow(2, 0, kept));
    return fresh;
  };
  const std::vector<Appended> appended = make_room(config_, stretches, room);
  const Tensor& frequencies = long_factors ? long_frequencies_ : short_frequencies_;
  const DecoderRun run{rows, stretches, wanted, appended,
                       angles_of(stretches, frequencies, config_.rotary.scale, rows)};
  result.copy_(fused_ ? fused_->run(run) : run_aten(config_, weights_, run));
  if (const int64_t bad = first_not_finite(result); bad >= 0)
    throw NotFinite(text_of("[Decoder] row ", wanted[static_cast<std::size_t>(bad)],
                            " is not finite, computed in ", name_of(dtype_)));
  for (const Appended& one : appended) {
    one.into->tokens = one.at + one.rows;
    one.into->long_factors = long_factors;
  }
  return result;
}

}  // namespace unisim
