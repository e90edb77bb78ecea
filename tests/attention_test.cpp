#include <utility>

#include "attention_case.h"
#if __has_include("traffic_row.h")
#include "traffic_row.h"
#endif

using namespace unisim;
using namespace unisim::test;

using std::pair;

TEMPLATE_TEST_CASE("attention is right below, at and above a tile of keys", "[attention]", float, bf16, f16) {
  const int64_t keys = GENERATE(1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 200);
  check_attention<TestType>({.queries = 3, .keys = keys});
}

TEMPLATE_TEST_CASE("attention is right below, at and above a warp's and a block's queries", "[attention]",
                   float, bf16, f16) {
  const int64_t queries =
      GENERATE(1, 4, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97, 127, 128, 129, 193);
  check_attention<TestType>({.queries = queries, .keys = 37});
}

TEMPLATE_TEST_CASE("attention takes every multiple of 8 up to 128 as the head's width", "[attention]", float,
                   bf16, f16) {
  const int64_t width = GENERATE(8, 16, 40, 56, 64, 72, 80, 88, 96, 120, 128), keys = GENERATE(16, 67);
  check_attention<TestType>({.queries = 18, .keys = keys, .width = width});
}

TEMPLATE_TEST_CASE("a head of any width may have more queries than a block", "[attention]", float, bf16,
                   f16) {
  const int64_t width = GENERATE(40, 72, 80, 88, 96, 128);
  check_attention<TestType>({.queries = 67, .keys = 67, .width = width});
}

TEMPLATE_TEST_CASE("under a causal mask a query sees the keys up to its own", "[attention]", float, bf16,
                   f16) {
  const auto [tokens, width] =
      GENERATE(pair(1, 64), pair(2, 64), pair(17, 64), pair(33, 64), pair(64, 64), pair(65, 64),
               pair(129, 64), pair(200, 64), pair(77, 80), pair(70, 88), pair(70, 96), pair(130, 128));
  check_attention<TestType>({.queries = tokens, .keys = tokens, .width = width, .causal = true});
}

TEMPLATE_TEST_CASE("the last of fewer queries than keys sees all of them", "[attention]", float, bf16, f16) {
  const auto [queries, keys] = GENERATE(pair(1, 70), pair(16, 32), pair(16, 31), pair(31, 33), pair(17, 81),
                                        pair(64, 128), pair(64, 129), pair(66, 127), pair(65, 130));
  check_attention<TestType>({.queries = queries, .keys = keys, .causal = true});
}

TEMPLATE_TEST_CASE("query heads share key and value heads in groups", "[attention]", float, bf16, f16) {
  const auto [heads, kv_heads] = GENERATE(pair(3, 3), pair(6, 2), pair(4, 1));
  check_attention<TestType>(
      {.queries = 5, .keys = 35, .width = 40, .items = 2, .heads = heads, .kv_heads = kv_heads});
  check_attention<TestType>(
      {.queries = 66, .keys = 66, .heads = heads, .kv_heads = kv_heads, .causal = true});
}

TEMPLATE_TEST_CASE("attention reads and writes rows wherever they lie", "[attention]", float, bf16, f16) {
  const auto [lie, width] =
      GENERATE(pair(Lie::HeadMajor, 64), pair(Lie::WithGaps, 72), pair(Lie::WithOddGaps, 40),
               pair(Lie::WithOddGaps, 80), pair(Lie::Misaligned, 64), pair(Lie::Misaligned, 128));
  check_attention<TestType>(
      {.queries = 19, .keys = 37, .width = width, .items = 2, .heads = 2, .kv_heads = 1, .scale = 0.1f}, lie);
}

TEMPLATE_TEST_CASE("one address or one stride of one operand that is not aligned is enough to be careful",
                   "[attention]", float, bf16, f16) {
  const Lie lie = GENERATE(Lie::Misaligned, Lie::OddItems, Lie::OddTokens, Lie::OddHeads);
  const int only = GENERATE(0, 1, 2, 3);
  check_attention<TestType>({.queries = 3, .keys = 5, .width = 16, .items = 2, .heads = 2, .kv_heads = 2},
                            lie, only);
}

TEMPLATE_TEST_CASE("rows that are not aligned are read and written in more than one tile", "[attention]",
                   float, bf16, f16) {
  check_attention<TestType>({.queries = 133, .keys = 133, .causal = true}, Lie::WithOddGaps);
}

TEMPLATE_TEST_CASE("attention reads q, k and v out of one product", "[attention]", float, bf16, f16) {
  const auto [tokens, width] = GENERATE(pair(50, 64), pair(65, 72));
  check_attention<TestType>(
      {.queries = tokens, .keys = tokens, .width = width, .items = 2, .heads = 2, .kv_heads = 2},
      Lie::SharedByAll);
}

TEMPLATE_TEST_CASE("attention has as many queries and keys as an image of 518 pixels", "[attention]", float,
                   bf16, f16) {
  const auto [queries, keys] = GENERATE(pair(3, 1370), pair(1370, 3));
  check_attention<TestType>({.queries = queries, .keys = keys});
}

TEMPLATE_TEST_CASE("large scores that outgrow each other leave the right weights", "[attention]", float, bf16,
                   f16) {
  const float spread = GENERATE(3.0f, 10.0f);  // scores of about 72 and 800
  const int64_t width = GENERATE(64, 128);
  const AttentionShape s = {.queries = 18, .keys = 200, .width = width};
  check_attention<TestType>(s, random_numbers<TestType>(s, spread));
}

