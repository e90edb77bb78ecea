#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "decoder_run.h"

/// The executor `fused` of a decoder: its blocks as calls of the library's own kernels.
namespace unisim {

/// The blocks of a decoder and its final norm on a place. One run at a time.
class FusedDecoder {
 public:
  virtual ~FusedDecoder() = default;

  /// Room for keys or values in the place's memory, [1, kv_heads, tokens, head_width], the first `kept` tokens of which
  /// are those of `old`.
  virtual Tensor room(int64_t tokens, const Tensor& old, int64_t kept) const = 0;
  /// The wanted rows after the final norm, [wanted, width]. Keys and values come from rooms of this executor.
  virtual Tensor run(const DecoderRun& run) const = 0;
};

/// Why the kernels cannot run a decoder; "" if they can.
std::string fused_refusal(const DecoderConfig& config);

/// On the CPU: weights that are there in `dtype` are used where they lie.
std::unique_ptr<const FusedDecoder> fused_on_cpu(const DecoderConfig& config, const DecoderWeights& weights, DType dtype);

}  // namespace unisim
