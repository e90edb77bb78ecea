// The passes of a resize by AVX2. A weight of 24 bits is split into 12 high and 12 low ones, so that one
// multiply-add of 16-bit pairs does two taps: sum = (sum of high * pixel) * 2^12 + sum of low * pixel, exact
// in 32 bits.
//
// Each function is marked for its instruction set, never the file: an inline function of a header that were
// compiled here for AVX2 might be the copy that the linker keeps for machines without it. For the same reason
// nothing but intrinsics and plain C++ is used.
#include "resize.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define UNISIM_AVX2 [[gnu::target("avx2")]]

namespace unisim {
namespace {

constexpr int split_bits = 12;
constexpr int32_t low_mask = (1 << split_bits) - 1;
constexpr int rows_at_once = 4;

struct SplitSum {
  __m256i high;
  __m256i low;
};

UNISIM_AVX2 inline __m256i joined(SplitSum sum) {
  return _mm256_add_epi32(_mm256_slli_epi32(sum.high, split_bits), sum.low);
}

UNISIM_AVX2 inline void accumulate(SplitSum& sum, __m256i pixels, __m256i high, __m256i low) {
  sum.high = _mm256_add_epi32(sum.high, _mm256_madd_epi16(pixels, high));
  sum.low = _mm256_add_epi32(sum.low, _mm256_madd_epi16(pixels, low));
}

/// Four taps' weights as eight 16-bit numbers, high parts before low, in both halves of the register.
UNISIM_AVX2 inline __m256i split_weights(const int32_t* weights) {
  const __m128i whole = _mm_loadu_si128(reinterpret_cast<const __m128i*>(weights));
  const __m128i high = _mm_srai_epi32(whole, split_bits);
  const __m128i low = _mm_and_si128(whole, _mm_set1_epi32(low_mask));
  return _mm256_broadcastsi128_si256(_mm_packs_epi32(high, low));
}

/// The three channels of one output in each of four rows. In a register of pixels the low half holds taps 0
/// and 1, the high half taps 2 and 3, as pairs of one channel: R0 R1 G0 G1 B0 B1 0 0.
UNISIM_AVX2 inline void output_of_four_rows(const uint8_t* const from[rows_at_once],
                                            uint8_t* const to[rows_at_once], const int32_t* weights,
                                            int32_t count, bool last) {
  const char z = -128;
  const __m256i pair_up = _mm256_setr_epi8(0, z, 3, z, 1, z, 4, z, 2, z, 5, z, z, z, z, z,  //
                                           6, z, 9, z, 7, z, 10, z, 8, z, 11, z, z, z, z, z);
  const __m256i spread_high = _mm256_setr_epi8(0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3,  //
                                               4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7);
  const __m256i spread_low = _mm256_setr_epi8(8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11, 8, 9, 10, 11,  //
                                              12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15, 12, 13, 14, 15);
  const __m256i zero = _mm256_setzero_si256();
  SplitSum sums[rows_at_once] = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
  for (int32_t t = 0; t < count; t += 4) {
    const __m256i split = split_weights(weights + t);
    const __m256i high = _mm256_shuffle_epi8(split, spread_high);
    const __m256i low = _mm256_shuffle_epi8(split, spread_low);
    for (int r = 0; r < rows_at_once; ++r) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from[r] + 3 * t));
      accumulate(sums[r], _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), pair_up), high, low);
    }
  }
  for (int r = 0; r < rows_at_once; ++r) {
    const __m256i sum = joined(sums[r]);
    const __m128i whole =
        _mm_add_epi32(_mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1)),
                      _mm_set1_epi32(1 << (resize_bits - 1)));
    const __m128i words = _mm_packs_epi32(_mm_srai_epi32(whole, resize_bits), whole);
    const __m128i bytes = _mm_packus_epi16(words, words);
    if (last) {
      const auto channels = static_cast<uint32_t>(_mm_cvtsi128_si32(bytes));
      to[r][0] = static_cast<uint8_t>(channels);
      to[r][1] = static_cast<uint8_t>(channels >> 8);
      to[r][2] = static_cast<uint8_t>(channels >> 16);
    } else {
      _mm_storeu_si32(to[r], bytes);  // the fourth byte is the next output's, which comes later
    }
  }
}

