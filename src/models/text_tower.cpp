#include "text_tower.h"

#include <ATen/ops/embedding.h>
#include <ATen/ops/stack.h>
#include <unisim/error.h>

#include <algorithm>

#include "layout.h"
#include "wants.h"

namespace unisim {

int64_t pooled_row(const TextConfig& config, const int64_t* ids, int64_t length) {
  switch (config.pool) {
    case TextPool::EndToken: {
      const int64_t* end = std::find(ids, ids + length, config.end_token);
      return end == ids + length ? 0 : end - ids;
    }
    case TextPool::ArgMax:
      return std::max_element(ids, ids + length) - ids;
    case TextPool::Last:
      return length - 1;
    case TextPool::First:
      return 0;
  }
  return 0;
}

TextTower TextTower::load(const ModelConfig& model, const Weights& weights) {
  require(model.text.has_value(), "[TextTower] the model has no text tower");
  TextTower tower(*model.text, weights.device(), weights.dtype());
  weights.fill(text_wants(*model.text, text_names(model, weights), tower.weights_));
  return tower;
}

void TextTower::check_ids(std::string_view operation, const Tensor& ids) const {
  require(ids.defined() && ids.dim() == 2 && ids.scalar_type() == at::kLong, "[", operation, "] ids are ",
          ids.defined() ? text_of(ids.dtype().name(), " ", ids.sizes()) : "undefined",
          ", expected int64 [n, length]");
  require(ids.size(1) >= 1 && ids.size(1) <= config_.context, "[", operation, "] a text has ", ids.size(1),
          " ids, the model takes 1 to ", config_.context);
  const Tensor rows = ids.cpu().contiguous();
  const int64_t* id = rows.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < rows.numel(); ++i)
    require(id[i] >= 0 && id[i] < config_.vocabulary, "[", operation, "] item ", i / rows.size(1),
            " holds id ", id[i], ", the vocabulary has ", config_.vocabulary);
}

Tensor TextTower::tokens(const Tensor& ids) const {
  Tensor x = at::embedding(weights_.tokens, ids).add(weights_.positions.slice(0, 0, ids.size(1)));
  const Tensor visible = config_.pad_mask ? ids.ne(config_.pad_token) : Tensor();
  for (const BlockWeights& block : weights_.blocks) x = run_block(config_.blocks, block, x, visible);
  return run_norm(weights_.norm, x);
}

Tensor TextTower::run(std::string_view operation, const Tensor& ids, const AfterEach& after_each,
                      std::vector<int64_t> row, const std::function<Tensor(const Tensor&)>& rows) const {
  return each_item(ids.to(device_),
                   {.operation = operation,
                    .row = std::move(row),
                    .rows = rows,
                    .blame = [&](const Tensor&) { return text_of("computed in ", name_of(dtype_)); }},
                   after_each);
}

Tensor TextTower::embed(const Tensor& ids, const AfterEach& after_each) const {
  check_ids("embed_texts", ids);
  return run("embed_texts", ids, after_each, {dim()}, [&](const Tensor& items) {
    const Tensor sequence = tokens(items), host = items.cpu().contiguous();
    std::vector<Tensor> rows;
    for (int64_t i = 0; i < items.size(0); ++i)
      rows.push_back(
          sequence[i][pooled_row(config_, host.const_data_ptr<int64_t>() + i * host.size(1), host.size(1))]);
    const Tensor row = at::stack(rows);
    return config_.projection > 0 ? run_linear(weights_.projection, row) : row;
  });
}

Tensor TextTower::final_tokens(const Tensor& ids, const AfterEach& after_each) const {
  check_ids("final_tokens", ids);
  return run("final_tokens", ids, after_each, {ids.size(1), config_.blocks.width},
             [&](const Tensor& items) { return tokens(items); });
}

}  // namespace unisim
