#include "models/text_tower.h"

#include <ATen/ops/tensor.h>
#include <unisim/error.h>

#include "tiny_model.h"

using namespace unisim;
using namespace unisim::test;
using Catch::Matchers::Contains;

namespace {

Tensor ids_of(const std::vector<std::vector<int64_t>>& rows) {
  std::vector<int64_t> flat;
  for (const auto& row : rows) flat.insert(flat.end(), row.begin(), row.end());
  return at::tensor(flat).reshape({static_cast<int64_t>(rows.size()), -1});
}

Linear projection_of(const TinyModel& model) { return {model.tensors.at("text_projection.weight"), {}}; }

}  // namespace

TEST_CASE("a text's row is that of its first end token, of its largest id, the last or the first") {
  struct Case {
    TextPool pool;
    std::vector<int64_t> rows;
  };
  const Tensor ids = ids_of({{1, 4, 28, 28, 0, 0, 0}, {1, 29, 3, 29, 5, 28, 2}, {1, 2, 3, 4, 5, 6, 7}});
  for (const Case& rule : {Case{TextPool::EndToken, {2, 5, 0}}, Case{TextPool::ArgMax, {2, 1, 6}},
                           Case{TextPool::Last, {6, 6, 6}}, Case{TextPool::First, {0, 0, 0}}}) {
    ModelConfig config = tiny_text();
    config.text->pool = rule.pool;
    const TinyModel model(config);
    const Tensor rows = model.text().embed(ids), tokens = model.text().final_tokens(ids);
    REQUIRE(rows.size(1) == 5);
    for (int64_t n = 0; n < 3; ++n)
      CHECK(worst(rows[n], linear_in_double(projection_of(model), grid_of_tensor(tokens[n][rule.rows[n]]))) <
            2e-6);
  }
}

TEST_CASE("what follows the end token changes nothing in a causal tower, and all in another") {
  for (const bool causal : {true, false}) {
    ModelConfig config = tiny_text();
    config.text->blocks.causal = causal;
    const TinyModel model(config);
    const Tensor a = model.text().embed(ids_of({{1, 4, 28, 0, 0, 0, 0}}));
    const Tensor b = model.text().embed(ids_of({{1, 4, 28, 9, 8, 7, 6}}));
    CHECK(a.equal(b) == causal);
  }
}

TEST_CASE("padding that is hidden changes nothing in a tower that sees both ways") {
  ModelConfig config = tiny_text();
  config.text->blocks.causal = false;
  config.text->pad_mask = true;
  const TinyModel model(config);
  const Tensor padded = model.text().embed(ids_of({{1, 4, 28, 0, 0, 0, 0}}));
  // Another length is another order of sums.
  CHECK(padded.allclose(model.text().embed(ids_of({{1, 4, 28}})), 1e-5, 1e-6));
}

TEST_CASE("tokens and positions are added, and the shorter text takes the first positions") {
  ModelConfig config = tiny_text();
  config.text->blocks.layers = 1;
  TinyModel model(config);
  // Branches that add nothing leave the embeddings.
  for (auto& [name, tensor] : model.tensors)
    if (name.find("out_proj") != std::string::npos || name.find("fc2") != std::string::npos)
      tensor = tensor.mul(0);
  const Tensor found = model.text().final_tokens(ids_of({{7, 28, 3}}))[0];
  const std::string stem = "text_model.embeddings.";
  const Tensor tokens = model.tensors.at(stem + "token_embedding.weight");
  const Tensor positions = model.tensors.at(stem + "position_embedding.weight");
  const Norm norm = {model.tensors.at("text_model.final_layer_norm.weight"),
                     model.tensors.at("text_model.final_layer_norm.bias"), 1e-2};
  const int64_t ids[] = {7, 28, 3};
  for (int64_t i = 0; i < 3; ++i)
    CHECK(worst(found[i], norm_in_double(norm, grid_of_tensor(tokens[ids[i]].add(positions[i])))) < 2e-6);
}