/// 32 columns of one output row.
UNISIM_AVX2 inline void output_of_32_columns(const uint8_t* from, int64_t stride, uint8_t* to,
                                             const int32_t* weights, int32_t count) {
  const __m256i zero = _mm256_setzero_si256();
  SplitSum sums[4] = {{zero, zero}, {zero, zero}, {zero, zero}, {zero, zero}};
  for (int32_t t = 0; t < count; t += 2) {
    // The weight past an odd count is zero, but the row there may not exist.
    const int64_t second = t + 1 < count ? t + 1 : t;
    const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + t * stride));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + second * stride));
    const int32_t w0 = weights[t], w1 = weights[t + 1];
    const __m256i high = _mm256_set1_epi32(
        ((w0 >> split_bits) & 0xffff) | static_cast<int32_t>(static_cast<uint32_t>(w1 >> split_bits) << 16));
    const __m256i low = _mm256_set1_epi32((w0 & low_mask) | ((w1 & low_mask) << 16));
    const __m256i left = _mm256_unpacklo_epi8(a, b), right = _mm256_unpackhi_epi8(a, b);
    accumulate(sums[0], _mm256_unpacklo_epi8(left, zero), high, low);
    accumulate(sums[1], _mm256_unpackhi_epi8(left, zero), high, low);
    accumulate(sums[2], _mm256_unpacklo_epi8(right, zero), high, low);
    accumulate(sums[3], _mm256_unpackhi_epi8(right, zero), high, low);
  }
  __m256i whole[4];
  for (int i = 0; i < 4; ++i) {
    const __m256i sum = _mm256_add_epi32(joined(sums[i]), _mm256_set1_epi32(1 << (resize_bits - 1)));
    whole[i] = _mm256_srai_epi32(sum, resize_bits);
  }
  // The packs work within halves as the unpacks did, so the columns come back in order.
  const __m256i bytes =
      _mm256_packus_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
}

}  // namespace

UNISIM_AVX2 void resize_horizontal_avx2(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
  for (int64_t y = 0; y < out.rows; y += rows_at_once) {
    const uint8_t* from[rows_at_once];
    uint8_t* to[rows_at_once];
    for (int r = 0; r < rows_at_once; ++r) {
      const int64_t row =
          y + r < out.rows ? y + r : out.rows - 1;  // the last row again: it is written as before
      from[r] = in.data + row * in.stride;
      to[r] = out.data + row * out.stride;
    }
    const int64_t outputs = out.width / 3;
    for (int64_t x = 0; x < outputs; ++x) {
      const uint8_t* at[rows_at_once];
      for (int r = 0; r < rows_at_once; ++r) at[r] = from[r] + 3 * int64_t{axis.first[x]};
      output_of_four_rows(at, to, axis.weights + x * axis.taps, axis.count[x], x + 1 == outputs);
      for (int r = 0; r < rows_at_once; ++r) to[r] += 3;
    }
  }
}

UNISIM_AVX2 void resize_vertical_avx2(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
  constexpr int64_t step = 32;
  if (out.width < step) return resize_vertical_portable(in, out, axis);
  for (int64_t y = 0; y < out.rows; ++y) {
    const uint8_t* from = in.data + axis.first[y] * in.stride;
    const int32_t* weights = axis.weights + y * axis.taps;
    for (int64_t x = 0; x < out.width; x += step) {
      const int64_t at = x + step <= out.width ? x : out.width - step;  // the last step overlaps
      output_of_32_columns(from + at, in.stride, out.data + y * out.stride + at, weights, axis.count[y]);
    }
  }
}

}  // namespace unisim
#endif
