#include <utility>

#include "packed_attention_case.h"
#if __has_include("traffic_row.h")
#include "traffic_row.h"
#endif

using namespace unisim;
using namespace unisim::test;

using std::pair;

TEMPLATE_TEST_CASE("one item of one range is attention under a causal mask", "[packed_attention]", float,
                   bf16, f16) {
  const auto [queries, width] =
      GENERATE(pair(1, 64), pair(19, 64), pair(70, 64), pair(20, 96), pair(20, 128));
  const PackedShape s = {.items = {{.queries = queries}}, .width = width, .heads = 2, .kv_heads = 1};
  each_round([&] {
    PackedMemory<TestType> memory(s);
    const auto [shape, numbers] = memory.item(0);
    AttentionMemory<TestType> dense(shape, numbers, Lie::TokenMajor);
    attention(place(), dense.attention());
    packed_attention(place(), memory.attention());
    CHECK(memory.result()[0] == dense.result());
  });
}

TEMPLATE_TEST_CASE("packed items have lengths of their own", "[packed_attention]", float, bf16, f16) {
  check_packed<TestType>({.items = {{1}, {15}, {64}, {16}, {17}}});
  check_packed<TestType>({.items = {{65}, {1}, {130}}});
}

TEMPLATE_TEST_CASE("a first range is right below, at and above a tile of keys", "[packed_attention]", float,
                   bf16, f16) {
  const int64_t count = GENERATE(1, 31, 32, 33, 63, 64, 65, 129);
  check_packed<TestType>({.items = {{3, {{0, 0, count}, kOwnRows}}}, .kept = {{count}}});
}

TEMPLATE_TEST_CASE("a last range is right below, at and above a tile of keys", "[packed_attention]", float,
                   bf16, f16) {
  const int64_t count = GENERATE(31, 32, 33, 63, 64, 65, 129);
  check_packed<TestType>({.items = {{3, {{0, 0, 5}, {1, 0, count}}}}, .kept = {{5}, {count}}});
}

TEMPLATE_TEST_CASE("the last range alone is causal, whatever number of ranges come before",
                   "[packed_attention]", float, bf16, f16) {
  const ItemShape three = {17, {{0, 0, 70}, {1, 0, 1}, kOwnRows}};
  const ItemShape four = {5, {{1, 0, 1}, {1, 0, 1}, {0, 3, 66}, kOwnRows}};
  check_packed<TestType>({.items = {three, {2}, four}, .kept = {{70}, {1}}});
}

TEMPLATE_TEST_CASE("queries may see nothing of the last tiles of a last range", "[packed_attention]", float,
                   bf16, f16) {
  // 70 keys and 66 queries: rows 48 to 58 see none of the second tile, others of their warp do.
  const auto [queries, last, width] = GENERATE(std::tuple(66, 70, 64), std::tuple(66, 70, 128),
                                               std::tuple(130, 131, 64), std::tuple(40, 45, 96));
  check_packed<TestType>(
      {.items = {{queries, {{0, 0, 67}, {1, 0, last}}}}, .kept = {{67}, {last}}, .width = width});
}

TEMPLATE_TEST_CASE("a last range may be longer than its item has queries", "[packed_attention]", float, bf16,
                   f16) {
  const auto [queries, last] = GENERATE(pair(1, 100), pair(65, 129), pair(17, 81));
  check_packed<TestType>(
      {.items = {{queries, {{0, 0, last}}}, {queries, {{1, 2, 3}, {0, 0, last}}}}, .kept = {{last}, {9}}});
}

TEMPLATE_TEST_CASE("ranges lie in memory each in its own way", "[packed_attention]", float, bf16, f16) {
  const Lie kept = GENERATE(Lie::HeadMajor, Lie::WithGaps);
  check_packed<TestType>({.items = {{6, {{0, 0, 35}, kOwnRows}}, {3, {{0, 4, 33}, {1, 7, 2}, kOwnRows}}},
                          .kept = {{48, kept}, {9}},
                          .width = 40,
                          .heads = 4,
                          .kv_heads = 2});
}

TEMPLATE_TEST_CASE("items share ranges, and query heads share key and value heads in groups",
                   "[packed_attention]", float, bf16, f16) {
  const auto [heads, kv_heads] = GENERATE(pair(6, 2), pair(4, 1));
  const std::vector<RangeShape> prompt = {{0, 0, 20}, {1, 0, 35}, kOwnRows};
  check_packed<TestType>({.items = {{2, prompt}, {5, prompt}, {1, prompt}},
                          .kept = {{20, Lie::HeadMajor}, {35}},
                          .width = 24,
                          .heads = heads,
                          .kv_heads = kv_heads});
}

TEMPLATE_TEST_CASE("packed attention takes every multiple of 8 up to 128 as the head's width",
                   "[packed_attention]", float, bf16, f16) {
  const int64_t width = GENERATE(8, 40, 64, 72, 80, 88, 96, 104, 128);
  check_packed<TestType>({.items = {{18, {{0, 0, 33}, kOwnRows}}, {1}}, .kept = {{33}}, .width = width});
}