TEST_CASE("a text's row has the same bits in any batch") {
  const TinyModel model(tiny_text());
  const TextTower tower = model.text();
  const Tensor ids = ids_of({{1, 4, 28, 0, 0, 0, 0}, {1, 9, 3, 29, 5, 28, 2}, {1, 2, 3, 4, 5, 28, 7}});
  const Tensor all = tower.embed(ids);
  for (int64_t i = 0; i < 3; ++i) CHECK(tower.embed(ids.slice(0, i, i + 1))[0].equal(all[i]));
}

TEST_CASE("ids that the tower cannot take are refused, both sides named") {
  const TextTower tower = TinyModel(tiny_text()).text();
  CHECK_THROWS_WITH(tower.embed(ids_of({{1, 2, 28}, {1, 30, 28}})),
                    Contains("item 1 holds id 30") && Contains("has 30"));
  CHECK_THROWS_WITH(tower.embed(ids_of({{1, -1, 28}})), Contains("holds id -1"));
  CHECK_THROWS_WITH(tower.embed(ids_of({{1, 2, 3, 4, 5, 6, 7, 28}})),
                    Contains("8 ids") && Contains("1 to 7"));
  CHECK_THROWS_WITH(tower.embed(ids_of({{1, 28}}).to(at::kInt)), Contains("expected int64"));
}

TEST_CASE("one model in the layouts of Hugging Face and OpenCLIP gives the same bits") {
  const TinyModel hugging_face(tiny_text());
  ModelConfig config = tiny_text();
  config.layout = Layout::OpenClip;
  const std::vector<std::pair<std::string, std::string>> names = {
      {"embeddings.token_embedding.weight", "token_embedding.weight"},
      {"embeddings.position_embedding.weight", "positional_embedding"},
      {"final_layer_norm", "ln_final"},
      {"encoder.layers", "transformer.resblocks"},
      {"layer_norm1", "ln_1"},
      {"layer_norm2", "ln_2"},
      {"mlp.fc1", "mlp.c_fc"},
      {"mlp.fc2", "mlp.c_proj"},
      {"self_attn.out_proj", "attn.out_proj"}};
  for (const std::string prefix : {"", "text."}) {
    config.custom_text = !prefix.empty();
    TinyModel open_clip(config);
    if (prefix.empty())
      open_clip.tensors["text_projection"] = hugging_face.tensors.at("text_projection.weight").t();
    else
      open_clip.tensors["text.text_projection"] = hugging_face.tensors.at("text_projection.weight").t();
    for (const auto& [name, tensor] : hugging_face.tensors) {
      if (!name.starts_with("text_model.") || name.find("_proj.") != std::string::npos) {
        if (name.find("self_attn.out_proj") == std::string::npos) continue;
      }
      std::string theirs = name.substr(11);
      for (const auto& [from, to] : names)
        if (const auto at = theirs.find(from); at != std::string::npos) theirs.replace(at, from.size(), to);
      REQUIRE(open_clip.tensors.contains(prefix + theirs));
      open_clip.tensors[prefix + theirs] = tensor;
    }
    for (const std::string layer : {"0", "1"})
      for (const std::string kind : {"weight", "bias"}) {
        const Tensor fused =
            open_clip.tensors.at(prefix + "transformer.resblocks." + layer + ".attn.in_proj_" + kind);
        int64_t row = 0;
        for (const std::string part : {"q", "k", "v"}) {
          fused.slice(0, row, row + 12)
              .copy_(hugging_face.tensors.at("text_model.encoder.layers." + layer + ".self_attn." + part +
                                             "_proj." + kind));
          row += 12;
        }
      }
    const Tensor ids = ids_of({{1, 4, 28, 0, 0, 0, 0}, {1, 9, 3, 29, 5, 28, 2}});
    CHECK(open_clip.text().embed(ids).equal(hugging_face.text().embed(ids)));
  }
}
