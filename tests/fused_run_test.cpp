// Whole decoders as kernels of a place, held to LibTorch's operations: packed prompts, kept prefixes, answers
// behind them.

#include <ATen/ops/cat.h>
#include <ATen/ops/softmax.h>

#include <numeric>

#include "models/fused_decoder_of.h"
#include "models/fused_encoder_of.h"
#include "test_place.h"
#include "tiny_decoder.h"

using namespace unisim;
using namespace unisim::test;

namespace {

const std::vector<std::string> kTypes = {"llama", "qwen2", "qwen3", "phi3"};

// Two orders of the same sums through two blocks, over the largest number of the rows at hand.
constexpr double kApart = 4e-6;

/// With heads that the kernels take: of 8, 16, 24 and 96 numbers.
DecoderConfig served(const std::string& type, int64_t layers = 2) {
  DecoderConfig config = tiny_decoder(type);
  config.layers = layers;
  config.head_width = type == "llama" ? 16 : type == "qwen2" ? 8 : type == "qwen3" ? 24 : 96;
  config.heads = type == "qwen2" ? 4 : 2, config.kv_heads = config.heads / 2;
  if (type == "phi3") {
    config.heads = config.kv_heads = 1;
    for (int64_t i = 0; i < config.head_width / 2; ++i) {
      config.rotary.short_factor.resize(static_cast<std::size_t>(i + 1), 1 + 0.01 * static_cast<double>(i));
      config.rotary.long_factor.resize(static_cast<std::size_t>(i + 1), 2 + 0.05 * static_cast<double>(i));
    }
  }
  return config;
}

/// The same weights behind both executors.
struct Both {
  TinyDecoder tiny;
  Decoder aten, fused;

  explicit Both(const DecoderConfig& config) : tiny(config), aten(tiny.load()), fused(tiny.load()) {
    fused.set_executor(std::make_unique<FusedDecoderOn<Place, float>>(aten.config(), aten.weights()));
  }
  Tensor rows(int64_t count, uint64_t seed) const {
    return random_tensor({count, aten.config().width}, seed);
  }
};

std::vector<int64_t> counted(int64_t count, int64_t from = 0) {
  std::vector<int64_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), from);
  return numbers;
}

ModelConfig clip_tower() {
  ModelConfig model = tiny_vision();
  BlocksConfig& blocks = model.vision->blocks;
  blocks.width = 48, blocks.heads = 2, blocks.head_width = 24, blocks.mlp_width = 56;
  blocks.activation = Activation::QuickGelu;
  model.vision->norm_pre = model.vision->pool_norm = true;
  model.vision->final_norm = model.vision->patch_bias = false;
  model.vision->projection = 20;
  model.layout = Layout::HuggingFaceClip;
  model.family = "clip";
  return model;
}

/// A model that is asked about a picture: a tower, two products that bring its patches to the decoder, the
/// decoder.
struct TinyVlm {
  TinyModel eyes{clip_tower()};
  VisionTower tower = eyes.vision();
  Linear first{random_tensor({40, 48}, 21, 0.15), random_tensor({40}, 22, 0.1)};
  Linear second{random_tensor({24, 40}, 23, 0.15), random_tensor({24}, 24, 0.1)};
  Decoder decoder = TinyDecoder(served("qwen2")).load();

  Tensor projected(const Tensor& patches) const {
    return run_linear(second, run_activation(Activation::Gelu, run_linear(first, patches)));
  }

  /// The same on the place, [rows, width] to [rows, width].
  Tensor projected_there(const Tensor& patches) const {
    PlacedWeights<Place, float> weights(place(), false);
    const FusedLinear<float> up = weights.linear(first), down = weights.linear(second);
    const int64_t rows = patches.size(0);
    const float* from = patches.const_data_ptr<float>();
    const Buffer<float> x(std::vector<float>(from, from + patches.numel()));
    Buffer<float> hidden(rows * 40), out(rows * 24);
    run_fused_activated<Place, float>(place(), up, Activation::Gelu, packed<const float>(x.data(), rows, 48),
                                      packed(hidden.data(), rows, 40));
    run_fused_linear<Place, float>(place(), down, packed<const float>(hidden.data(), rows, 40),
                                   packed(out.data(), rows, 24));
    Tensor found = at::empty({rows, 24});
    copy_to_host(place(), found.mutable_data_ptr(), out.data(), found.nbytes());
    return found;
  }

