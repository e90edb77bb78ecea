#include "models/decoder.h"

#include <ATen/ops/cat.h>
#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <limits>
#include <numeric>

#include "models/decoder_plan.h"
#include "tiny_decoder.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

// Float32 through two blocks of sums of at most 37 numbers, over the largest number; the angles are rounded too.
constexpr double kRounding = 5e-6;
// Two orders of the same sums, through two blocks; how far they are apart depends on the machine's lanes.
constexpr double kOrder = 3e-6;

std::vector<int64_t> counted(int64_t count, int64_t from = 0) {
  std::vector<int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), from);
  return numbers;
}

Tensor drawn_rows(const Decoder& decoder, int64_t rows, uint64_t seed) {
  return random_tensor({rows, decoder.config().width}, seed);
}

Tensor whole(const Decoder& decoder, const Tensor& x, bool far = false) {
  const std::vector<Stretch> one = {{.rows = x.size(0)}};
  return decoder.run(x, one, counted(x.size(0)), far);
}

double apart(const Tensor& a, const Tensor& b) { return worst(a, grid_of_tensor(b)); }

bool earlier(int64_t i, int64_t j) { return j <= i; }

const std::vector<std::string> kTypes = {"llama", "qwen2", "qwen3", "phi3"};

}  // namespace

TEST_CASE("a decoder is its definition, with short and long factors", "[decoder]") {
  for (const std::string& type : kTypes)
    for (const bool far : {false, true}) {
      const Decoder decoder = TinyDecoder(tiny_decoder(type)).load();
      const Tensor x = drawn_rows(decoder, 13, 5);
      CHECK(worst(whole(decoder, x, far), decoder_in_double(decoder, x, counted(13), earlier, far)) < kRounding);
    }
}

TEST_CASE("positions are those that a stretch says", "[decoder]") {
  const Decoder decoder = TinyDecoder(tiny_decoder("qwen2")).load();
  const Tensor x = drawn_rows(decoder, 7, 5);
  const std::vector<Stretch> two = {{.rows = 3, .position = 9}, {.rows = 4, .position = 2}};
  std::vector<int64_t> positions = counted(3, 9);
  for (const int64_t position : counted(4, 2)) positions.push_back(position);
  const auto sees = [](int64_t i, int64_t j) { return j <= i && (i < 3 || j >= 3); };
  CHECK(worst(decoder.run(x, two, counted(7)), decoder_in_double(decoder, x, positions, sees)) < kRounding);
}

TEST_CASE("in bfloat16 a decoder is its definition but for rounding", "[decoder]") {
  for (const std::string& type : kTypes) {
    const Decoder decoder = TinyDecoder(tiny_decoder(type)).load(DType::BFloat16);
    const Tensor x = drawn_rows(decoder, 13, 5).to(at::kBFloat16);
    const Tensor found = whole(decoder, x);
    CHECK(found.scalar_type() == at::kBFloat16);
    // Some ten roundings to eight bits a block, of numbers no larger than the largest.
    CHECK(worst(found, decoder_in_double(decoder, x, counted(13), earlier)) < 20 * 0x1p-9);
    CHECK(decoder.logits(found).scalar_type() == at::kFloat);
  }
}

TEST_CASE("packed stretches are single runs", "[decoder]") {
  for (const std::string& type : kTypes) {
    const Decoder decoder = TinyDecoder(tiny_decoder(type)).load();
    const std::vector<int64_t> lengths = {5, 1, 9, 2};
    std::vector<Tensor> parts;
    std::vector<Stretch> stretches;
    for (const int64_t length : lengths) {
      parts.push_back(drawn_rows(decoder, length, 5 + static_cast<uint64_t>(length)));
      stretches.push_back({.rows = length});
    }
    const Tensor found = decoder.run(at::cat(parts), stretches, counted(17));
    int64_t row = 0;
    for (std::size_t i = 0; i < parts.size(); row += lengths[i++])
      CHECK(apart(found.narrow(0, row, lengths[i]), whole(decoder, parts[i])) < kOrder);
  }
}

