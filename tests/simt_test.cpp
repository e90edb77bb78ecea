// The emulated device's own tests: every fault is found, nothing sound is blamed, every wrapper means what
// CUDA says.

#include "simt/simt.h"

#include <cuda_runtime_api.h>

#include <bit>
#include <cstring>
#include <numeric>
#include <set>

#include "half.h"
#include "simt/cases.h"
#include "simt/cases_memory.h"
#include "support.h"

using simt::Memory;

TEST_CASE("every fault is found and named, whatever the order of threads", "[simt]") {
  const auto cases = simt::faulty_cases();
  REQUIRE(cases.size() >= 25);
  for (const bool portable : {false, true})
    for (const simt::Case& each : cases)
      for (const uint64_t seed : simt::seeds()) {
        INFO(each.claim << ", seed " << seed << (portable ? ", portable switch" : ""));
        simt::options = {};
        simt::options.seed = seed;
        simt::options.portable_switch = portable;
        each.run();
        const std::string report = simt::report();
        CHECK(report.find(std::string(each.finding) + " in ") != std::string::npos);
        cudaGetLastError();
      }
}

TEST_CASE("nothing sound is blamed", "[simt]") {
  const auto cases = simt::sound_cases();
  REQUIRE(cases.size() >= 15);
  for (const bool portable : {false, true})
    for (const simt::Case& each : cases)
      for (const uint64_t seed : simt::seeds()) {
        INFO(each.claim << ", seed " << seed);
        simt::options = {};
        simt::options.seed = seed;
        simt::options.portable_switch = portable;
        each.run();
        CHECK(simt::report() == "");
      }
}

TEST_CASE("a finding names the kernel, the line, the thread and the memory", "[simt]") {
  simt::options = {};
  for (const simt::Case& each : simt::faulty_cases())
    if (std::string(each.claim) == "a read past an allocation") each.run();
  const std::string report = simt::report();
  CHECK(report.find("out of bounds in kernel at faulty.cu:") == 0);
  CHECK(report.find("thread 0 of block (0,0,0) reads 4 bytes outside of all memory") != std::string::npos);
}

namespace {

std::vector<uint16_t> distinct(std::size_t count) {
  std::vector<uint16_t> values(count);
  std::iota(values.begin(), values.end(), uint16_t{1});
  return values;
}

}  // namespace

TEST_CASE("ldmatrix gives lane 4 g + t columns 2 t and 2 t + 1 of row g, transposed rows of column g",
          "[simt]") {
  simt::options = {};
  const int count = GENERATE(1, 2, 4);
  const bool transposed = GENERATE(false, true);
  const auto values = distinct(static_cast<std::size_t>(count) * 64);
  Memory<uint16_t> matrices(values);
  Memory<uint32_t> out(static_cast<std::size_t>(count) * 32, 0u);
  simt::run_ldmatrix(count, transposed, matrices.data(), out.data());
  const auto r = out.host();
  for (int lane = 0; lane < 32; ++lane)
    for (int m = 0; m < count; ++m)
      for (int half = 0; half < 2; ++half) {
        const int row = transposed ? 2 * (lane % 4) + half : lane / 4;
        const int column = transposed ? lane / 4 : 2 * (lane % 4) + half;
        CHECK((r[lane * count + m] >> (16 * half) & 0xffff) == values[m * 64 + row * 8 + column]);
      }
  CHECK(simt::report() == "");
}

namespace {

/// A of m16n8k16 or m16n8k32, [16, k], as the lanes hold it: where the PTX manual puts row i and column j.
template <class Put>
void each_of_a(int k, const Put& put) {
  const int per = k / 8;  // numbers a register holds: 2 or 4
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < k; ++j) {
      const int lane = (i % 8) * 4 + (j % (k / 2)) / per;
      put(i, j, lane, (i >= 8 ? 1 : 0) + (j >= k / 2 ? 2 : 0), j % per);
    }
}
template <class Put>
void each_of_b(int k, const Put& put) {
  const int per = k / 8;
  for (int j = 0; j < k; ++j)
    for (int n = 0; n < 8; ++n) put(j, n, n * 4 + (j % (k / 2)) / per, j >= k / 2 ? 1 : 0, j % per);
}

int small(int i, int j) { return (i * 7 + j * 5) % 23 - 11; }

}  // namespace