  /// [vocabulary] on the place.
  Tensor logits_there(const Tensor& row) const {
    PlacedWeights<Place, float> weights(place(), false);
    const FusedLinear<float> head = weights.linear(decoder.weights().head);
    const int64_t vocabulary = decoder.config().vocabulary;
    const float* from = row.const_data_ptr<float>();
    const Buffer<float> x(std::vector<float>(from, from + row.numel()));
    Buffer<float> out(vocabulary);
    run_fused_linear<Place, float>(place(), head, packed<const float>(x.data(), 1, 24),
                                   packed(out.data(), 1, vocabulary));
    Tensor found = at::empty({vocabulary});
    copy_to_host(place(), found.mutable_data_ptr(), out.data(), found.nbytes());
    return found;
  }

  /// A picture between some words.
  Tensor prompt(const Tensor& picture) const {
    return at::cat({decoder.embed(std::vector<int64_t>{3, 7, 1}), picture,
                    decoder.embed(std::vector<int64_t>{9, 30, 4})});
  }
};

/// Over the largest number.
double apart(const Tensor& a, const Tensor& b) {
  REQUIRE(a.sizes() == b.sizes());
  return a.sub(b).abs().max().item<double>() / b.abs().max().item<double>();
}

}  // namespace

TEST_CASE("a fused decoder block gives the rows of aten", "[fused]") {
  for (const std::string& type : kTypes)
    for (const bool far : {false, true}) {
      INFO(type << (far ? ", long factors" : ""));
      const Both both(served(type, 1));
      const Tensor x = both.rows(21, 5);
      const std::vector<Stretch> one = {{.rows = 21, .position = 3}};
      const Tensor expected = both.aten.run(x, one, counted(21), far);
      each_round([&] { CHECK(apart(both.fused.run(x, one, counted(21), far), expected) < kApart); });
    }
}

TEST_CASE("a fused run packs prompts and answers as aten does", "[fused]") {
  for (const std::string& type : kTypes) {
    INFO(type);
    const Both both(served(type));
    // A stretch that two prompts share, their answers, and a prompt on its own.
    const std::vector<Stretch> stretches = {{.rows = 9},
                                            {.rows = 4, .position = 9, .parent = 0},
                                            {.rows = 2, .position = 13, .parent = 1},
                                            {.rows = 1, .position = 13, .parent = 1},
                                            {.rows = 6, .position = 9, .parent = 0},
                                            {.rows = 5}};
    const Tensor x = both.rows(27, 6);
    const std::vector<int64_t> wanted = {12, 13, 14, 15, 21, 26};
    const Tensor expected = both.aten.run(x, stretches, wanted);
    each_round([&] { CHECK(apart(both.fused.run(x, stretches, wanted), expected) < kApart); });
  }
}

TEST_CASE("a fused run goes on behind what it kept, one token after the other", "[fused]") {
  for (const std::string& type : kTypes) {
    INFO(type);
    const Both both(served(type));
    const Tensor x = both.rows(16, 7);
    const Tensor expected = both.aten.run(x, std::vector<Stretch>{{.rows = 16}}, counted(16));
    each_round([&] {
      KeysValues kept;
      const std::vector<Stretch> first = {{.rows = 11, .into = &kept}};
      CHECK(apart(both.fused.run(x.narrow(0, 0, 11), first, counted(11)), expected.narrow(0, 0, 11)) <
            kApart);
      REQUIRE(kept.tokens == 11);
      // A part of it, seen by two stretches; the second is kept in room of its own, behind the same rows.
      const KeysValues part = kept.first(8);
      KeysValues other = part;
      const std::vector<Stretch> two = {{.rows = 3, .position = 8, .behind = &part},
                                        {.rows = 5, .position = 8, .behind = &part, .into = &other}};
      const Tensor again = both.fused.run(at::cat({x.narrow(0, 8, 3), x.narrow(0, 8, 5)}), two, counted(8));
      CHECK(apart(again.narrow(0, 0, 3), expected.narrow(0, 8, 3)) < kApart);
      CHECK(apart(again.narrow(0, 3, 5), expected.narrow(0, 8, 5)) < kApart);
      REQUIRE(other.tokens == 13);
      for (int64_t at = 13; at < 16; ++at) {
        const std::vector<Stretch> next = {{.rows = 1, .position = at, .behind = &other, .into = &other}};
        CHECK(apart(both.fused.run(x.narrow(0, at, 1), next, counted(1)), expected.narrow(0, at, 1)) <
              kApart);
      }
      CHECK(other.tokens == 16);
    });
  }
}

