// tokens: the rows that a tower begins with. Images: class token, registers and patches, plus positions;
// texts: rows of a table, plus positions.
//
// The trap: positions are floats beside stored rows of 16 bits, so that one pack of a row takes two loads of
// them.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"
#include "warp.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

constexpr unsigned kWarpsPerBlock = 8;

/// out = from + position (null: zeros), rounded once; the lanes of a warp stride over the row in packs, all
/// of them whole and at multiples of 16 bytes where `aligned`.
template <class T>
__device__ inline void add_row(const T* from, const float* position, T* out, int64_t width, bool aligned) {
  for (int64_t k = threadIdx.x % kWarp * kPack<T>; k < width; k += kWarp * kPack<T>) {
    const int64_t left = width - k;
    Pack<T> pack = load_pack(from + k, left, aligned);
    if (position) {
#pragma unroll
      for (int j = 0; j < kPack<T>; j += kPack<float>) {
        const Pack<float> four = load_pack(position + k + j, left - j, aligned);
#pragma unroll
        for (int i = 0; i < kPack<float>; ++i) pack.v[j + i] += four.v[i];
      }
    }
    store_pack(out + k, pack, left, aligned);
  }
}

/// What token number `token` of an item is before its position is added.
template <class T>
__device__ inline const T* row_of(const ImageTokens<T>& t, int64_t item, int64_t token) {
  const int64_t classes = t.class_token ? 1 : 0;
  if (token < classes) return t.class_token;
  if (token < classes + t.register_count) return t.registers + (token - classes) * t.width;
  return t.patches + (item * t.patch_count + token - classes - t.register_count) * t.width;
}

/// One warp a token.
template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) image_tokens(ImageTokens<T> t, bool aligned) {
  const int64_t row = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (row >= t.items * t.tokens()) return;
  const int64_t item = row / t.tokens(), token = row % t.tokens();
  add_row(row_of(t, item, token), t.positions ? t.positions + token * t.width : nullptr,
          t.out + row * t.width, t.width, aligned);
}

template <class T>
__global__ void __launch_bounds__(kWarp* kWarpsPerBlock) text_tokens(TextTokens<T> t, bool aligned) {
  const int64_t row = int64_t{blockIdx.x} * kWarpsPerBlock + threadIdx.x / kWarp;
  if (row >= t.items * t.length) return;
  add_row(t.table + t.ids[row] * t.width, t.positions ? t.positions + row % t.length * t.width : nullptr,
          t.out + row * t.width, t.width, aligned);
}

/// Whether rows of this width are whole packs at multiples of 16 bytes in all of these.
template <class T, class... Pointer>
bool aligned_at(int64_t width, const Pointer*... data) {
  return width % kPack<T> == 0 && (aligned_data(data) && ...);
}

}  // namespace

// ---- launchers --------------------------------------------------------------------------------------------

template <class T>
void assemble_image_tokens(Cuda place, const ImageTokens<T>& t) {
  const int64_t blocks = ceil_div(t.items * t.tokens(), kWarpsPerBlock);
  if (blocks == 0) return;
  launch(image_tokens<T>, dim3(static_cast<unsigned>(blocks)), dim3(kWarp * kWarpsPerBlock), 0, place.stream,
         t, aligned_at<T>(t.width, t.patches, t.class_token, t.registers, t.positions, t.out));
  check_cuda(cudaGetLastError(), "assemble_image_tokens");
}

template <class T>
void assemble_text_tokens(Cuda place, const TextTokens<T>& t) {
  const int64_t blocks = ceil_div(t.items * t.length, kWarpsPerBlock);
  if (blocks == 0) return;
  launch(text_tokens<T>, dim3(static_cast<unsigned>(blocks)), dim3(kWarp * kWarpsPerBlock), 0, place.stream,
         t, aligned_at<T>(t.width, t.table, t.positions, t.out));
  check_cuda(cudaGetLastError(), "assemble_text_tokens");
}

template void assemble_image_tokens(Cuda, const ImageTokens<float>&);
template void assemble_image_tokens(Cuda, const ImageTokens<bf16>&);
template void assemble_image_tokens(Cuda, const ImageTokens<f16>&);
template void assemble_text_tokens(Cuda, const TextTokens<float>&);
template void assemble_text_tokens(Cuda, const TextTokens<bf16>&);
template void assemble_text_tokens(Cuda, const TextTokens<f16>&);

}  // namespace unisim