TEST_CASE("mma of halves is the product of its fragments", "[simt]") {
  const int element = GENERATE(0, 1);
  const bool truncate = GENERATE(false, true);
  simt::options = {};
  simt::options.truncate = truncate;
  const auto half = [&](int x) {
    return element == 0 ? unisim::rounded<unisim::bf16>(static_cast<float>(x)).bits
                        : unisim::rounded<unisim::f16>(static_cast<float>(x)).bits;
  };
  std::vector<uint32_t> a(128), b(64);
  std::vector<float> d(128);
  each_of_a(16, [&](int i, int j, int lane, int r, int h) {
    a[lane * 4 + r] |= uint32_t{half(small(i, j))} << (16 * h);
  });
  each_of_b(16, [&](int j, int n, int lane, int r, int h) {
    b[lane * 2 + r] |= uint32_t{half(small(n, j) + 3)} << (16 * h);
  });
  for (int k = 0; k < 128; ++k) d[k] = static_cast<float>(k);
  Memory<uint32_t> fa(a), fb(b);
  Memory<float> fd(d);
  simt::run_mma(element, fa.data(), fb.data(), fd.data());
  const auto got = fd.host();
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r) {
      const int i = lane / 4 + 8 * (r / 2), n = 2 * (lane % 4) + r % 2;
      float want = d[lane * 4 + r];
      for (int j = 0; j < 16; ++j) want += static_cast<float>(small(i, j) * (small(n, j) + 3));
      CHECK(got[lane * 4 + r] == want);  // integers below 2^24: exact
    }
  CHECK(simt::report() == "");
}

TEST_CASE("truncating while adding moves a sum downwards, within the tolerance of kernels", "[simt]") {
  std::vector<uint32_t> a(128), b(64, 0x3f803f80u);  // all ones
  each_of_a(16, [&](int i, int j, int lane, int r, int h) {
    const float value = j == 0 ? 1.0f : 0x1p-26f * static_cast<float>(i + 1);
    a[lane * 4 + r] |= uint32_t{unisim::rounded<unisim::bf16>(value).bits} << (16 * h);
  });
  Memory<uint32_t> fa(a), fb(b);
  std::vector<float> sums[2];
  for (const bool truncate : {false, true}) {
    simt::options = {};
    simt::options.truncate = truncate;
    Memory<float> fd(128, 0.0f);
    simt::run_mma(0, fa.data(), fb.data(), fd.data());
    sums[truncate] = fd.host();
  }
  bool differ = false;
  for (int k = 0; k < 128; ++k) {
    const int i = k / 4 / 4 + 8 * (k % 4 / 2);
    const double want = 1 + 15 * (i + 1) * 0x1p-26;
    CHECK(std::abs(sums[0][k] - want) <= 0x1p-24);
    CHECK(std::abs(sums[1][k] - want) <= (16 / 8 + 4) * 0x1p-23 * want);
    CHECK(sums[1][k] <= sums[0][k]);
    differ = differ || sums[1][k] < sums[0][k];
  }
  CHECK(differ);
}

TEST_CASE("mma of bytes is exact", "[simt]") {
  simt::options = {};
  std::vector<uint32_t> a(128), b(64);
  std::vector<int32_t> d(128);
  const auto byte = [](int x) { return uint32_t{static_cast<uint8_t>(x)}; };
  each_of_a(32, [&](int i, int j, int lane, int r, int h) {
    a[lane * 4 + r] |= byte(small(i, j) * 11) << (8 * h);
  });
  each_of_b(32, [&](int j, int n, int lane, int r, int h) {
    b[lane * 2 + r] |= byte(small(n, j) * 10 + 1) << (8 * h);
  });
  std::iota(d.begin(), d.end(), -64);
  Memory<uint32_t> fa(a), fb(b);
  Memory<int32_t> fd(d);
  simt::run_mma(2, fa.data(), fb.data(), fd.data());
  const auto got = fd.host();
  for (int lane = 0; lane < 32; ++lane)
    for (int r = 0; r < 4; ++r) {
      const int i = lane / 4 + 8 * (r / 2), n = 2 * (lane % 4) + r % 2;
      int32_t want = d[lane * 4 + r];
      for (int j = 0; j < 32; ++j) want += small(i, j) * 11 * (small(n, j) * 10 + 1);
      CHECK(got[lane * 4 + r] == want);
    }
}

TEST_CASE("shuffles read the lane that CUDA says", "[simt]") {
  simt::options = {};
  const int from = GENERATE(0, 1, 2, 3), width = GENERATE(32, 16, 8, 2);
  std::vector<int> values(32), by(32);
  for (int lane = 0; lane < 32; ++lane) {
    values[lane] = 100 + lane;
    by[lane] = from == 0 ? (lane * 5 + 3) % 32 : 3 % width;
  }
  Memory<int> in(values), steps(by), out(32, 0);
  simt::run_shuffle(from, width, in.data(), steps.data(), out.data());
  const auto got = out.host();
  for (int lane = 0; lane < 32; ++lane) {
    const int first = lane / width * width, at = lane - first, step = by[lane];
    int source = lane;
    if (from == 0) source = first + step % width;
    if (from == 1) source = first + (at ^ step);
    if (from == 2 && at >= step) source = lane - step;
    if (from == 3 && at + step < width) source = lane + step;
    CHECK(got[lane] == 100 + source);
  }
}