TEST_CASE("a kept prefix and what follows are the whole", "[decoder]") {
  for (const std::string& type : kTypes) {
    const Decoder decoder = TinyDecoder(tiny_decoder(type)).load();
    const Tensor x = drawn_rows(decoder, 19, 5), expected = whole(decoder, x);
    KeysValues kept;
    std::vector<Stretch> stretch = {{.rows = 8, .into = &kept}};
    CHECK(apart(decoder.run(x.narrow(0, 0, 8), stretch, counted(8)), expected.narrow(0, 0, 8)) < kOrder);
    CHECK(kept.tokens == 8);
    const KeysValues before = kept.first(8);
    const Tensor keys = before.keys[1].clone();

    // Behind it, leaving it as it is; then appended, in one piece and one by one.
    stretch = {{.rows = 11, .position = 8, .behind = &kept}};
    CHECK(apart(decoder.run(x.narrow(0, 8, 11), stretch, counted(11)), expected.narrow(0, 8, 11)) < kOrder);
    CHECK(kept.tokens == 8);
    stretch = {{.rows = 4, .position = 8, .behind = &kept, .into = &kept}};
    CHECK(apart(decoder.run(x.narrow(0, 8, 4), stretch, counted(4)), expected.narrow(0, 8, 4)) < kOrder);
    for (int64_t i = 12; i < 19; ++i) {
      stretch = {{.rows = 1, .position = i, .behind = &kept, .into = &kept}};
      CHECK(apart(decoder.run(x.narrow(0, i, 1), stretch, counted(1)), expected.narrow(0, i, 1)) < kOrder);
    }
    CHECK(kept.tokens == 19);
    CHECK(before.keys[1].equal(keys));
    CHECK(kept.keys[1].narrow(2, 0, 8).equal(keys));
  }
}

TEST_CASE("two that go on from one prefix do not touch each other", "[decoder]") {
  const Decoder decoder = TinyDecoder(tiny_decoder("qwen2")).load();
  const Tensor x = drawn_rows(decoder, 12, 5), other = drawn_rows(decoder, 12, 6);
  KeysValues prefix{.reserve = 30};
  std::vector<Stretch> stretch = {{.rows = 9, .into = &prefix}};
  CHECK(decoder.run(x.narrow(0, 0, 9), stretch, {}).size(0) == 0);
  CHECK(prefix.keys[0].size(2) == 30);
  CHECK(prefix.bytes() == 2 * 2 * 30 * 2 * 4 * 4);  // keys and values, two blocks, 30 tokens, two heads of four floats
  KeysValues one = prefix.first(9), two = prefix.first(6);
  stretch = {{.rows = 3, .position = 9, .behind = &one, .into = &one}};
  const Tensor found = decoder.run(x.narrow(0, 9, 3), stretch, counted(3));
  stretch = {{.rows = 6, .position = 6, .behind = &two, .into = &two}};
  const Tensor second = decoder.run(other.narrow(0, 6, 6), stretch, counted(6));
  CHECK(apart(found, whole(decoder, x).narrow(0, 9, 3)) < kOrder);
  const Tensor joined = at::cat({x.narrow(0, 0, 6), other.narrow(0, 6, 6)});
  CHECK(apart(second, whole(decoder, joined).narrow(0, 6, 6)) < kOrder);
  stretch = {{.rows = 3, .position = 9, .behind = &prefix}};
  CHECK(apart(decoder.run(x.narrow(0, 9, 3), stretch, counted(3)), found) < kOrder);
}

TEST_CASE("answers packed behind a prompt are each the whole", "[decoder]") {
  for (const std::string& type : kTypes) {
    const Decoder decoder = TinyDecoder(tiny_decoder(type)).load();
    const Tensor x = drawn_rows(decoder, 20, 5);
    KeysValues kept;
    std::vector<Stretch> stretches = {{.rows = 6, .into = &kept}};
    decoder.run(x.narrow(0, 0, 6), stretches, {});
    // Behind the kept six: a prompt of five, answers of 3, 1 and 2 to it, one of 3 behind the first answer.
    stretches = {{.rows = 5, .position = 6, .behind = &kept},
                 {.rows = 3, .position = 11, .parent = 0},
                 {.rows = 1, .position = 11, .parent = 0},
                 {.rows = 2, .position = 11, .parent = 0},
                 {.rows = 3, .position = 14, .parent = 1}};
    const Tensor packed = x.narrow(0, 6, 14), prompt = x.narrow(0, 0, 11);
    const Tensor found = decoder.run(packed, stretches, counted(14));
    const auto behind = [&](const std::vector<Tensor>& parts) { return whole(decoder, at::cat(parts)); };
    const auto rows = [&](int64_t first, int64_t count) { return packed.narrow(0, first, count); };
    CHECK(apart(found.narrow(0, 0, 5), behind({prompt}).narrow(0, 6, 5)) < kOrder);
    CHECK(apart(found.narrow(0, 5, 3), behind({prompt, rows(5, 3)}).narrow(0, 11, 3)) < kOrder);
    CHECK(apart(found.narrow(0, 8, 1), behind({prompt, rows(8, 1)}).narrow(0, 11, 1)) < kOrder);
    CHECK(apart(found.narrow(0, 9, 2), behind({prompt, rows(9, 2)}).narrow(0, 11, 2)) < kOrder);
    CHECK(apart(found.narrow(0, 11, 3), behind({prompt, rows(5, 3), rows(11, 3)}).narrow(0, 14, 3)) < kOrder);
  }
}

