// patchify: pictures cut into patches, a row each, in the order of a convolution's weights.
//
// The trap: a patch's lines and its row begin at any address (14 x 14 patches of 16-bit numbers are rows of
// 1,176 bytes), and a row's neighbours come from other lines and channels. Lines are therefore staged in
// shared memory, each with the misalignment that it has outside, and rows leave in packs that begin at
// multiples of 16 bytes.

#include <type_traits>

#include "check.h"
#include "kernels.h"
#include "pack.cuh"

namespace unisim {
namespace {

// ---- device code ------------------------------------------------------------------------------------------

constexpr unsigned kGroupThreads = 256;
constexpr unsigned kLargeThreads = 64;
constexpr int kLevels = 3 * 256;
constexpr int64_t kStagedBytes = 24 * 1024;  // with the table, eight blocks on one multiprocessor

/// Pictures as lines of bytes. From is uint8_t, one plane of R G B pixels that `table` turns into numbers, or
/// float, a plane a channel.
template <class From>
struct Source {
  const From* data = nullptr;
  const float* table = nullptr;
  int channels = 0;

  static constexpr int pixel_bytes = std::is_same_v<From, float> ? 4 : 3;
  static constexpr int table_bytes = std::is_same_v<From, float> ? 0 : kLevels * 4;
  constexpr int planes() const { return std::is_same_v<From, float> ? channels : 1; }
};

/// A channel's number of the pixel at this address.
template <class From>
__device__ inline float value_at(const uint8_t* pixel, [[maybe_unused]] const float* table,
                                 [[maybe_unused]] int channel) {
  if constexpr (std::is_same_v<From, float>)
    return load_as<float>(pixel);
  else
    return table[256 * channel + pixel[channel]];
}

/// Bytes from line to line of a staged group: whole vectors, and room for any misalignment.
constexpr int64_t pitch_of(int64_t bytes) { return ceil_div(bytes + 15, 16) * 16; }

/// The lines of a patch, or of patches side by side, as they lie in memory: line y of plane k begins at from
/// + k * plane + y * stride.
struct Lines {
  const uint8_t* from = nullptr;
  int64_t plane = 0, stride = 0;