TEST_CASE("reductions and votes see every lane", "[simt]") {
  simt::options = {};
  std::vector<int> values(32);
  for (int lane = 0; lane < 32; ++lane) values[lane] = (lane * 37 + 11) % 64 - 20;
  Memory<int> in(values);
  int want[6] = {0, values[0], values[0], ~0, 0, 0};
  for (const int x : values) {
    want[0] += x;
    want[1] = std::min(want[1], x);
    want[2] = std::max(want[2], x);
    want[3] &= x;
    want[4] |= x;
    want[5] ^= x;
  }
  for (int fold = 0; fold < 6; ++fold) {
    Memory<int> out(32, 0);
    simt::run_reduce(fold, in.data(), out.data());
    CHECK(out.host() == std::vector<int>(32, want[fold]));
  }
  for (const uint32_t pattern : {0u, ~0u, 0x80000001u, 0x00ff00f0u}) {
    std::vector<int> predicates(32);
    for (int lane = 0; lane < 32; ++lane) predicates[lane] = pattern >> lane & 1;
    Memory<int> given(predicates);
    Memory<unsigned> out(96, 0u);
    simt::run_votes(given.data(), out.data());
    const auto got = out.host();
    for (int lane = 0; lane < 32; ++lane) {
      CHECK(got[3 * lane] == pattern);
      CHECK(got[3 * lane + 1] == (pattern != 0));
      CHECK(got[3 * lane + 2] == (pattern == ~0u));
    }
  }
}

TEST_CASE("arithmetic intrinsics compute what their names say", "[simt]") {
  simt::options = {};
  std::vector<float> x(32), y(32);
  for (int lane = 0; lane < 32; ++lane) {
    x[lane] = 0.5f + static_cast<float>(lane) * 1.75f;
    y[lane] = static_cast<float>(lane) * 0.75f - 11.25f;
  }
  Memory<float> a(x), b(y), out(256, 0.0f);
  simt::run_arithmetic(a.data(), b.data(), out.data());
  const auto got = out.host();
  for (int lane = 0; lane < 32; ++lane) {
    const double u = x[lane], v = y[lane];
    const float* row = got.data() + 8 * lane;
    CHECK(row[0] == Approx(1 / std::sqrt(u)).epsilon(1e-6));
    CHECK(row[1] == Approx(std::exp(v)).epsilon(1e-6));
    CHECK(row[2] == Approx(std::exp2(v)).epsilon(1e-6));
    if (v != 0) CHECK(row[3] == Approx(u / v).epsilon(1e-6));
    CHECK(row[4] == static_cast<float>(u * v + u));
    const auto bits = std::bit_cast<uint32_t>(x[lane]), other = std::bit_cast<uint32_t>(y[lane]);
    int dot = 7;
    for (int k = 0; k < 4; ++k)
      dot += static_cast<int8_t>(bits >> 8 * k) * static_cast<int8_t>(other >> 8 * k);
    CHECK(row[5] == static_cast<float>(std::popcount(bits) + 100 * std::countl_zero(bits) +
                                       10000 * (std::countr_zero(bits) + 1)));
    CHECK(row[6] == static_cast<float>(dot));
    CHECK(row[7] == static_cast<float>(std::nearbyint(v)));
  }
}

TEST_CASE("a device's refusals are made", "[simt]") {
  simt::options = {};
  Memory<int> values(32, 0), by(32, 0), out(32, 0);
  simt::options.fail_allocation = 1;
  void *first = nullptr, *second = nullptr;
  CHECK(cudaMalloc(&first, 100) == cudaSuccess);
  CHECK(cudaMalloc(&second, 100) == cudaErrorMemoryAllocation);
  CHECK(second == nullptr);
  CHECK(cudaMalloc(&second, 100) == cudaSuccess);
  CHECK(cudaFree(first) == cudaSuccess);
  CHECK(cudaFree(first) == cudaErrorInvalidValue);
  CHECK(cudaFree(second) == cudaSuccess);
  cudaGetLastError();
  std::size_t available = 0, total = 0;
  CHECK(cudaMemGetInfo(&available, &total) == cudaSuccess);
  CHECK(total - available == simt::allocated());
  CHECK(cudaMalloc(&first, total + 1) == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaErrorMemoryAllocation);
  CHECK(cudaGetLastError() == cudaSuccess);
}

TEST_CASE("with odd seeds a pinned buffer is read when the stream comes to it", "[simt]") {
  void* pinned = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  cudaHostAlloc(&pinned, 4, 0);
  cudaStreamCreate(&stream);
  cudaEventCreate(&event);
  for (const uint64_t seed : {0, 1}) {
    simt::options = {};
    simt::options.seed = seed;
    Memory<int> to(1, 0);
    const int first = 1, second = 2;
    std::memcpy(pinned, &first, 4);
    cudaMemcpyAsync(to.data(), pinned, 4, cudaMemcpyHostToDevice, stream);
    std::memcpy(pinned, &second, 4);  // too early: no event was waited for
    cudaStreamSynchronize(stream);
    CHECK(to.host()[0] == (seed == 1 ? 2 : 1));
    std::memcpy(pinned, &first, 4);
    cudaMemcpyAsync(to.data(), pinned, 4, cudaMemcpyHostToDevice, stream);
    cudaEventRecord(event, stream);
    cudaEventSynchronize(event);
    std::memcpy(pinned, &second, 4);
    CHECK(to.host()[0] == 1);
  }
  cudaEventDestroy(event);
  cudaStreamDestroy(stream);
  cudaFreeHost(pinned);
  CHECK(simt::report() == "");
}
