// Times the kernels on a CUDA device, one line of JSON a row; scripts/gpu_check sets benchmarks/gpu/peers.py
// beside it.
//
//   kernels_on_device [--tiny] [GROUP...]    GROUP: G4 G5 G7 G9 (../docs/cuda.md)
//
// Linked with the emulated device it runs every line but gives no times. --tiny is for that.

#include <cuda_runtime_api.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "check.h"
#include "findings.h"
#include "kernels.h"

namespace {

using namespace unisim;

// ---- device memory
// ----------------------------------------------------------------------------------------------

template <class T>
class Memory {
 public:
  explicit Memory(int64_t count) : count_(count) {
    void* memory = nullptr;
    check_cuda(cudaMalloc(&memory, bytes()), "Memory");
    data_ = static_cast<T*>(memory);
  }
  explicit Memory(const std::vector<T>& values) : Memory(static_cast<int64_t>(values.size())) {
    check_cuda(cudaMemcpy(data_, values.data(), bytes(), cudaMemcpyHostToDevice), "Memory");
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { cudaFree(data_); }

  T* data() { return data_; }
  std::size_t bytes() const { return static_cast<std::size_t>(count_) * sizeof(T); }

 private:
  T* data_ = nullptr;
  int64_t count_ = 0;
};

/// Numbers that are not zeros (those draw less power, and clocks rise): in [-1, 1), the same every time.
class Noise {
 public:
  float next() {
    state_ = state_ * 6364136223846793005ull + 1442695040888963407ull;
    return static_cast<float>(static_cast<int32_t>(state_ >> 32)) * 0x1p-31f;
  }
  template <class T>
  std::vector<T> numbers(int64_t count) {
    std::vector<T> values(static_cast<std::size_t>(count));
    for (T& value : values) value = rounded<T>(next());
    return values;
  }
  std::vector<uint8_t> bytes(int64_t count) {
    std::vector<uint8_t> values(static_cast<std::size_t>(count));
    for (uint8_t& value : values) value = static_cast<uint8_t>(next() * 127 + 128);
    return values;
  }

