// Slices through one arena on the emulated device: order of its runtime's calls, memory that runs out.

#include <cstring>

#include "fused/slices.h"
#include "simt/simt.h"
#include "stored.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

constexpr int64_t kWidth = 64;  // 256 bytes: as the arena lays out

/// Rows divided by their length: the smallest work that has a kernel in it.
struct UnitWork {
  std::size_t input_bytes() const { return kWidth * sizeof(float); }
  std::size_t output_bytes() const { return kWidth * sizeof(float); }

  struct Room {
    float *in, *out;
    int32_t* flag;
    std::size_t used;
  };
  Room room(void* memory, int64_t items) const {
    Arena arena(memory);
    auto* in = arena.take<float>(items * kWidth);
    auto* out = arena.take<float>(items * kWidth);
    auto* flag = arena.take<int32_t>(1);
    return {in, out, flag, arena.used()};
  }
  std::size_t arena_bytes(int64_t items) const { return room(nullptr, items).used; }
  void stage(void* to, const void* input, int64_t first, int64_t items) const {
    std::memcpy(to, static_cast<const float*>(input) + first * kWidth,
                static_cast<std::size_t>(items) * input_bytes());
  }
  Ends ends(void* memory, int64_t items) const { return {room(memory, items).in, room(memory, items).out}; }
  void compute(Cuda place, void* memory, int64_t items) const {
    const Room r = room(memory, items);
    fill_zero(place, r.flag, 4);
    l2_normalize(place, Rows<const float>{r.in, items, kWidth, kWidth},
                 Rows<float>{r.out, items, kWidth, kWidth}, r.flag);
  }
};

std::vector<float> unit_rows(std::vector<float> x) {
  int32_t flag = 0;
  const auto n = static_cast<int64_t>(x.size()) / kWidth;
  l2_normalize(Cpu{}, Rows<const float>{x.data(), n, kWidth, kWidth},
               Rows<float>{x.data(), n, kWidth, kWidth}, &flag);
  return x;
}

std::size_t count(const std::vector<std::string>& calls, const std::string& what) {
  std::size_t n = 0;
  for (const std::string& call : calls) n += call.find(what) == 0;
  return n;
}

using Runner = SliceRunner<Cuda, UnitWork>;

}  // namespace

TEST_CASE("every item comes out once, in its place, however many there are", "[slices]") {
  for (const uint64_t seed : simt::seeds()) {
    simt::options = {};
    simt::options.seed = seed;
    const Stream stream;
    Runner runner(stream.place(), {}, 3);
    for (const int64_t n : {0, 1, 2, 3, 4, 6, 7, 12, 13, 13}) {
      const auto x = random_floats(static_cast<std::size_t>(n * kWidth), 40 + static_cast<uint64_t>(n));
      std::vector<float> out(x.size());
      runner.run(x.data(), n, out.data());
      const auto expected = unit_rows(x);
      for (std::size_t k = 0; k < out.size(); ++k) REQUIRE(out[k] == Approx(expected[k]).margin(1e-6));
    }
    CHECK(simt::report() == "");
  }
}

TEST_CASE("a run allocates nothing, and a size that comes again is queued as a whole", "[slices]") {
  simt::options = {};
  simt::options.seed = 1;
  const Stream stream;
  Runner runner(stream.place(), {}, 2);
  const auto x = random_floats(8 * kWidth, 50);
  std::vector<float> out(x.size());
  simt::trace();
  runner.run(x.data(), 8, out.data());  // four slices of 2: as they are, recorded, twice as a whole
  const auto calls = simt::trace();
  CHECK(count(calls, "cudaMalloc") == 0);
  CHECK(count(calls, "cudaHostAlloc") == 0);
  CHECK(count(calls, "cudaStreamBeginCapture") == 1);
  CHECK(count(calls, "cudaGraphLaunch") == 3);
  CHECK(count(calls, "launch ") == 2);
  // Nothing that a recording must not hold stands between its begin and its end.
  bool recording = false;
  for (const std::string& call : calls) {
    if (call.find("cudaStreamBeginCapture") == 0) recording = true;
    if (call.find("cudaStreamEndCapture") == 0) recording = false;
    if (recording)
      CHECK((call.find("launch ") == 0 || call.find("cudaMemsetAsync") == 0 ||
             call.find("cudaStreamBeginCapture") == 0));
  }
  CHECK(simt::report() == "");
}

TEST_CASE("a pinned buffer is filled again only after its event", "[slices]") {
  simt::options = {};
  simt::options.seed = 1;
  const Stream stream;
  Runner runner(stream.place(), {}, 1);
  const auto x = random_floats(5 * kWidth, 51);
  std::vector<float> out(x.size());
  simt::trace();
  runner.run(x.data(), 5, out.data());
  std::vector<std::string> order;  // per slice: the wait for its side, its copies, its record
  for (const std::string& call : simt::trace())
    if (call.find("cudaMemcpyAsync") == 0 || call.find("cudaEvent") == 0)
      order.push_back(call.substr(0, call.find(" stream")));
  const std::string bytes = std::to_string(kWidth * 4);
  const auto event_of = [&](std::size_t at) { return order.at(at).substr(order.at(at).rfind(' ')); };
  REQUIRE(order.size() == 5 * 3 + 5);
  const std::string a = event_of(2), b = event_of(5);
  CHECK(a != b);
  std::vector<std::string> expected;
  for (int slice = 0; slice < 5; ++slice) {
    const std::string& side = slice % 2 ? b : a;
    if (slice >= 2) expected.push_back("cudaEventSynchronize" + side);
    expected.insert(expected.end(),
                    {"cudaMemcpyAsync " + bytes, "cudaMemcpyAsync " + bytes, "cudaEventRecord" + side});
  }
  expected.insert(expected.end(), {"cudaEventSynchronize" + a, "cudaEventSynchronize" + b});
  CHECK(order == expected);
}

TEST_CASE(
    "where memory runs out the slice is halved down to one, then the error says what was asked and free",
    "[slices]") {
  const auto x = random_floats(8 * kWidth, 52);
  const auto expected = unit_rows(x);
  for (const int64_t failures : {0, 1, 2, 3}) {
    simt::options = {};
    const uint64_t before = simt::allocated();
    const std::size_t room = UnitWork().arena_bytes(8 >> failures);
    simt::options.memory = before + room;
    const Stream stream;
    Runner runner(stream.place(), {}, 8);
    CHECK(runner.items() == 8 >> failures);
    std::vector<float> out(x.size());
    runner.run(x.data(), 8, out.data());
    for (std::size_t k = 0; k < out.size(); ++k) REQUIRE(out[k] == Approx(expected[k]).margin(1e-6));
  }
  simt::options = {};
  simt::options.memory = simt::allocated() + UnitWork().arena_bytes(1) - 1;
  const std::string asked = std::to_string(UnitWork().arena_bytes(1));
  const Stream stream;
  CHECK_THROWS_WITH(Runner(stream.place(), {}, 8),
                    Contains("asked for " + asked + " bytes") && Contains("are free"));
  simt::options = {};
  Runner again(stream.place(), {}, 8);
  CHECK(again.items() == 8);
  CHECK(simt::report() == "");
}