TEST_CASE("a fused run that wants no row keeps all the same", "[fused]") {
  const Both both(served("qwen2"));
  const Tensor x = both.rows(12, 8);
  const Tensor expected = both.aten.run(x, std::vector<Stretch>{{.rows = 12}}, counted(12));
  each_round([&] {
    KeysValues kept;
    CHECK(both.fused.run(x.narrow(0, 0, 7), std::vector<Stretch>{{.rows = 7, .into = &kept}}, {}).size(0) ==
          0);
    const std::vector<Stretch> rest = {{.rows = 5, .position = 7, .behind = &kept}};
    CHECK(apart(both.fused.run(x.narrow(0, 7, 5), rest, counted(5)), expected.narrow(0, 7, 5)) < kApart);
  });
}

TEST_CASE("fused in bfloat16 is as far from float32 as aten in bfloat16", "[fused]") {
  for (const std::string& type : kTypes) {
    INFO(type);
    const TinyDecoder tiny(served(type));
    const Decoder exact = tiny.load(), narrow = tiny.load(DType::BFloat16);
    Decoder fused = tiny.load(DType::BFloat16);
    fused.set_executor(std::make_unique<FusedDecoderOn<Place, bf16>>(narrow.config(), narrow.weights()));
    const Tensor x = random_tensor({21, exact.config().width}, 9).to(at::kBFloat16);
    const std::vector<Stretch> one = {{.rows = 21}};
    const Tensor expected = exact.run(x.to(at::kFloat), one, counted(21));
    const double by_aten = apart(narrow.run(x, one, counted(21)).to(at::kFloat), expected);
    each_round([&] {
      const Tensor found = fused.run(x, one, counted(21));
      CHECK(found.scalar_type() == at::kBFloat16);
      CHECK(apart(found.to(at::kFloat), expected) < 1.5 * by_aten);
    });
  }
}

TEST_CASE("a whole model on the place says what it says by aten", "[fused]") {
  TinyVlm vlm;
  const Tensor pixels = random_tensor({1, 3, 12, 18}, 31);
  const auto patches_of = [](const Tensor& hidden) {
    return hidden[0].slice(0, 1).contiguous();
  };  // but the class token
  const Tensor prompt = vlm.prompt(vlm.projected(patches_of(vlm.tower.hidden_state(pixels, 1))));
  const std::vector<Stretch> one = {{.rows = prompt.size(0)}};
  const std::vector<int64_t> last = {prompt.size(0) - 1};
  const Tensor expected = vlm.decoder.logits(vlm.decoder.run(prompt, one, last))[0].softmax(-1);
  REQUIRE(expected.max().item<double>() < 0.9);
  each_round([&] {
    FusedEncoderOn<Place, float> tower(&vlm.tower, nullptr, 1);
    const Tensor there = vlm.prompt(vlm.projected_there(patches_of(tower.hidden_state(pixels, 1))));
    vlm.decoder.set_executor(
        std::make_unique<FusedDecoderOn<Place, float>>(vlm.decoder.config(), vlm.decoder.weights()));
    const Tensor found = vlm.logits_there(vlm.decoder.run(there, one, last)).softmax(-1);
    vlm.decoder.set_executor(nullptr);
    CHECK(found.sub(expected).abs().max().item<double>() < 1e-6);
  });
}

TEST_CASE("heads that no kernel takes are refused by their width", "[fused]") {
  CHECK(fused_refusal(served("phi3")).empty());
  CHECK_THAT(fused_refusal(tiny_decoder("llama")), Catch::Matchers::Contains("heads of 4 numbers"));
  DecoderConfig wide = served("llama");
  wide.head_width = 136;
  CHECK_THAT(fused_refusal(wide), Catch::Matchers::Contains("multiples of 8 up to 128"));
}
