#include "place_memory.h"

#include <cstdint>
#include <numeric>
#include <vector>

#include "test_place.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

constexpr std::size_t kTooMuch = std::size_t{1} << 60;  // of memory that no machine has

std::vector<unsigned char> counting(std::size_t count) {
  std::vector<unsigned char> bytes(count);
  std::iota(bytes.begin(), bytes.end(), static_cast<unsigned char>(1));
  return bytes;
}

}  // namespace

TEST_CASE("what is copied in comes out, and zeros are zeros", "[place_memory]") {
  const std::size_t count = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{63}, std::size_t{4097});
  const std::vector<unsigned char> sent = counting(count);
  each_round([&] {
    const Memory<Place> memory(place(), count);
    CHECK(memory.bytes() == count);
    copy_in(place(), memory.data(), sent.data(), count);
    std::vector<unsigned char> got(count);
    copy_out(place(), got.data(), memory.data(), count);
    synchronize(place());
    CHECK(got == sent);
    fill_zero(place(), memory.data(), count);
    copy_to_host(place(), got.data(), memory.data(), count);
    CHECK(got == std::vector<unsigned char>(count));
  });
}

TEST_CASE("rows are copied within a place, from one stride to another", "[place_memory]") {
  const std::vector<unsigned char> sent = counting(40);
  each_round([&] {
    const Memory<Place> from(place(), 40 * sizeof(float)), to(place(), 60 * sizeof(float));
    std::vector<float> numbers(sent.begin(), sent.end()), got(60);
    copy_in(place(), from.data(), numbers.data(), from.bytes());
    fill_zero(place(), to.data(), to.bytes());
    copy_rows_within(place(), to.at<float>(0) + 2, 11, from.at<const float>(0) + 1, 7, 5, 4);
    copy_rows_within(place(), to.at<float>(0), 11, from.at<const float>(0), 7, 5, 0);
    copy_to_host(place(), got.data(), to.data(), to.bytes());
    std::vector<float> expected(60);
    for (std::size_t row = 0; row < 4; ++row)
      for (std::size_t k = 0; k < 5; ++k) expected[2 + row * 11 + k] = numbers[1 + row * 7 + k];
    CHECK(got == expected);
  });
}

TEST_CASE("memory is aligned to 64 bytes and addressed by the byte", "[place_memory]") {
  each_round([&] {
    const Memory<Place> memory(place(), 100);
    CHECK(reinterpret_cast<uintptr_t>(memory.data()) % 64 == 0);
    CHECK(memory.at<float>(12) == static_cast<float*>(memory.data()) + 3);
  });
}

TEST_CASE("memory moves with its owner", "[place_memory]") {
  each_round([&] {
    Memory<Place> first(place(), 10);
    void* data = first.data();
    Memory<Place> second(std::move(first));
    CHECK(first.data() == nullptr);
    CHECK(first.bytes() == 0);
    CHECK(second.data() == data);
    first = std::move(second);
    CHECK(first.data() == data);
    CHECK(first.bytes() == 10);
    first = Memory<Place>();
    CHECK(first.data() == nullptr);
  });
}

#if !defined(__SANITIZE_ADDRESS__)  // whose allocator ends the program instead
TEST_CASE("no room says what was asked and what is free, and the next call succeeds", "[place_memory]") {
  each_round([&] {
    try {
      allocate(place(), kTooMuch);
      FAIL("there is no such memory");
    } catch (const OutOfMemory& error) {
      CHECK(error.asked == kTooMuch);
      CHECK(error.free > 0);
      CHECK(error.free < kTooMuch);
      CHECK_THAT(error.what(), Contains(on_cuda ? "[allocate] the CUDA device: asked for 1152921504606846976 "
                                                  "bytes of memory, "
                                                : "[allocate] the CPU: asked for 1152921504606846976 bytes"));
      CHECK_THAT(error.what(), Contains(std::to_string(error.free) + " are free"));
    }
    const Memory<Place> memory(place(), 8);
    fill_zero(place(), memory.data(), 8);
    synchronize(place());
  });
}
#endif