TEMPLATE_TEST_CASE("one key of the first or the last tile outweighs all others", "[attention]", float, bf16,
                   f16) {
  const int64_t keys = 150, favourite = GENERATE(0, 100, 149);
  const AttentionShape s = {.queries = 66, .keys = keys, .scale = 1};
  AttentionNumbers<TestType> x = random_numbers<TestType>(s);
  for (TestType& q : x.q) q = rounded<TestType>(4.0f);
  for (int64_t j = 0; j < keys; ++j)  // scores of -2048, and one of 2048
    for (int64_t d = 0; d < s.width; ++d)
      x.k[j * s.width + d] = rounded<TestType>(j == favourite ? 8.0f : -8.0f);
  check_attention<TestType>(s, x);
}

TEMPLATE_TEST_CASE("scores that rise from tile to tile shrink what came before", "[attention]", float, bf16,
                   f16) {
  const AttentionShape s = {.queries = 18, .keys = 200, .scale = 1};
  AttentionNumbers<TestType> x = random_numbers<TestType>(s);
  for (TestType& q : x.q) q = rounded<TestType>(1.0f);
  for (int64_t j = 0; j < s.keys; ++j)  // one more every 32 keys
    for (int64_t d = 0; d < s.width; ++d)
      x.k[j * s.width + d] = rounded<TestType>(static_cast<float>(j / 32) / static_cast<float>(s.width));
  check_attention<TestType>(s, x);
}

TEMPLATE_TEST_CASE("equal keys have equal weights", "[attention]", float, bf16, f16) {
  const AttentionShape s = {.queries = 18, .keys = 130};
  AttentionNumbers<TestType> x = random_numbers<TestType>(s, 5);
  for (std::size_t k = s.width; k < x.k.size(); ++k) x.k[k] = x.k[k - s.width];
  check_attention<TestType>(s, x);
}

TEMPLATE_TEST_CASE("attention over no items or no queries does nothing", "[attention]", float, bf16, f16) {
  Attention<TestType> no_items = {}, no_queries = {};
  no_items.heads = no_items.kv_heads = no_items.queries = no_items.keys = 2;
  no_queries.items = no_queries.heads = no_queries.kv_heads = no_queries.keys = 2;
  no_items.head_width = no_queries.head_width = 64;
  each_round([&] {
    attention(place(), no_items);
    attention(place(), no_queries);
  });
}

#if __has_include("traffic_row.h")
namespace {

/// What the tiling must at least move of global memory, by the formula in cuda/attention.cu.
template <class T>
uint64_t least_bytes(const AttentionShape& s, int64_t tile) {
  int64_t rows = 2 * s.queries;
  for (int64_t first = 0; first < s.queries; first += tile)
    rows += 2 * s.seen(std::min(first + tile, s.queries) - 1);
  return static_cast<uint64_t>(rows * s.items * s.heads * s.width) * sizeof(T);
}

}  // namespace

TEMPLATE_TEST_CASE("attention meets no bank twice, uses whole sectors, and reads keys once a tile of queries",
                   "[attention][traffic]", float, bf16, f16) {
  const auto [queries, width] =
      GENERATE(pair(40, 64), pair(100, 64), pair(40, 80), pair(40, 96), pair(20, 128));
  const bool causal = queries == 100 ? GENERATE(false, true) : true;
  const AttentionShape s = {
      .queries = queries, .keys = 100, .width = width, .heads = 2, .kv_heads = 2, .causal = causal};
  simt::traffic();
  simt::options = {};
  simt::options.count = true;
  AttentionMemory<TestType> memory(s, random_numbers<TestType>(s), Lie::TokenMajor);
  attention(place(), memory.attention());
  CHECK(simt::report() == "");
  const std::vector<simt::Traffic> all = simt::traffic();
  simt::options = {};
  REQUIRE(all.size() == 1);
  const simt::Traffic& t = all[0];
  const bool large = sizeof(TestType) == 2 && width == 64 && queries > 64;
  const uint64_t least = least_bytes<TestType>(s, large ? 128 : 64);
  INFO(t.kernel << ": " << t.bytes_read + t.bytes_written << " bytes of " << least << ", sectors "
                << t.sectors_read << " of " << t.least_sectors_read << " and " << t.sectors_written << " of "
                << t.least_sectors_written << ", wavefronts " << t.wavefronts << " of "
                << t.least_wavefronts);
  simt::print_traffic(
      t, text_of(sizeof(TestType), " bytes, ", queries, " x 100 x ", width, causal ? ", causal" : ""), least);
  CHECK(t.wavefronts == t.least_wavefronts);
  CHECK(t.sectors_read == t.least_sectors_read);
  CHECK(t.sectors_written == t.least_sectors_written);
  CHECK(static_cast<double>(t.bytes_read + t.bytes_written) <= 1.05 * static_cast<double>(least));
}

TEMPLATE_TEST_CASE("attention keeps its tolerance where products drop bits while they add", "[attention]",
                   bf16, f16) {
  const auto [spread, width] = GENERATE(pair(1.0f, 64), pair(10.0f, 128));
  const AttentionShape s = {.queries = 18, .keys = 200, .width = width};
  const AttentionNumbers<TestType> x = random_numbers<TestType>(s, spread);
  simt::report();
  simt::options = {};
  simt::options.truncate = true;
  AttentionMemory<TestType> memory(s, x, Lie::TokenMajor);
  attention(place(), memory.attention());
  compare(s, memory.result(), define(s, x));
  CHECK(simt::report() == "");
  simt::options = {};
}
#endif
