// patchify: pictures cut into patches, a row each, in the order of a convolution's weights.
//
// The trap: a patch's line of pixels begins at any address, and its row leaves in packs that run across lines
// and channels. Lines are therefore staged in shared memory, each with the misalignment that it has outside.

#include "check.h"
#include "kernels.h"
#include "pack.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

constexpr unsigned kGroupThreads = 256;
constexpr unsigned kPatchThreads = 64;
constexpr int kLevels = 3 * 256;
constexpr int64_t kStagedBytes = 24 * 1024;  // with the table, eight blocks on one multiprocessor

/// Bytes from line to line of a staged group: whole vectors, and room for any misalignment.
constexpr int64_t pitch_of(int64_t pixels) { return ceil_div(3 * pixels + 15, 16) * 16; }

/// Where a row of patches, or a patch, begins: its picture, and its first pixel there.
struct Corner {
  int64_t item = 0, y = 0, x = 0;
};

__device__ inline Corner corner_of(const Patches& p, int64_t patch_line, int64_t column) {
  return {patch_line / p.rows(), p.top + patch_line % p.rows() * p.patch_height,
          p.left + column * p.patch_width};
}

/// The pack that begins at element k of a patch's row; value(channel, y, x) is an element, `left` are there.
template <class T, class Value>
__device__ inline Pack<T> gathered(int k, int64_t left, int patch_height, int patch_width,
                                   const Value& value) {
  int line = k / patch_width, x = k % patch_width;
  int channel = line / patch_height, y = line % patch_height;
  Pack<T> pack;
#pragma unroll
  for (int j = 0; j < kPack<T>; ++j) {
    pack.v[j] = j < left ? value(channel, y, x) : 0.0f;
    if (++x < patch_width) continue;
    x = 0;
    if (++y < patch_height) continue;
    y = 0;
    ++channel;
  }
  return pack;
}

/// Copies `lines` lines of `bytes` bytes, `stride` apart, to lines `pitch` apart: byte k of a line goes to
/// (address of the line) % 16 + k there, so that both sides are aligned at the same bytes.
__device__ inline void stage(const uint8_t* from, int64_t stride, int lines, int bytes, uint8_t* staged,
                             int pitch) {
  const int chunks = pitch / 16;
  for (int i = static_cast<int>(threadIdx.x); i < lines * chunks; i += kGroupThreads) {
    const uint8_t* line = from + i / chunks * stride;
    const int shift = static_cast<int>(reinterpret_cast<uintptr_t>(line) % 16);
    const int begin = i % chunks * 16 - shift;  // the chunk's first byte, counted from the line's
    uint8_t* to = staged + i / chunks * pitch + i % chunks * 16;
    if (begin >= 0 && begin + 16 <= bytes) {
      store_as<uint4>(to, load_as<uint4>(line + begin));
    } else {
      for (int k = max(0, -begin); k < min(16, bytes - begin); ++k) to[k] = line[begin + k];
    }
  }
}

/// A block takes `group` patches side by side: their lines to shared memory, then their rows out.
template <class T>
__global__ void __launch_bounds__(kGroupThreads)
    patchify_groups(const uint8_t* pixels, Patches p, const float* table, Rows<T> out, int group,
                    bool aligned) {
  SHARED_ARRAY(float, levels, kLevels);
  uint8_t* const staged = dynamic_shared();
  const int64_t groups = ceil_div(p.columns(), group);
  const int64_t patch_line = blockIdx.x / groups, first = blockIdx.x % groups * group;
  const int count = static_cast<int>(min(int64_t{group}, p.columns() - first));
  const int height = static_cast<int>(p.patch_height), width = static_cast<int>(p.patch_width);
  const int pitch = static_cast<int>(pitch_of(int64_t{group} * width));
  const Corner corner = corner_of(p, patch_line, first);
  const int64_t stride = 3 * p.width;
  const uint8_t* from = pixels + (corner.item * p.height + corner.y) * stride + 3 * corner.x;
  for (int i = static_cast<int>(threadIdx.x); i < kLevels; i += kGroupThreads) levels[i] = table[i];
  stage(from, stride, height, 3 * count * width, staged, pitch);
  __syncthreads();

  const int shift = static_cast<int>(reinterpret_cast<uintptr_t>(from) % 16);
  const int shift_step = static_cast<int>(stride % 16);
  const int elements = 3 * height * width, packs = (elements + kPack<T> - 1) / kPack<T>;
  for (int i = static_cast<int>(threadIdx.x); i < count * packs; i += kGroupThreads) {
    const int patch = i / packs, k = i % packs * kPack<T>;
    const int64_t left = elements - k;
    const Pack<T> pack = gathered<T>(k, left, height, width, [&](int channel, int y, int x) {
      const int line = y * pitch + (shift + y * shift_step) % 16;
      return levels[256 * channel + staged[line + 3 * (patch * width + x) + channel]];
    });
    store_pack(out.row(patch_line * p.columns() + first + patch) + k, pack, left,
               aligned && left >= kPack<T>);
  }
}

