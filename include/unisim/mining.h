#pragma once

#include <unisim/tensor.h>

#include <cstdint>
#include <iosfwd>
#include <vector>

namespace unisim {

/// Images i < j that one encoder calls alike and another different. `alike` and `apart` are cosines in double
/// rounded once; the decision was made before.
struct BlindPair {
  int64_t i = 0;
  int64_t j = 0;
  float alike = 0;
  float apart = 0;

  bool operator==(const BlindPair&) const = default;
};

/// "i j alike apart"
UNISIM_API std::ostream& operator<<(std::ostream& out, const BlindPair& pair);

struct MiningOptions {
  double alike_above = 0.95;  ///< keep if cosine in the first rows is above this ...
  double apart_below = 0.60;  ///< ... and cosine in the second is below this; both strict
  Progress progress = {};     ///< progress(blocks done, blocks)
};

/// All pairs i < j with cos(alike_i, alike_j) > alike_above and cos(apart_i, apart_j) < apart_below, sorted
/// by (i, j): the CLIP-blind pairs of Tong et al., "Eyes Wide Shut?" (arXiv 2401.06209, section 2.1), who use
/// 0.95 and 0.6.
///
/// alike is [n, d1], apart [n, d2], rows of any length in float16, bfloat16, float32 or float64. Decided by
/// the cosine of the rows as given, x.y / sqrt(x.x * y.y) in double and clamped to [-1, 1], against the
/// thresholds in double; the sums have one fixed order, so neither threads nor blocks change a bit. A
/// threshold outside [-1, 1] lets all or nothing through. Blocked: never n x n in memory. A zero row scores 0
/// against everything; a row that is not finite is std::invalid_argument naming it. Tensors on one CUDA
/// device are mined there, to the same pairs: a device without room for a list of pairs is
/// std::runtime_error. All others are copied once, in float32, and computed on the CPU. An exception from
/// progress ends the run and is passed on.
UNISIM_API std::vector<BlindPair> mine_blind_pairs(const Tensor& alike, const Tensor& apart,
                                                   const MiningOptions& options = {});

}  // namespace unisim
