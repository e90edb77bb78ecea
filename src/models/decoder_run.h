#pragma once

#include <cstdint>
#include <span>

#include "decoder.h"

/// One run of a decoder as its executors get it.
namespace unisim {

/// Where a stretch's keys go.
struct Appended {
  KeysValues* into = nullptr;
  int64_t at = 0;             ///< in the room
  int64_t row = 0, rows = 0;  ///< of the run
};

/// Of each row's position, rounded to the model's type: [rows, 1, head_width / 2].
struct Angles {
  Tensor cosine, sine;
};

/// Checked, with room for what is kept.
struct DecoderRun {
  Tensor x;  ///< [rows, width] in the model's type
  std::span<const Stretch> stretches;
  std::span<const int64_t> wanted;
  std::span<const Appended> appended;
  Angles angles;
};

/// The wanted rows after the final norm, [wanted, width], by LibTorch's operations.
Tensor run_aten(const DecoderConfig& config, const DecoderWeights& weights, const DecoderRun& run);

}  // namespace unisim
