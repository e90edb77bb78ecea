#include "vlm_folders.h"

using namespace unisim;
using namespace unisim::test;

namespace {

VlmConfig read_with(const Json& generation) {
  VlmFiles files = llava();
  files.files["generation_config.json"] = generation;
  return files.read();
}

std::string refused_of(const Json& generation) { return read_with(generation).generation_refused; }

}  // namespace

TEST_CASE("what would change greedy text is refused, each by its own name", "[vlm_generation]") {
  const Json asking = {{"no_repeat_ngram_size", 3},
                       {"encoder_no_repeat_ngram_size", 2},
                       {"min_length", 4},
                       {"min_new_tokens", 1},
                       {"encoder_repetition_penalty", 1.2},
                       {"num_beams", 4},
                       {"guidance_scale", 1.5},
                       {"penalty_alpha", 0.6},
                       {"stop_strings", "###"},
                       {"max_time", 2.5},
                       {"suppress_tokens", {5}},
                       {"begin_suppress_tokens", {5, 6}},
                       {"bad_words_ids", {{5}}},
                       {"sequence_bias", {{{5}, -1.0}}},
                       {"forced_bos_token_id", 0},
                       {"forced_eos_token_id", 2},
                       {"force_words_ids", {{5}}},
                       {"constraints", {"a"}},
                       {"dola_layers", "low"},
                       {"exponential_decay_length_penalty", {5, 1.1}},
                       {"watermarking_config", {{"bias", 2.0}}},
                       {"token_healing", true},
                       {"is_assistant", true},
                       {"assistant_ensemble_weight", 0.5},
                       {"cache_implementation", "quantized"}};
  std::string all;
  for (const auto& [key, value] : asking.items()) {
    CAPTURE(key);
    CHECK(refused_of({{key, value}}) == key);
    CHECK(refused_of({{key, nullptr}}).empty());
    all += (all.empty() ? "" : ", ") + key;
  }
  CHECK(refused_of(asking) == all);
}

TEST_CASE("a value that asks for nothing is not refused", "[vlm_generation]") {
  CHECK(refused_of({{"no_repeat_ngram_size", 0}, {"encoder_no_repeat_ngram_size", 0}}).empty());
  CHECK(refused_of({{"min_length", 0}, {"min_new_tokens", 0}, {"encoder_repetition_penalty", 1.0}}).empty());
  CHECK(refused_of({{"num_beams", 1}, {"guidance_scale", 1}, {"penalty_alpha", 0.0}}).empty());
  CHECK(refused_of({{"penalty_alpha", 0.6}, {"top_k", 1}}).empty());  // the best of one
  CHECK(refused_of({{"penalty_alpha", 0.6}, {"top_k", 4}}) == "penalty_alpha");
  CHECK(refused_of({{"suppress_tokens", Json::array()}, {"stop_strings", Json::array()}}).empty());
  CHECK(refused_of({{"sequence_bias", Json::object()}, {"stop_strings", ""}}).empty());
  CHECK(refused_of({{"token_healing", false}, {"is_assistant", false}}).empty());
  CHECK(refused_of({{"cache_implementation", "static"}}).empty());
}

TEST_CASE("the penalty of repetitions is read, and no number that is none", "[vlm_generation]") {
  CHECK(llava().read().repetition_penalty == 1);
  CHECK(read_with({{"repetition_penalty", 1.3}}).repetition_penalty == 1.3);
  CHECK_THROWS_WITH(read_with({{"repetition_penalty", 0}}), Catch::Contains("expected above 0"));
  CHECK_THROWS_WITH(read_with({{"num_beams", "two"}}), Catch::Contains("num_beams is \"two\", expected a number"));
  CHECK_THROWS_WITH(read_with(Json::array()), Catch::Contains("expected an object at the top"));
}