  __device__ const uint8_t* line(int k, int y) const { return from + k * plane + y * stride; }
  __device__ int shift(int k, int y) const {
    const auto low = [](auto x) { return static_cast<unsigned>(x); };  // the bits that tell
    return static_cast<int>(
        (low(reinterpret_cast<uintptr_t>(from)) + low(k) * low(plane) + low(y) * low(stride)) % 16);
  }
};

template <class From>
__device__ inline Lines lines_of(const Source<From>& source, const Patches& p, int64_t patch_line,
                                 int64_t column) {
  const int64_t item = patch_line / p.rows(), y = p.top + patch_line % p.rows() * p.patch_height;
  const int64_t stride = p.width * source.pixel_bytes, plane = p.height * stride;
  return {reinterpret_cast<const uint8_t*>(source.data) + item * source.planes() * plane + y * stride +
              (p.left + column * p.patch_width) * source.pixel_bytes,
          plane, stride};
}

/// Copies `bytes` bytes of each line to lines `pitch` apart: byte k of a line goes to shift + k, so that both
/// sides are aligned at the same bytes.
__device__ inline void stage(Lines lines, int planes, int height, int bytes, uint8_t* staged, int pitch) {
  const int chunks = pitch / 16;
  for (int i = static_cast<int>(threadIdx.x); i < planes * height * chunks; i += kGroupThreads) {
    const int number = i / chunks, chunk = i % chunks * 16;
    const int plane = number / height, y = number % height;
    const uint8_t* line = lines.line(plane, y);
    const int begin = chunk - lines.shift(plane, y);  // the chunk's first byte, counted from the line's
    uint8_t* to = staged + number * pitch + chunk;
    if (begin >= 0 && begin + 16 <= bytes) {
      store_as<uint4>(to, load_as<uint4>(line + begin));
    } else {
      for (int k = max(0, -begin); k < min(16, bytes - begin); ++k) to[k] = line[begin + k];
    }
  }
}

/// How many packs a row of so many elements may need, wherever it begins.
template <class T>
constexpr int packs_of(int elements) {
  return (elements + 2 * kPack<T> - 2) / kPack<T>;
}

/// Stores pack number `i` of a row of `elements`; packs begin at multiples of 16 bytes, so that the first and
/// last may be parts. value(channel, y, x) is an element.
template <class T, class Value>
__device__ inline void store_elements(T* row, int i, int elements, int height, int width,
                                      const Value& value) {
  const int before = static_cast<int>(reinterpret_cast<uintptr_t>(row) / sizeof(T) % kPack<T>);
  const int begin = max(i * kPack<T> - before, 0), count = min((i + 1) * kPack<T> - before, elements) - begin;
  int line = begin / width, x = begin % width;
  int channel = line / height, y = line % height;
  Pack<T> pack;
#pragma unroll
  for (int j = 0; j < kPack<T>; ++j) {
    pack.v[j] = j < count ? value(channel, y, x) : 0.0f;
    if (++x < width) continue;
    x = 0;
    if (++y < height) continue;
    y = 0;
    ++channel;
  }
  store_pack(row + begin, pack, count, count == kPack<T>);
}

/// A block takes `group` patches side by side: their lines to shared memory, then their rows out.
template <class T, class From>
__global__ void __launch_bounds__(kGroupThreads)
    patchify_groups(Source<From> source, Patches p, Rows<T> out, int group) {
  auto* const levels = reinterpret_cast<float*>(dynamic_shared());
  uint8_t* const staged = dynamic_shared() + source.table_bytes;
  const int64_t groups = ceil_div(p.columns(), group);
  const int64_t patch_line = blockIdx.x / groups, first = blockIdx.x % groups * group;
  const int count = static_cast<int>(min(int64_t{group}, p.columns() - first));
  const int height = static_cast<int>(p.patch_height), width = static_cast<int>(p.patch_width);
  const int pitch = static_cast<int>(pitch_of(int64_t{group} * width * source.pixel_bytes));
  const Lines lines = lines_of(source, p, patch_line, first);
  for (int i = static_cast<int>(threadIdx.x); i < source.table_bytes / 4; i += kGroupThreads)
    levels[i] = source.table[i];
  stage(lines, source.planes(), height, count * width * source.pixel_bytes, staged, pitch);
  __syncthreads();

  const int elements = source.channels * height * width, packs = packs_of<T>(elements);
  for (int i = static_cast<int>(threadIdx.x); i < count * packs; i += kGroupThreads) {
    const int patch = i / packs;
    T* row = out.row(patch_line * p.columns() + first + patch);
    store_elements(row, i % packs, elements, height, width, [&](int channel, int y, int x) {
      const int plane = source.planes() > 1 ? channel : 0;
      const uint8_t* line = staged + (plane * height + y) * pitch + lines.shift(plane, y);
      return value_at<From>(line + (patch * width + x) * source.pixel_bytes, levels, channel);
    });
  }
}

/// A block takes one patch, too large to be staged.
template <class T, class From>
__global__ void __launch_bounds__(kLargeThreads) patchify_large(Source<From> source, Patches p, Rows<T> out) {
  const int64_t row = blockIdx.x;
  const Lines lines = lines_of(source, p, row / p.columns(), row % p.columns());
  const int height = static_cast<int>(p.patch_height), width = static_cast<int>(p.patch_width);
  const int elements = source.channels * height * width;
  for (int i = static_cast<int>(threadIdx.x); i < packs_of<T>(elements); i += kLargeThreads)
    store_elements(out.row(row), i, elements, height, width, [&](int channel, int y, int x) {
      const int plane = source.planes() > 1 ? channel : 0;
      return value_at<From>(lines.line(plane, y) + x * source.pixel_bytes, source.table, channel);
    });
}

// ---- launchers --------------------------------------------------------------------------------------------

template <class T, class From>
void cut(Cuda place, const Source<From>& source, const Patches& p, Rows<T> out) {
  const int64_t patches = p.items * p.rows() * p.columns();
  if (patches * source.channels == 0) return;
  const auto staged = [&](int64_t group) {
    return source.planes() * p.patch_height * pitch_of(group * p.patch_width * source.pixel_bytes);
  };
  if (staged(1) > kStagedBytes) {
    launch(patchify_large<T, From>, dim3(static_cast<unsigned>(patches)), dim3(kLargeThreads), 0,
           place.stream, source, p, out);
  } else {
    int64_t group = p.columns();
    while (staged(group) > kStagedBytes) group = ceil_div(group, 2);
    const int64_t blocks = p.items * p.rows() * ceil_div(p.columns(), group);
    launch(patchify_groups<T, From>, dim3(static_cast<unsigned>(blocks)), dim3(kGroupThreads),
           static_cast<std::size_t>(source.table_bytes + staged(group)), place.stream, source, p, out,
           static_cast<int>(group));
  }
  check_cuda(cudaGetLastError(), "patchify");
}

}  // namespace

template <class T>
void patchify(Cuda place, const uint8_t* pixels, const Patches& p, const float* table, Rows<T> out) {
  cut(place, Source<uint8_t>{pixels, table, 3}, p, out);
}

template <class T>
void patchify(Cuda place, const float* planes, int64_t channels, const Patches& p, Rows<T> out) {
  cut(place, Source<float>{planes, nullptr, static_cast<int>(channels)}, p, out);
}

template void patchify(Cuda, const uint8_t*, const Patches&, const float*, Rows<float>);
template void patchify(Cuda, const uint8_t*, const Patches&, const float*, Rows<bf16>);
template void patchify(Cuda, const uint8_t*, const Patches&, const float*, Rows<f16>);
template void patchify(Cuda, const float*, int64_t, const Patches&, Rows<float>);
template void patchify(Cuda, const float*, int64_t, const Patches&, Rows<bf16>);
template void patchify(Cuda, const float*, int64_t, const Patches&, Rows<f16>);

}  // namespace unisim
