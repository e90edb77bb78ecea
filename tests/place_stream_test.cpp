#include "place_stream.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "kernels.h"
#include "test_place.h"
#include "place_memory.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t kCount = 100;
constexpr std::size_t kBytes = kCount * sizeof(float);

/// Some work on the device.
void relu(Cuda place, float* x) {
  const auto width = static_cast<int64_t>(kCount);
  const Rows<float> row{x, 1, width, width};
  bias_activation<float>(place, {x, 1, width, width}, nullptr, Activation::Relu, row);
}

std::vector<float> numbers(float first) {
  std::vector<float> values(kCount);
  std::iota(values.begin(), values.end(), first);
  return values;
}
std::vector<float> without_negatives(std::vector<float> values) {
  for (float& value : values) value = value < 0 ? 0 : value;
  return values;
}

}  // namespace

TEST_CASE("batches through two pinned buffers come out whole when each waits for its event",
          "[place_stream]") {
  each_round([&] {
    const Stream stream;
    const Memory<Cuda> x(stream.place(), kBytes);
    PinnedBuffer in[2], out[2];
    Event read[2], written[2];
    for (int i = 0; i < 2; ++i) in[i] = PinnedBuffer(kBytes), out[i] = PinnedBuffer(kBytes);
    const auto check = [&](int batch) {
      written[batch % 2].synchronize();
      const auto* got = static_cast<const float*>(out[batch % 2].data());
      CHECK(std::vector<float>(got, got + kCount) == without_negatives(numbers(-7.0f * batch)));
    };
    for (int batch = 0; batch < 5; ++batch) {
      const int turn = batch % 2;
      read[turn].synchronize();  // the copy of two batches ago has left the buffer
      if (batch >= 2) check(batch - 2);
      const std::vector<float> values = numbers(-7.0f * batch);
      std::copy(values.begin(), values.end(), static_cast<float*>(in[turn].data()));
      copy_in(stream.place(), x.data(), in[turn].data(), kBytes);
      read[turn].record(stream.place());
      relu(stream.place(), x.at<float>(0));
      copy_out(stream.place(), out[turn].data(), x.data(), kBytes);
      written[turn].record(stream.place());
    }
    check(3);
    check(4);
  });
}

TEST_CASE("a stream that is held waits for another's event", "[place_stream]") {
  each_round([&] {
    const Stream first, second;
    const Memory<Cuda> x(first.place(), kBytes);
    PinnedBuffer in(kBytes), out(kBytes);
    const std::vector<float> values = numbers(-50);
    std::copy(values.begin(), values.end(), static_cast<float*>(in.data()));
    copy_in(first.place(), x.data(), in.data(), kBytes);
    relu(first.place(), x.at<float>(0));
    Event done;
    done.record(first.place());
    done.hold(second.place());
    copy_out(second.place(), out.data(), x.data(), kBytes);
    synchronize(second.place());
    const auto* got = static_cast<const float*>(out.data());
    CHECK(std::vector<float>(got, got + kCount) == without_negatives(values));
  });
}

TEST_CASE("a graph runs nothing when recorded, and all of it at each launch", "[place_stream]") {
  each_round([&] {
    const Stream stream;
    const Memory<Cuda> x(stream.place(), kBytes);
    PinnedBuffer in(kBytes), out(kBytes);
    auto* sent = static_cast<float*>(in.data());
    auto* got = static_cast<float*>(out.data());
    std::fill(got, got + kCount, -1.0f);
    const Graph graph = Graph::capture(stream.place(), [&] {
      copy_in(stream.place(), x.data(), in.data(), kBytes);
      relu(stream.place(), x.at<float>(0));
      copy_out(stream.place(), out.data(), x.data(), kBytes);
    });
    CHECK(graph);
    synchronize(stream.place());
    CHECK(got[0] == -1);
    for (const float first : {-3.0f, 4.0f, -99.0f}) {
      const std::vector<float> values = numbers(first);
      std::copy(values.begin(), values.end(), sent);
      graph.launch(stream.place());
      synchronize(stream.place());
      CHECK(std::vector<float>(got, got + kCount) == without_negatives(values));
    }
  });
}

TEST_CASE("a recorded product is of what its rows hold at each launch", "[place_stream]") {
  each_round([] {
    const Stream stream;
    prepare_products(stream.place());  // whose memory could not be allocated while recording
    const Memory<Cuda> a(stream.place(), 4 * sizeof(float)), out(stream.place(), 4 * sizeof(float));
    PinnedBuffer in(4 * sizeof(float)), result(4 * sizeof(float));
    Product<float> p;
    p.a = p.weight = {a.at<float>(0), 2, 2, 2};
    p.out = {out.at<float>(0), 2, 2, 2};
    const Graph graph = Graph::capture(stream.place(), [&] {
      copy_in(stream.place(), a.data(), in.data(), in.bytes());
      product(stream.place(), p);
      copy_out(stream.place(), result.data(), out.data(), result.bytes());
    });
    for (const float x : {1.0f, 3.0f}) {
      auto* sent = static_cast<float*>(in.data());
      sent[0] = x, sent[1] = 2, sent[2] = 4, sent[3] = 5;
      graph.launch(stream.place());
      synchronize(stream.place());
      const auto* got = static_cast<const float*>(result.data());
      CHECK(std::vector<float>(got, got + 4) ==
            std::vector<float>{x * x + 4, 4 * x + 10, 4 * x + 10, 16 + 25});
    }
  });
}

TEST_CASE("a recording that throws leaves its stream usable", "[place_stream]") {
  each_round([&] {
    const Stream stream;
    const Memory<Cuda> x(stream.place(), kBytes);
    const auto failing = [&] {
      Graph::capture(stream.place(), [&] {
        fill_zero(stream.place(), x.data(), kBytes);
        throw std::runtime_error("halfway");
      });
    };
    CHECK_THROWS_WITH(failing(), "halfway");
    fill_zero(stream.place(), x.data(), kBytes);
    std::vector<float> got(kCount, 1);
    copy_to_host(stream.place(), got.data(), x.data(), kBytes);
    CHECK(got == std::vector<float>(kCount));
  });
}

TEST_CASE("the default stream cannot be recorded", "[place_stream]") {
  CHECK_THROWS_WITH(Graph::capture(Cuda{}, [] {}), Contains("[Graph.capture] the default stream"));
}

TEST_CASE("an event that was never recorded is waited for in no time", "[place_stream]") {
  each_round([] { Event().synchronize(); });
}

TEST_CASE("pinned memory and graphs move with their owners", "[place_stream]") {
  each_round([] {
    PinnedBuffer first(12);
    void* data = first.data();
    const PinnedBuffer second = std::move(first);
    CHECK(second.data() == data);
    CHECK(second.bytes() == 12);
    CHECK(first.bytes() == 0);
    CHECK(!Graph());
  });
}