/// A block takes one patch, too large to be staged.
template <class T>
__global__ void __launch_bounds__(kPatchThreads)
    patchify_large(const uint8_t* pixels, Patches p, const float* table, Rows<T> out, bool aligned) {
  const int64_t row = blockIdx.x;
  const Corner corner = corner_of(p, row / p.columns(), row % p.columns());
  const int64_t stride = 3 * p.width;
  const uint8_t* from = pixels + (corner.item * p.height + corner.y) * stride + 3 * corner.x;
  const int height = static_cast<int>(p.patch_height), width = static_cast<int>(p.patch_width);
  const int elements = 3 * height * width;
  for (int k = static_cast<int>(threadIdx.x) * kPack<T>; k < elements; k += kPatchThreads * kPack<T>) {
    const int64_t left = elements - k;
    const Pack<T> pack = gathered<T>(k, left, height, width, [&](int channel, int y, int x) {
      return table[256 * channel + from[y * stride + 3 * x + channel]];
    });
    store_pack(out.row(row) + k, pack, left, aligned && left >= kPack<T>);
  }
}

/// As many floats side by side as a T's pack holds, 16-byte aligned.
template <class T>
__device__ inline Pack<T> load_floats(const float* from) {
  Pack<T> pack;
#pragma unroll
  for (int j = 0; j < kPack<T>; j += kPack<float>) {
    const Pack<float> four = load_pack(from + j, kPack<float>, true);
#pragma unroll
    for (int i = 0; i < kPack<float>; ++i) pack.v[j + i] = four.v[i];
  }
  return pack;
}

/// A block takes one patch of float planes.
template <class T>
__global__ void __launch_bounds__(kPatchThreads)
    patchify_planes(const float* planes, int64_t channels, Patches p, Rows<T> out, bool aligned) {
  const int64_t row = blockIdx.x;
  const Corner corner = corner_of(p, row / p.columns(), row % p.columns());
  const float* from = planes + (corner.item * channels * p.height + corner.y) * p.width + corner.x;
  const int height = static_cast<int>(p.patch_height), width = static_cast<int>(p.patch_width);
  const int elements = static_cast<int>(channels) * height * width;
  const auto address = [&](int channel, int y, int x) {
    return from + (channel * p.height + y) * p.width + x;
  };
  for (int k = static_cast<int>(threadIdx.x) * kPack<T>; k < elements; k += kPatchThreads * kPack<T>) {
    const int64_t left = elements - k;
    const int line = k / width, x = k % width;
    const float* first = address(line / height, line % height, x);
    // Inside one line of the patch the numbers are neighbours.
    const bool vector = x + kPack<T> <= width && reinterpret_cast<uintptr_t>(first) % 16 == 0;
    const Pack<T> pack =
        vector ? load_floats<T>(first) : gathered<T>(k, left, height, width, [&](int c, int y, int column) {
          return *address(c, y, column);
        });
    store_pack(out.row(row) + k, pack, left, aligned && left >= kPack<T>);
  }
}

}  // namespace

// ---- launchers --------------------------------------------------------------------------------------------

template <class T>
void patchify(Cuda place, const uint8_t* pixels, const Patches& p, const float* table, Rows<T> out) {
  const int64_t lines = p.items * p.rows();
  if (lines * p.columns() == 0) return;
  const bool aligned = aligned_rows(out);
  if (p.patch_height * pitch_of(p.patch_width) > kStagedBytes) {
    launch(patchify_large<T>, dim3(static_cast<unsigned>(lines * p.columns())), dim3(kPatchThreads), 0,
           place.stream, pixels, p, table, out, aligned);
  } else {
    int64_t group = p.columns();
    while (p.patch_height * pitch_of(group * p.patch_width) > kStagedBytes) group = ceil_div(group, 2);
    const int64_t shared = p.patch_height * pitch_of(group * p.patch_width);
    launch(patchify_groups<T>, dim3(static_cast<unsigned>(lines * ceil_div(p.columns(), group))),
           dim3(kGroupThreads), static_cast<std::size_t>(shared), place.stream, pixels, p, table, out,
           static_cast<int>(group), aligned);
  }
  check_cuda(cudaGetLastError(), "patchify");
}

template <class T>
void patchify(Cuda place, const float* planes, int64_t channels, const Patches& p, Rows<T> out) {
  const int64_t patches = p.items * p.rows() * p.columns();
  if (patches * channels == 0) return;
  launch(patchify_planes<T>, dim3(static_cast<unsigned>(patches)), dim3(kPatchThreads), 0, place.stream,
         planes, channels, p, out, aligned_rows(out));
  check_cuda(cudaGetLastError(), "patchify");
}

template void patchify(Cuda, const uint8_t*, const Patches&, const float*, Rows<float>);
template void patchify(Cuda, const uint8_t*, const Patches&, const float*, Rows<bf16>);
template void patchify(Cuda, const uint8_t*, const Patches&, const float*, Rows<f16>);
template void patchify(Cuda, const float*, int64_t, const Patches&, Rows<float>);
template void patchify(Cuda, const float*, int64_t, const Patches&, Rows<bf16>);
template void patchify(Cuda, const float*, int64_t, const Patches&, Rows<f16>);

}  // namespace unisim
