// What a folder's JSON says of a decoder, sparse or whole, in the old spelling and the new.

#include <unisim/error.h>

#include <cmath>

#include "models/vlm_config.h"
#include "support.h"

using namespace unisim;
using Catch::Matchers::Contains;

namespace {

DecoderConfig read(const char* text, const std::string& otherwise = "llama") {
  const Json json = Json::parse(text);
  return read_decoder_config(json, "folder/config.json", "text_config", otherwise);
}

/// A Phi-3 of four heads of width 4 whose positions are `rope`.
DecoderConfig phi3(const std::string& rope, const std::string& more = "") {
  return read((R"({"model_type": "phi3", "hidden_size": 16, "num_attention_heads": 4, "max_position_embeddings": 131072,
                   "original_max_position_embeddings": 4096, "sliding_window": 262144, "rope_scaling": )" +
               rope + more + "}")
                  .c_str());
}

}  // namespace

TEST_CASE("an absent field has the default of its class", "[config]") {
  const DecoderConfig llama = read("{}");
  CHECK(llama.model_type == "llama");
  CHECK(llama.vocabulary == 32'000);
  CHECK(llama.width == 4'096);
  CHECK(llama.mlp_width == 11'008);
  CHECK(llama.layers == 32);
  CHECK(llama.heads == 32);
  CHECK(llama.kv_heads == 32);
  CHECK(llama.head_width == 128);
  CHECK(llama.positions == 2'048);
  CHECK(llama.eps == 1e-6);
  CHECK(llama.rotary.theta == 1e4);
  CHECK_FALSE((llama.qkv_bias || llama.proj_bias || llama.mlp_bias || llama.qk_norm || llama.packed || llama.tied));

  const DecoderConfig qwen2 = read("{}", "qwen2");
  CHECK(qwen2.vocabulary == 151'936);
  CHECK(qwen2.mlp_width == 22'016);
  CHECK(qwen2.positions == 32'768);
  CHECK(qwen2.head_width == 128);
  CHECK((qwen2.qkv_bias && !qwen2.proj_bias && !qwen2.mlp_bias && !qwen2.qk_norm));

  const DecoderConfig qwen3 = read(R"({"model_type": "qwen3", "hidden_size": 1024, "num_attention_heads": 32})");
  CHECK(qwen3.head_width == 128);
  CHECK(qwen3.inner() == 4'096);
  CHECK((qwen3.qk_norm && !qwen3.qkv_bias));

  const DecoderConfig phi = read("{}", "phi3");
  CHECK(phi.vocabulary == 32'064);
  CHECK(phi.width == 3'072);
  CHECK(phi.mlp_width == 8'192);
  CHECK(phi.head_width == 96);
  CHECK(phi.positions == 4'096);
  CHECK(phi.eps == 1e-5);
  CHECK(phi.packed);
}

TEST_CASE("Qwen1.5's folder as it was published", "[config]") {
  const DecoderConfig config = read(R"({
    "architectures": ["Qwen2ForCausalLM"], "attention_dropout": 0.0, "bos_token_id": 151643,
    "eos_token_id": [151645, 2], "hidden_act": "silu", "hidden_size": 1024, "initializer_range": 0.02,
    "intermediate_size": 2816, "max_position_embeddings": 32768, "max_window_layers": 21, "model_type": "qwen2", "num_attention_heads": 16,
    "num_hidden_layers": 24, "num_key_value_heads": 16, "rms_norm_eps": 1e-06, "rope_theta": 1000000.0,
    "sliding_window": 32768, "tie_word_embeddings": true, "torch_dtype": "bfloat16", "transformers_version": "4.37.2",
    "use_cache": true, "use_sliding_window": false, "vocab_size": 151936})");
  CHECK(config.layers == 24);
  CHECK(config.head_width == 64);
  CHECK(config.rotary.theta == 1e6);
  CHECK(config.tied);
  CHECK(config.qkv_width() == 3 * 1'024);
}

TEST_CASE("heads of keys that are written as null are as many as heads", "[config]") {
  CHECK(read(R"({"num_attention_heads": 8, "num_key_value_heads": null})", "qwen2").kv_heads == 8);
  CHECK_THROWS_WITH(read(R"({"num_attention_heads": 8})", "qwen2"), Contains("num_key_value_heads is 32"));
  CHECK_THROWS_WITH(read(R"({"num_attention_heads": 6, "num_key_value_heads": 4})"), Contains("does not divide the 6"));
}

TEST_CASE("the old spelling of rotary positions means the same as the new", "[config]") {
  for (const char* text : {R"({"rope_theta": 500, "rope_scaling": {"type": "linear", "factor": 4.0}})",
                           R"({"rope_theta": 500, "rope_scaling": {"rope_type": "linear", "factor": 4.0}})",
                           R"({"rope_parameters": {"rope_theta": 500, "rope_type": "linear", "factor": 4.0}})"}) {
    const RotaryConfig rotary = read(text).rotary;
    CHECK(rotary.rule == RotaryRule::Linear);
    CHECK(rotary.theta == 500);
    CHECK(rotary.factor == 4);
  }
  CHECK(read(R"({"rope_parameters": {"rope_theta": 500, "rope_type": "default"}})").rotary.rule == RotaryRule::Plain);
  CHECK(read(R"({"rope_scaling": null, "rope_theta": 500})").rotary.theta == 500);
  CHECK(read(R"({"rope_scaling": {"type": "dynamic", "factor": 2.0}})").rotary.rule == RotaryRule::Plain);
}

TEST_CASE("Phi-3's factors and their scale, by every name they had", "[config]") {
  const std::string lists = R"("short_factor": [1.0, 1.5], "long_factor": [2, 4.5])";
  for (const char* name : {"longrope", "su"}) {
    const RotaryConfig rotary = phi3("{\"type\": \"" + std::string(name) + "\", " + lists + "}").rotary;
    CHECK(rotary.rule == RotaryRule::LongRope);
    CHECK(rotary.short_factor == std::vector<double>{1, 1.5});
    CHECK(rotary.long_factor == std::vector<double>{2, 4.5});
    CHECK(rotary.original_positions == 4'096);
    CHECK(rotary.scale == Approx(std::sqrt(1 + std::log(32.0) / std::log(4'096.0))).epsilon(1e-15));
  }
  const RotaryConfig yarn = phi3("{\"type\": \"yarn\", " + lists + "}").rotary;
  CHECK(yarn.rule == RotaryRule::LongRope);
  CHECK(yarn.scale == Approx(0.1 * std::log(32.0) + 1).epsilon(1e-15));
  CHECK(phi3("{\"type\": \"longrope\", \"attention_factor\": 1.25, " + lists + "}").rotary.scale == 1.25);
  CHECK(phi3("{\"type\": \"longrope\", \"factor\": 16.0, " + lists + "}").rotary.scale ==
        Approx(std::sqrt(1 + std::log(16.0) / std::log(4'096.0))).epsilon(1e-15));
  // As transformers 5 saves it: the length inside too, and that at the top goes first.
  const std::string inside = R"({"rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 1.0,
                                 "original_max_position_embeddings": 2048, )";
  CHECK(phi3(inside + lists + "}").rotary.original_positions == 4'096);
  CHECK_THROWS_WITH(phi3(R"({"type": "longrope", "short_factor": [1, 2], "long_factor": [1, 2, 3]})"),
                    Contains("long_factor") && Contains("2 numbers"));
  CHECK_THROWS_WITH(phi3(R"({"type": "longrope", "short_factor": [1, 0], "long_factor": [1, 2]})"),
                    Contains("holds 0"));
  CHECK_THROWS_WITH(phi3(R"({"type": "longrope", "short_factor": [1, 2]})"), Contains("long_factor"));
}

TEST_CASE("a window in use is the longest sequence", "[config]") {
  const std::string phi = R"({"type": "default"})";
  CHECK(phi3(phi).positions == 131'072);
  CHECK(read(R"({"sliding_window": 2047})", "phi3").positions == 2'047);
  const char* slides = R"({"use_sliding_window": true, "sliding_window": 1000, "num_hidden_layers": 4,
                           "max_window_layers": )";
  CHECK(read((slides + std::string("3}")).c_str(), "qwen2").positions == 1'000);
  CHECK(read((slides + std::string("4}")).c_str(), "qwen2").positions == 32'768);
  CHECK(read(R"({"use_sliding_window": false, "sliding_window": 1000, "max_window_layers": 0})", "qwen3").positions ==
        32'768);
  CHECK(read(R"({"use_sliding_window": true, "sliding_window": 9, "num_hidden_layers": 2,
                 "layer_types": ["full_attention", "sliding_attention"]})",
             "qwen2")
            .positions == 9);
  CHECK_THROWS_WITH(read(R"({"num_hidden_layers": 1, "layer_types": ["sliding_attention"]})", "qwen2"),
                    Contains("use_sliding_window is false"));
  CHECK_THROWS_WITH(read(R"({"num_hidden_layers": 2, "layer_types": ["full_attention"]})", "qwen2"),
                    Contains("each of 2 blocks"));
}

TEST_CASE("biases are what the class has, and a key that says another is refused", "[config]") {
  const DecoderConfig llama = read(R"({"attention_bias": true, "mlp_bias": true})");
  CHECK((llama.qkv_bias && llama.proj_bias && llama.mlp_bias));
  CHECK(read(R"({"attention_bias": true})", "qwen3").proj_bias);
  CHECK_THROWS_AS(read(R"({"attention_bias": false})", "qwen2"), Unsupported);
  CHECK_THROWS_AS(read(R"({"attention_bias": true})", "phi3"), Unsupported);
  CHECK_THROWS_AS(read(R"({"mlp_bias": true})", "qwen3"), Unsupported);
}

TEST_CASE("what is not honoured is refused by name", "[config]") {
  const auto refused = [](const char* text, const char* naming, const std::string& type = "llama") {
    CHECK_THROWS_AS(read(text, type), Unsupported);
    CHECK_THROWS_WITH(read(text, type), Contains(naming) && Contains("folder/config.json"));
  };
  refused(R"({"model_type": "mistral"})", "llama, qwen2, qwen3, phi3");
  refused(R"({"hidden_act": "gelu"})", "text_config.hidden_act");
  refused(R"({"rope_scaling": {"type": "llama3", "factor": 8}})", "text_config.rope_scaling.type");
  refused(R"({"rope_scaling": {"rope_type": "yarn", "factor": 8}})", "default, linear, dynamic, longrope");
  refused(R"({"rope_scaling": {"type": "linear", "factor": 8}})", "longrope (older: su, yarn)", "phi3");
  refused(R"({"rope_scaling": {"type": "default", "mrope_section": [1, 2]}})", "mrope_section");
  refused(R"({"partial_rotary_factor": 0.5})", "partial_rotary_factor");
  refused(R"({"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}})", "partial_rotary_factor");
  refused(R"({"quantization_config": {"bits": 4}})", "quantization_config");
  refused(R"({"sliding_window": 4096})", "sliding_window");
}

TEST_CASE("what is impossible or says two things is an error that names it", "[config]") {
  CHECK_THROWS_WITH(read(R"({"rope_theta": 0})"), Contains("rope_theta") && Contains("above 0"));
  CHECK_THROWS_WITH(read(R"({"rope_theta": 2, "rope_parameters": {"rope_theta": 3}})"), Contains("expected 2"));
  CHECK_THROWS_WITH(read(R"({"rope_scaling": {"type": "default"},
                             "rope_parameters": {"type": "linear", "factor": 2}})"),
                    Contains("rope_scaling"));
  CHECK_THROWS_WITH(read(R"({"head_dim": 7})"), Contains("cannot be rotated in pairs") && Contains("head_dim"));
  CHECK_THROWS_WITH(read(R"({"hidden_size": 100, "num_attention_heads": 3})"), Contains("does not divide"));
  CHECK_THROWS_WITH(read(R"({"rms_norm_eps": -1})"), Contains("rms_norm_eps"));
  CHECK_THROWS_WITH(read(R"({"num_hidden_layers": 0})"), Contains("num_hidden_layers"));
  CHECK_THROWS_WITH(read(R"([])"), Contains("expected an object"));
}
