// resize: both of Pillow's passes over bytes, in its fixed point, so that the pixels are its own.
//
// The trap: outputs want runs of bytes that begin at any address, and nothing outside a row may be read.
// Aligned words that lie inside the row are loaded and shifted together; at its ends bytes are loaded singly.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

constexpr unsigned kRowsPerBlock = 8;  // one warp a row: neighbours share weights or inputs in the cache
constexpr int32_t kHalf = 1 << (resize_bits - 1);
constexpr int kChunk = 16;  // bytes of a row that a thread of the vertical pass computes

__device__ inline uint32_t byte_of(int32_t sum) {
  return static_cast<uint32_t>(min(max(sum >> resize_bits, 0), 255));
}

__device__ inline int32_t byte_at(uint32_t word, int k) {
  return static_cast<int32_t>(word >> (8 * k) & 255u);
}

struct Bytes {
  const uint8_t* begin;
  const uint8_t* end;
};

/// 4 * kWords bytes of a row, from any address in it.
template <int kWords>
__device__ inline void load_words(const uint8_t* from, Bytes row, uint32_t (&out)[kWords]) {
  const int shift = static_cast<int>(reinterpret_cast<uintptr_t>(from) % 4);
  const uint8_t* low = from - shift;
  if (low >= row.begin && low + 4 * (kWords + (shift > 0)) <= row.end) {
    uint32_t word = load_as<uint32_t>(low);
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const uint32_t next = i + 1 < kWords || shift > 0 ? load_as<uint32_t>(low + 4 * (i + 1)) : 0;
      out[i] = static_cast<uint32_t>((uint64_t{next} << 32 | word) >> (8 * shift));
      word = next;
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      out[i] = 0;
      for (int k = 0; k < 4; ++k) out[i] |= uint32_t{from[4 * i + k]} << (8 * k);
    }
  }
}

/// Four weights from one whose number is a multiple of four.
__device__ inline int4 load_weights(const int32_t* from, bool aligned) {
  return aligned ? load_as<int4>(from) : make_int4(from[0], from[1], from[2], from[3]);
}