 private:
  uint64_t state_ = 1;
};

// ---- rows
// -------------------------------------------------------------------------------------------------------

struct Row {
  std::string group, work;
  double flop = 0, bytes = 0, items = 0;  // of one call; 0: not counted
  int64_t found = -1, expected = -1;
};

bool all_well = true;

double median_ms(const std::function<void()>& call) {
  cudaEvent_t start = nullptr, end = nullptr;
  check_cuda(cudaEventCreate(&start), "cudaEventCreate");
  check_cuda(cudaEventCreate(&end), "cudaEventCreate");
  const int warm_up = bench::emulated() ? 0 : 3, rounds = bench::emulated() ? 1 : 25;
  for (int k = 0; k < warm_up; ++k) call();
  std::vector<float> times;
  for (int k = 0; k < rounds; ++k) {
    check_cuda(cudaEventRecord(start, nullptr), "cudaEventRecord");
    call();
    check_cuda(cudaEventRecord(end, nullptr), "cudaEventRecord");
    check_cuda(cudaEventSynchronize(end), "cudaEventSynchronize");
    float ms = 0;
    check_cuda(cudaEventElapsedTime(&ms, start, end), "cudaEventElapsedTime");
    times.push_back(ms);
  }
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  std::sort(times.begin(), times.end());
  return double{times[times.size() / 2]};
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text)
    out += c == '"' || c == '\\' ? std::string{'\\', c} : c == '\n' ? "; " : std::string{c};
  return out + '"';
}

void print(const Row& row, double ms) {
  const std::string found = bench::findings();
  const bool well = found.empty() && row.found == row.expected;
  all_well = all_well && well;
  std::printf("{\"group\": %s, \"work\": %s, \"who\": \"unisim\", \"ms\": ", quoted(row.group).c_str(),
              quoted(row.work).c_str());
  if (bench::emulated())
    std::printf("null");
  else
    std::printf("%.6g", ms);
  if (row.flop > 0) std::printf(", \"flop\": %.6g", row.flop);
  if (row.bytes > 0) std::printf(", \"bytes\": %.6g", row.bytes);
  if (row.items > 0) std::printf(", \"items\": %.6g", row.items);
  if (row.expected >= 0)
    std::printf(", \"found\": %lld, \"expected\": %lld", static_cast<long long>(row.found),
                static_cast<long long>(row.expected));
  std::printf(", \"ok\": %s, \"findings\": %s}\n", well ? "true" : "false", quoted(found).c_str());
  std::fflush(stdout);
}

void measure(const Row& row, const std::function<void()>& call) { print(row, median_ms(call)); }

// ---- G4: pairs above a threshold
// --------------------------------------------------------------------------------

/// Unit rows in which row i and row i + rows / 2 are equal for the first `planted`; all others are far apart.
std::vector<f16> planted_rows(int64_t rows, int64_t width, int64_t planted) {
  Noise noise;
  std::vector<f16> out(static_cast<std::size_t>(rows * width));
  std::vector<float> row(static_cast<std::size_t>(width));
  for (int64_t i = 0; i < rows; ++i) {
    float square = 0;
    for (float& value : row) {
      value = noise.next();
      square += value * value;
    }
    for (int64_t k = 0; k < width; ++k)
      out[static_cast<std::size_t>(i * width + k)] =
          rounded<f16>(row[static_cast<std::size_t>(k)] / std::sqrt(square));
  }
  for (int64_t i = 0; i < planted; ++i)
    std::copy_n(out.begin() + i * width, width, out.begin() + (i + rows / 2) * width);
  return out;
}

/// Finds the planted pairs again and again; `filter` gets an empty list.
void measure_pairs(Row row, int64_t planted, const std::function<void(PairList)>& filter) {
  const int64_t capacity = 1 << 16;
  Memory<RowPair> pairs(capacity);
  Memory<unsigned long long> count(1);
  const double ms = median_ms([&] {
    check_cuda(cudaMemsetAsync(count.data(), 0, count.bytes(), nullptr), "cudaMemsetAsync");
    filter({pairs.data(), capacity, count.data()});
  });
  unsigned long long found = 0;
  check_cuda(cudaMemcpy(&found, count.data(), sizeof found, cudaMemcpyDeviceToHost), "cudaMemcpy");
  row.found = static_cast<int64_t>(found);
  row.expected = planted;
  print(row, ms);
}

void pairs(bool tiny) {
  const int64_t rows = tiny ? 150 : 32768, planted = tiny ? 3 : 1000;
  for (const int64_t width : tiny ? std::vector<int64_t>{128} : std::vector<int64_t>{768, 192, 128}) {
    Memory<f16> x(planted_rows(rows, width, planted));
    const Rows<const f16> view{x.data(), rows, width, width};
    const std::string shape = " rows=" + std::to_string(rows) + " width=" + std::to_string(width);
    const double flop = static_cast<double>(rows) * static_cast<double>(rows) * static_cast<double>(width);
    const PairBand band{0, rows, 0.9f};
    measure_pairs({"G4", "pairs f16" + shape, flop}, planted,
                  [&](PairList list) { pair_filter(Cuda{}, view, band, list); });

    Memory<int8_t> bytes(rows * width);
    Memory<float> scale(rows), residual(rows);
    const Rows<int8_t> quantized{bytes.data(), rows, width, width};
    measure({"G4", "quantize f16" + shape, 0, 3.0 * static_cast<double>(rows * width)},
            [&] { quantize_rows(Cuda{}, view, quantized, scale.data(), residual.data()); });
    const QuantizedRows q{{bytes.data(), rows, width, width}, scale.data(), residual.data()};
    measure_pairs({"G4", "pairs int8" + shape, flop}, planted,
                  [&](PairList list) { pair_filter(Cuda{}, q, band, list); });
  }
}

// ---- G5: decoded pictures to patches
// ----------------------------------------------------------------------------

/// As many taps as a bicubic axis has, equal weights: the same work.
struct Axis {
  Axis(int64_t in, int64_t out)
      : taps(static_cast<int32_t>(ceil_div(4 * in / std::min(in, out) + 2, 4) * 4)),
        first(starts(in, out)),
        count(std::vector<int32_t>(static_cast<std::size_t>(out), width(in))),
        weights(std::vector<int32_t>(static_cast<std::size_t>(out * taps), (1 << resize_bits) / width(in))) {}

