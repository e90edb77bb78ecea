#include "difference.h"
#include "kernels.h"
#include "test_place.h"
#include "stored.h"
#include "support.h"

using namespace unisim;
using namespace unisim::test;

namespace {

/// What an image's tokens are made of.
struct Parts {
  bool class_token;
  int64_t registers;
  bool positions;
};

/// `offset` is how many elements into its memory each tensor begins.
template <class T>
void check_images(int64_t items, int64_t patch_count, int64_t width, Parts parts, int64_t offset) {
  const int64_t prefix = (parts.class_token ? 1 : 0) + parts.registers, tokens = prefix + patch_count;
  const auto patches = random_stored<T>(offset + items * patch_count * width, 1);
  const auto class_token = random_stored<T>(offset + width, 2);
  const auto registers = random_stored<T>(offset + parts.registers * width, 3);
  const auto positions = random_floats(offset + tokens * width, 4);
  std::vector<float> expected(offset, -7);
  for (int64_t i = 0; i < items; ++i)
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < width; ++k) {
        const T number = parts.class_token && t == 0 ? class_token[offset + k]
                         : t < prefix                ? registers[offset + (t - parts.class_token) * width + k]
                                      : patches[offset + (i * patch_count + t - prefix) * width + k];
        const double position = parts.positions ? positions[offset + t * width + k] : 0;
        expected.push_back(to_float(rounded<T>(static_cast<float>(to_float(number) + position))));
      }
  each_round([&] {
    const Buffer<T> on_patches(patches), on_class(class_token), on_registers(registers);
    const Buffer<float> on_positions(positions);
    Buffer<T> out(stored<T>(std::vector<float>(expected.size(), -7)));
    ImageTokens<T> t;
    t.patches = on_patches.data() + offset;
    if (parts.class_token) t.class_token = on_class.data() + offset;
    if (parts.registers > 0) t.registers = on_registers.data() + offset;
    if (parts.positions) t.positions = on_positions.data() + offset;
    t.items = items, t.patch_count = patch_count, t.register_count = parts.registers, t.width = width;
    t.out = out.data() + offset;
    assemble_image_tokens(place(), t);
    CHECK(difference(floats(out.host()), expected) == "");
  });
}

template <class T>
void check_texts(int64_t items, int64_t length, int64_t width, bool with_positions, int64_t offset) {
  const int64_t vocabulary = 11;
  const auto table = random_stored<T>(offset + vocabulary * width, 5);
  const auto positions = random_floats(offset + length * width, 6);
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < items * length; ++i) ids.push_back((7 * i + i / length) % vocabulary);
  std::vector<float> expected(offset, -7);
  for (int64_t row = 0; row < items * length; ++row)
    for (int64_t k = 0; k < width; ++k) {
      const double position = with_positions ? positions[offset + row % length * width + k] : 0;
      const float number = to_float(table[offset + ids[row] * width + k]);
      expected.push_back(to_float(rounded<T>(static_cast<float>(number + position))));
    }
  each_round([&] {
    const Buffer<int64_t> on_ids(ids);
    const Buffer<T> on_table(table);
    const Buffer<float> on_positions(positions);
    Buffer<T> out(stored<T>(std::vector<float>(expected.size(), -7)));
    TextTokens<T> t;
    t.ids = on_ids.data();
    t.table = on_table.data() + offset;
    if (with_positions) t.positions = on_positions.data() + offset;
    t.items = items, t.length = length, t.width = width;
    t.out = out.data() + offset;
    assemble_text_tokens(place(), t);
    CHECK(difference(floats(out.host()), expected) == "");
  });
}

}  // namespace

// The sum of two floats in double is exact to far more than a float: rounded to float it is the float sum, so
// that the tests ask for equality.

TEMPLATE_TEST_CASE("an image's tokens are class token, registers and patches, plus positions", "[tokens]",
                   float, bf16, f16) {
  const Parts parts = GENERATE(Parts{false, 0, false}, Parts{true, 0, true}, Parts{false, 4, true},
                               Parts{true, 3, true}, Parts{true, 4, false}, Parts{false, 0, true});
  check_images<TestType>(1, 1, 8, parts, 0);
  check_images<TestType>(3, 5, 24, parts, 0);
  check_images<TestType>(2, 9, 33, parts, 0);
  check_images<TestType>(2, 4, 16, parts, 1);
}

TEMPLATE_TEST_CASE("image tokens of every width around packs and warps", "[tokens]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 3, 4, 5, 7, 8, 9, 127, 128, 129, 255, 256, 257, 520);
  check_images<TestType>(2, 6, width, {true, 1, true}, 0);
}

TEMPLATE_TEST_CASE("a text's tokens are rows of the table, plus positions", "[tokens]", float, bf16, f16) {
  const int64_t width = GENERATE(1, 4, 7, 8, 9, 128, 255, 256, 264);
  const bool positions = GENERATE(true, false);
  check_texts<TestType>(1, 1, width, positions, 0);
  check_texts<TestType>(3, 7, width, positions, 0);
  check_texts<TestType>(2, 4, width, positions, 1);
}

TEST_CASE("no items have no tokens", "[tokens]") {
  check_images<float>(0, 4, 8, {true, 1, true}, 0);
  check_texts<float>(0, 4, 8, true, 0);
}