/// One pixel of the horizontal pass, R in the lowest byte.
__device__ inline uint32_t pixel_of(Bytes row, ResizeAxis axis, int64_t x, bool aligned_weights) {
  const uint8_t* from = row.begin + 3 * int64_t{axis.first[x]};
  const int32_t* weights = axis.weights + x * axis.taps;
  const int32_t count = axis.count[x];
  int32_t sum[3] = {kHalf, kHalf, kHalf};
  int32_t t = 0;
  for (; t + 4 <= count; t += 4, from += 12) {
    uint32_t word[3];
    load_words(from, row, word);
    const int4 four = load_weights(weights + t, aligned_weights);
    const int32_t weight[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
    for (int k = 0; k < 12; ++k) sum[k % 3] += weight[k / 3] * byte_at(word[k / 4], k % 4);
  }
  for (; t < count; ++t, from += 3)
    for (int c = 0; c < 3; ++c) sum[c] += weights[t] * from[c];
  return byte_of(sum[0]) | byte_of(sum[1]) << 8 | byte_of(sum[2]) << 16;
}

/// A lane takes one pixel. Four lanes join theirs to three words where `words` says that rows are aligned to
/// them.
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    pass_horizontally(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis, bool words,
                      bool aligned_weights) {
  const int64_t pixels = out.width / 3, tiles = ceil_div(pixels, kWarp);
  const int64_t y = blockIdx.x / tiles * kRowsPerBlock + threadIdx.x / kWarp;
  if (y >= out.rows) return;
  const int64_t x = blockIdx.x % tiles * kWarp + threadIdx.x % kWarp;
  const uint32_t pixel =
      x < pixels ? pixel_of({in.row(y), in.row(y) + in.width}, axis, x, aligned_weights) : 0;
  const uint32_t next = __shfl_down_sync(kAllLanes, pixel, 1);
  const int lane = static_cast<int>(threadIdx.x % 4);
  uint8_t* to = out.row(y) + 3 * x;
  if (words && x - lane + 4 <= pixels) {
    // The quad begins 3 * lane bytes before `to`, its word number `lane` 4 * lane bytes after that.
    if (lane < 3) store_as<uint32_t>(to + lane, pixel >> (8 * lane) | next << (24 - 8 * lane));
  } else if (x < pixels) {
    for (int c = 0; c < 3; ++c) to[c] = static_cast<uint8_t>(pixel >> (8 * c));
  }
}

/// A thread takes kChunk bytes of a row of outputs. The last chunk of a row is moved back to be whole and
/// stores what is its own; rows shorter than a chunk go byte by byte.
__global__ void __launch_bounds__(kWarp* kRowsPerBlock)
    pass_vertically(Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis, bool aligned_in,
                    bool aligned_out) {
  const int64_t tiles = ceil_div(out.width, kWarp * kChunk);
  const int64_t y = blockIdx.x / tiles * kRowsPerBlock + threadIdx.x / kWarp;
  const int64_t mine = (blockIdx.x % tiles * kWarp + threadIdx.x % kWarp) * kChunk;
  if (y >= out.rows || mine >= out.width) return;
  const int32_t* weights = axis.weights + y * axis.taps;
  const int32_t count = axis.count[y];
  const uint8_t* from = in.row(axis.first[y]);
  uint8_t* to = out.row(y);
  if (out.width < kChunk) {
    for (int64_t x = 0; x < out.width; ++x) {
      int32_t sum = kHalf;
      for (int32_t t = 0; t < count; ++t) sum += weights[t] * from[t * in.stride + x];
      to[x] = static_cast<uint8_t>(byte_of(sum));
    }
    return;
  }
  const bool whole = mine + kChunk <= out.width;
  const int64_t x = whole ? mine : out.width - kChunk;
  int32_t sum[kChunk];
#pragma unroll
  for (int k = 0; k < kChunk; ++k) sum[k] = kHalf;
  for (int32_t t = 0; t < count; ++t, from += in.stride) {
    uint32_t word[4];
    if (aligned_in && whole) {
      const uint4 bits = load_as<uint4>(from + x);
      word[0] = bits.x, word[1] = bits.y, word[2] = bits.z, word[3] = bits.w;
    } else {
      load_words(from + x, {from, from + in.width}, word);
    }
    const int32_t weight = weights[t];
#pragma unroll
    for (int k = 0; k < kChunk; ++k) sum[k] += weight * byte_at(word[k / 4], k % 4);
  }
  uint32_t word[4] = {0, 0, 0, 0};
#pragma unroll
  for (int k = 0; k < kChunk; ++k) word[k / 4] |= byte_of(sum[k]) << (8 * (k % 4));
  if (aligned_out && whole) {
    store_as<uint4>(to + x, make_uint4(word[0], word[1], word[2], word[3]));
  } else {
#pragma unroll
    for (int k = 0; k < kChunk; ++k)
      if (x + k >= mine) to[x + k] = static_cast<uint8_t>(word[k / 4] >> (8 * (k % 4)));
  }
}

template <class T>
bool rows_at_multiples_of(uintptr_t bytes, Rows<T> x) {
  return reinterpret_cast<uintptr_t>(x.data) % bytes == 0 && static_cast<uintptr_t>(x.stride) % bytes == 0;
}

}  // namespace

// ---- launchers --------------------------------------------------------------------------------------------

void resize_horizontal(Cuda place, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
  const int64_t blocks = ceil_div(out.width / 3, kWarp) * ceil_div(out.rows, kRowsPerBlock);
  if (blocks == 0) return;
  launch(pass_horizontally, dim3(static_cast<unsigned>(blocks)), dim3(kWarp * kRowsPerBlock), 0, place.stream,
         in, out, axis, rows_at_multiples_of(4, out), aligned_data(axis.weights));
  check_cuda(cudaGetLastError(), "resize_horizontal");
}

void resize_vertical(Cuda place, Rows<const uint8_t> in, Rows<uint8_t> out, ResizeAxis axis) {
  const int64_t blocks = ceil_div(out.width, kWarp * kChunk) * ceil_div(out.rows, kRowsPerBlock);
  if (blocks == 0) return;
  launch(pass_vertically, dim3(static_cast<unsigned>(blocks)), dim3(kWarp * kRowsPerBlock), 0, place.stream,
         in, out, axis, rows_at_multiples_of(16, in), rows_at_multiples_of(16, out));
  check_cuda(cudaGetLastError(), "resize_vertical");
}

}  // namespace unisim