  ResizeAxis axis() { return {first.data(), count.data(), weights.data(), taps}; }
  int32_t width(int64_t in) const { return static_cast<int32_t>(std::min<int64_t>(taps, in)); }
  std::vector<int32_t> starts(int64_t in, int64_t out) const {
    std::vector<int32_t> values;
    for (int64_t k = 0; k < out; ++k)
      values.push_back(static_cast<int32_t>(std::clamp<int64_t>(k * in / out - taps / 2, 0, in - width(in))));
    return values;
  }

  int32_t taps;
  Memory<int32_t> first, count, weights;
};

void pictures_of(int64_t items, int64_t width, int64_t height, int64_t side, int64_t patch) {
  const int64_t wide = width * side / std::min(width, height), high = height * side / std::min(width, height);
  Noise noise;
  Memory<uint8_t> in(noise.bytes(items * height * width * 3 + resize_margin));
  Memory<uint8_t> narrow(items * height * wide * 3), small(items * high * wide * 3);
  Memory<float> table(noise.numbers<float>(3 * 256));
  const Patches p{items, high, wide, (high - side) / 2, (wide - side) / 2, side, side, patch, patch};
  const int64_t rows = items * p.rows() * p.columns(), row_width = 3 * patch * patch;
  Memory<bf16> out(rows * row_width);
  Axis across(width, wide), down(height, high);
  Row row{"G5", "pictures " + std::to_string(width) + "x" + std::to_string(height) +
                    " items=" + std::to_string(items)};
  row.bytes = static_cast<double>(in.bytes() + out.bytes());
  row.items = static_cast<double>(items);
  measure(row, [&] {
    resize_horizontal(Cuda{}, {in.data(), items * height, width * 3, width * 3},
                      {narrow.data(), items * height, wide * 3, wide * 3}, across.axis());
    for (int64_t i = 0; i < items; ++i)
      resize_vertical(Cuda{}, {narrow.data() + i * height * wide * 3, height, wide * 3, wide * 3},
                      {small.data() + i * high * wide * 3, high, wide * 3, wide * 3}, down.axis());
    patchify(Cuda{}, small.data(), p, table.data(), Rows<bf16>{out.data(), rows, row_width, row_width});
  });
}

void pictures(bool tiny) {
  if (tiny) return pictures_of(2, 45, 36, 28, 14);
  pictures_of(64, 500, 375, 224, 14);
  pictures_of(16, 1920, 1080, 224, 14);
}

// ---- G7: mixtures of features and cosines, bound by memory
// ------------------------------------------------------

void mixtures(bool tiny) {
  const int64_t tokens = tiny ? 9 : 32 * 576, width = tiny ? 40 : 4096, count = tokens * width;
  Noise noise;
  Memory<bf16> a(noise.numbers<bf16>(count)), b(noise.numbers<bf16>(count)), out(2 * count);
  Memory<float> cosines(tokens);
  const std::string shape = " bf16 tokens=" + std::to_string(tokens) + " width=" + std::to_string(width);
  const double one = static_cast<double>(a.bytes());
  measure({"G7", "copy" + shape, 0, 2 * one}, [&] {
    check_cuda(cudaMemcpyAsync(out.data(), a.data(), a.bytes(), cudaMemcpyDeviceToDevice, nullptr), "copy");
  });
  measure({"G7", "additive_mof" + shape, 0, 3 * one},
          [&] { additive_mof(Cuda{}, a.data(), b.data(), 0.3, count, out.data()); });
  measure({"G7", "interleaved_mof" + shape, 0, 4 * one},
          [&] { interleaved_mof(Cuda{}, a.data(), b.data(), tokens, width * 2, out.data()); });
  measure({"G7", "cosine_rows" + shape, 0, 2 * one}, [&] {
    cosine_rows(Cuda{}, Rows<const bf16>{a.data(), tokens, width, width},
                Rows<const bf16>{b.data(), tokens, width, width}, cosines.data());
  });
}

// ---- G9: attention
// ----------------------------------------------------------------------------------------------

void attention_of(int64_t items, int64_t heads, int64_t tokens, int64_t head_width) {
  Noise noise;
  const int64_t count = items * tokens * heads * head_width;
  Memory<bf16> q(noise.numbers<bf16>(count)), k(noise.numbers<bf16>(count)), v(noise.numbers<bf16>(count)),
      out(count);
  Attention<bf16> a;
  const auto view = [&](bf16* data) {
    return HeadRows<const bf16>{data, tokens * heads * head_width, heads * head_width, head_width};
  };
  a.q = view(q.data()), a.k = view(k.data()), a.v = view(v.data());
  a.out = {out.data(), tokens * heads * head_width, heads * head_width, head_width};
  a.items = items, a.heads = a.kv_heads = heads;
  a.queries = a.keys = tokens;
  a.head_width = head_width;
  a.scale = 1 / std::sqrt(static_cast<float>(head_width));
  Row row{"G9", "attention bf16 items=" + std::to_string(items) + " heads=" + std::to_string(heads) +
                    " tokens=" + std::to_string(tokens) + " width=" + std::to_string(head_width)};
  row.flop = 4.0 * static_cast<double>(count) * static_cast<double>(tokens);
  row.bytes = 4.0 * static_cast<double>(q.bytes());
  measure(row, [&] { attention(Cuda{}, a); });
}

/// Items of one length that share a kept prefix, as questions about one picture do.
void packed_attention_of(int64_t items, int64_t heads, int64_t kv_heads, int64_t prefix, int64_t own,
                         int64_t head_width) {
  Noise noise;
  const int64_t token = (heads + 2 * kv_heads) * head_width, rows = items * own;
  Memory<bf16> product(noise.numbers<bf16>(rows * token)), out(rows * heads * head_width),
      k(noise.numbers<bf16>(prefix * kv_heads * head_width)),
      v(noise.numbers<bf16>(prefix * kv_heads * head_width));
  std::vector<KeyRange<bf16>> ranges;
  std::vector<PackedQueries> queries;
  for (int64_t item = 0; item < items; ++item) {
    const bf16* const first = product.data() + item * own * token + heads * head_width;
    queries.push_back({item * own, own, 2 * item, 2});
    ranges.push_back({k.data(), v.data(), kv_heads * head_width, head_width, prefix});
    ranges.push_back({first, first + kv_heads * head_width, token, head_width, own});
  }
  Memory<KeyRange<bf16>> all_ranges(ranges);
  Memory<PackedQueries> all_queries(queries);
  PackedAttention<bf16> a;
  a.q = {product.data(), 0, token, head_width};
  a.out = {out.data(), 0, heads * head_width, head_width};
  a.ranges = all_ranges.data(), a.items = all_queries.data();
  a.item_count = items, a.most_queries = own;
  a.heads = heads, a.kv_heads = kv_heads, a.head_width = head_width;
  a.scale = 1 / std::sqrt(static_cast<float>(head_width));
  a.aligned_keys = true;
  Row row{"G9", "packed attention bf16 items=" + std::to_string(items) + " heads=" + std::to_string(heads) +
                    "/" + std::to_string(kv_heads) + " prefix=" + std::to_string(prefix) +
                    " own=" + std::to_string(own) + " width=" + std::to_string(head_width)};
  row.flop = 4.0 * static_cast<double>(rows * heads * head_width) *
             (static_cast<double>(prefix) + static_cast<double>(own + 1) / 2);
  measure(row, [&] { packed_attention(Cuda{}, a); });
}

void attentions(bool tiny) {
  if (tiny) {
    attention_of(1, 2, 50, 64);
    return packed_attention_of(2, 2, 1, 40, 5, 64);
  }
  for (const int64_t tokens : {50, 197, 257, 577, 729})
    for (const int64_t width : {64, 72}) attention_of(64, 16, tokens, width);
  for (const int64_t own : {1, 64, 512}) packed_attention_of(16, 32, 8, 1500, own, 96);
}

}  // namespace

int main(int count, char** given) {
  const std::array<std::pair<const char*, void (*)(bool)>, 4> groups = {
      {{"G4", pairs}, {"G5", pictures}, {"G7", mixtures}, {"G9", attentions}}};
  bool tiny = false;
  std::set<std::string> wanted;
  for (int k = 1; k < count; ++k) {
    if (std::strcmp(given[k], "--tiny") == 0)
      tiny = true;
    else
      wanted.insert(given[k]);
  }
  try {
    for (const auto& [name, run] : groups)
      if (wanted.empty() || wanted.count(name)) run(tiny);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return all_well ? 0 : 1;
}