TEMPLATE_TEST_CASE("packed items of any width may have more queries than a block", "[packed_attention]",
                   float, bf16, f16) {
  const int64_t width = GENERATE(40, 80, 96, 128);
  check_packed<TestType>({.items = {{67, {{0, 0, 3}, kOwnRows}}, {2}}, .kept = {{3}}, .width = width});
}

TEMPLATE_TEST_CASE("what is not aligned is read and written with care", "[packed_attention]", float, bf16,
                   f16) {
  PackedShape s = {
      .items = {{2}, {18, {{0, 0, 37}, kOwnRows}}}, .kept = {{40}}, .width = 40, .heads = 2, .kv_heads = 2};
  SECTION("the keys, as nobody said that they are") { s.told_aligned = false; }
  SECTION("kept keys") { s.kept[0].lie = GENERATE(Lie::Misaligned, Lie::OddTokens, Lie::OddHeads); }
  SECTION("q") {
    s.items = {{2, {{0, 0, 2}}}, {18, {{0, 0, 37}}}};  // kept keys alone, which are aligned
    s.product = GENERATE(Lie::Misaligned, Lie::OddTokens, Lie::OddHeads);
  }
  SECTION("q and keys of one product") { s.product = GENERATE(Lie::Misaligned, Lie::WithOddGaps); }
  SECTION("out") { s.out = GENERATE(Lie::Misaligned, Lie::OddTokens, Lie::OddHeads); }
  check_packed<TestType>(s);
}

TEMPLATE_TEST_CASE("scores that outgrow each other from range to range leave the right weights",
                   "[packed_attention]", float, bf16, f16) {
  const auto [spread, width] = GENERATE(pair(3.0f, 64), pair(10.0f, 64), pair(10.0f, 128));
  check_packed<TestType>({.items = {{18, {{0, 0, 1}, {1, 0, 100}, kOwnRows}}},
                          .kept = {{1}, {100}},
                          .width = width,
                          .spread = spread});
}

TEMPLATE_TEST_CASE("rows that belong to no item are neither seen nor written", "[packed_attention]", float,
                   bf16, f16) {
  check_packed<TestType>({.items = {{1}, {16, {{0, 0, 9}, kOwnRows}}, {3}},
                          .kept = {{9}},
                          .product = GENERATE(Lie::TokenMajor, Lie::HeadMajor),
                          .between = 3});
}

TEMPLATE_TEST_CASE("blocks beyond an item's queries do nothing", "[packed_attention]", float, bf16, f16) {
  const int64_t width = GENERATE(64, 96);
  check_packed<TestType>({.items = {{1}, {67}, {3}}, .width = width, .more_queries = 130});
}

TEMPLATE_TEST_CASE("packed attention of no items or no queries does nothing", "[packed_attention]", float,
                   bf16, f16) {
  PackedAttention<TestType> nothing = {};
  nothing.heads = nothing.kv_heads = 2;
  nothing.head_width = 64;
  each_round([&] {
    packed_attention(place(), nothing);
    nothing.most_queries = 3;
    packed_attention(place(), nothing);
  });
}

#if __has_include("traffic_row.h")
TEMPLATE_TEST_CASE(
    "packed attention meets no bank twice, uses whole sectors, and reads what a tile of queries sees",
    "[packed_attention][traffic]", float, bf16, f16) {
  const auto [queries, width] = GENERATE(pair(40, 64), pair(100, 64), pair(100, 96), pair(20, 128));
  const PackedShape s = {.items = {{queries, {{0, 0, 70}, {1, 0, 110}}}, {3}},
                         .kept = {{70}, {110, Lie::HeadMajor}},
                         .width = width,
                         .heads = 2,
                         .kv_heads = 2};
  simt::traffic();
  simt::options = {};
  simt::options.count = true;
  PackedMemory<TestType> memory(s);
  packed_attention(place(), memory.attention());
  CHECK(simt::report() == "");
  const std::vector<simt::Traffic> all = simt::traffic();
  simt::options = {};
  REQUIRE(all.size() == 1);
  const simt::Traffic& t = all[0];
  const int64_t tile = sizeof(TestType) == 2 && width == 64 && queries > 64 ? 128 : 64;
  int64_t rows = 2 * (queries + 3) + 2 * 3;
  for (int64_t first = 0; first < queries; first += tile)
    rows += 2 * (180 - queries + std::min<int64_t>(first + tile, queries));
  const auto least = static_cast<uint64_t>(rows * s.heads * width) * sizeof(TestType);
  INFO(t.kernel << ": " << t.bytes_read + t.bytes_written << " bytes of " << least << ", sectors "
                << t.sectors_read << " of " << t.least_sectors_read << " and " << t.sectors_written << " of "
                << t.least_sectors_written << ", wavefronts " << t.wavefronts << " of "
                << t.least_wavefronts);
  simt::print_traffic(t, text_of(sizeof(TestType), " bytes, ", queries, " x (70 + 110) x ", width), least);
  CHECK(t.wavefronts == t.least_wavefronts);
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.sectors_written == t.least_sectors_written);
  CHECK(static_cast<double>(t.bytes_read + t.bytes_written) <= 1.05 * static_cast<double>(least));
}
#endif