TEST_CASE("rows that are wanted are the same whichever others are", "[decoder]") {
  for (const std::string& type : kTypes) {
    const Decoder decoder = TinyDecoder(tiny_decoder(type)).load();
    const Tensor x = drawn_rows(decoder, 15, 5);
    const std::vector<Stretch> stretches = {
        {.rows = 7}, {.rows = 3, .position = 7, .parent = 0}, {.rows = 5, .position = 7, .parent = 0}};
    const Tensor all = decoder.run(x, stretches, counted(15));
    for (const std::vector<int64_t>& wanted : std::vector<std::vector<int64_t>>{
             {14}, {0}, {6}, {6, 7, 8, 10, 13}, {2, 4, 5}, {3, 9}, {7, 9, 11, 12}, {}}) {
      const Tensor found = decoder.run(x, stretches, wanted);
      REQUIRE(found.size(0) == std::ssize(wanted));
      for (std::size_t i = 0; i < wanted.size(); ++i)
        CHECK(apart(found.narrow(0, static_cast<int64_t>(i), 1), all.narrow(0, wanted[i], 1)) < kOrder);
    }
  }
}

TEST_CASE("keys are kept whole though no row is wanted", "[decoder]") {
  const Decoder decoder = TinyDecoder(tiny_decoder("phi3")).load();
  const Tensor x = drawn_rows(decoder, 11, 5);
  KeysValues with, without;
  std::vector<Stretch> stretch = {{.rows = 11, .into = &with}};
  decoder.run(x, stretch, counted(11), true);
  stretch = {{.rows = 11, .into = &without}};
  decoder.run(x, stretch, {}, true);
  CHECK(with.long_factors);
  for (std::size_t layer = 0; layer < 2; ++layer) {
    CHECK(apart(without.keys[layer], with.keys[layer]) < kOrder);
    CHECK(apart(without.values[layer], with.values[layer]) < kOrder);
  }
}

TEST_CASE("stretches that append to one room stand behind each other", "[decoder]") {
  const Decoder decoder = TinyDecoder(tiny_decoder("qwen3")).load();
  const Tensor x = drawn_rows(decoder, 10, 5);
  KeysValues apart_kept, kept;
  std::vector<Stretch> stretches = {{.rows = 6, .into = &kept}, {.rows = 4, .position = 6, .parent = 0, .into = &kept}};
  decoder.run(x, stretches, {});
  stretches = {{.rows = 10, .into = &apart_kept}};
  decoder.run(x, stretches, {});
  CHECK(kept.tokens == 10);
  CHECK(apart(kept.keys[1], apart_kept.keys[1]) < kOrder);
}

TEST_CASE("neighbours that see the same keys see them in one product", "[decoder]") {
  KeysValues kept{.tokens = 9};
  const std::vector<Stretch> stretches = {{.rows = 4, .behind = &kept},
                                          {.rows = 2, .parent = 0},
                                          {.rows = 3, .parent = 0},
                                          {.rows = 1, .behind = &kept, .into = &kept}};
  const AttentionPlan plan = plan_of_all(stretches);
  REQUIRE(plan.more.size() == 2);
  CHECK(plan.more[0].queries == 9);  // the kept keys, of all but the last, which has them in its room
  CHECK(plan.more[1].queries == 5);
  REQUIRE(plan.own.size() == 4);
  CHECK(plan.own[3].keys == 10);
  // The second of two that append to one room does not stand right behind what it sees.
  const std::vector<Stretch> twice(2, {.rows = 1, .behind = &kept, .into = &kept});
  CHECK(plan_of_all(twice).own[0].kept == &kept);
  CHECK(plan_of_all(twice).own[1].kept == nullptr);
  const std::vector<int64_t> wanted = {3, 7};
  CHECK(plan_of_wanted(stretches, wanted).rows == wanted);
}

TEST_CASE("a head of its own and a tied one, and ids outside of the vocabulary", "[decoder]") {
  for (const std::string type : {"llama", "qwen2"}) {
    const TinyDecoder model(tiny_decoder(type));
    const Decoder decoder = model.load();
    const std::vector<int64_t> ids = {30, 0, 7};
    const Tensor rows = decoder.embed(ids);
    CHECK(rows[2].equal(model.tensors.at(model.prefix + "embed_tokens.weight")[7]));
    const Tensor head = model.tensors.at(type == "qwen2" ? model.prefix + "embed_tokens.weight"
                                                         : std::string("language_model.lm_head.weight"));
    CHECK(worst(decoder.logits(rows), linear_in_double({head, {}}, grid_of_tensor(rows))) < kOrder);
    for (const int64_t bad : {int64_t{31}, int64_t{-1}})
      CHECK_THROWS_WITH(decoder.embed(std::vector<int64_t>{1, bad}), Contains("id 1 is") && Contains("has 31"));
  }
}

TEST_CASE("a file that keeps a tied head has the last word", "[decoder]") {
  TinyDecoder model(tiny_decoder("qwen2"));
  const Tensor tokens = model.tensors.at(model.prefix + "embed_tokens.weight");
  Tensor& head = model.tensors["language_model.lm_head.weight"] = tokens;
  const Decoder same = model.load();
  CHECK(same.weights().head.weight.data_ptr() == same.weights().tokens.data_ptr());
  head = random_tensor({31, 24}, 3);
  CHECK(model.load().weights().head.weight.equal(head));
}

TEST_CASE("what is in the file besides must be declared, what is missing is named", "[decoder]") {
  TinyDecoder model(tiny_decoder("llama"));
  model.tensors[model.prefix + "layers.0.self_attn.rotary_emb.inv_freq"] = random_tensor({2}, 1);
  model.load();
  model.tensors["vision_tower.patch.weight"] = random_tensor({2}, 1);
  CHECK_THROWS_WITH(model.load(), Contains("vision_tower.patch.weight") && Contains("no place in the decoder"));
  model.load(DType::Float32, {"vision_tower.*"});
  model.tensors.erase("vision_tower.patch.weight");
  model.tensors.erase(model.prefix + "layers.1.mlp.up_proj.weight");
  CHECK_THROWS_WITH(model.load(), Contains("layers.1.mlp.up_proj.weight") && Contains("missing"));
}

TEST_CASE("a run that does not fit together is refused, both sides named", "[decoder]") {
  const Decoder decoder = TinyDecoder(tiny_decoder("phi3")).load();
  const Tensor x = drawn_rows(decoder, 5, 5);
  const auto run = [&](const std::vector<Stretch>& stretches, const std::vector<int64_t>& wanted = {}) {
    return decoder.run(x, stretches, wanted);
  };
  CHECK_THROWS_WITH(run({{.rows = 4}}), Contains("have 4 rows, 5 are given"));
  CHECK_THROWS_WITH(run({{.rows = 5, .position = 60}}), Contains("position 65, the model has 64"));
  CHECK_THROWS_WITH(run({{.rows = 5, .parent = 0}}), Contains("stretch 0 as parent"));
  CHECK_THROWS_WITH(run({{.rows = 5}}, {5}), Contains("row 5 is wanted"));
  CHECK_THROWS_WITH(run({{.rows = 5}}, {2, 2}), Contains("rising"));
  CHECK_THROWS_WITH(decoder.run(x.narrow(1, 0, 8), std::vector<Stretch>{{.rows = 5}}, {}), Contains("24]"));
  KeysValues kept;
  decoder.run(x, std::vector<Stretch>{{.rows = 5, .into = &kept}}, {}, true);
  CHECK_THROWS_WITH(run({{.rows = 5, .position = 5, .behind = &kept}}), Contains("rotated by long factors"));
  CHECK(decoder.long_factors(21));
  CHECK_FALSE(decoder.long_factors(20));
}

TEST_CASE("a row that is not finite is named, and nothing is kept of its run", "[decoder]") {
  const Decoder decoder = TinyDecoder(tiny_decoder("qwen2")).load();
  Tensor x = drawn_rows(decoder, 5, 5);
  x[3][7] = std::numeric_limits<float>::infinity();
  KeysValues kept;
  const std::vector<Stretch> stretches = {{.rows = 3, .into = &kept}, {.rows = 2, .into = &kept}};
  CHECK_THROWS_AS(decoder.run(x, stretches, counted(5)), NotFinite);
  CHECK_THROWS_WITH(decoder.run(x, stretches, counted(5)), Contains("row 3 is not finite, computed in float32"));
  CHECK(kept.tokens == 0);
  CHECK(apart(decoder.run(x, stretches, counted(3)), whole(decoder, x.narrow(0, 0, 3))) < kOrder);
}
