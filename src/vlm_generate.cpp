#include <ATen/ops/argmax.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <algorithm>
#include <set>

#include "models/each_item.h"
#include "vlm_state.h"

namespace unisim {
namespace {

/// Logits of the row behind `x`, whose keys and values go to `rows`.
Tensor next_logits(const Vlm::State& vlm, const Tensor& x, KeysValues& rows) {
  const c10::InferenceMode no_gradient;
  const int64_t count = x.size(0), position = rows.tokens, wanted = count - 1;
  // Beyond the length that the short factors serve, keys made before keep theirs, as transformers has it.
  rows.long_factors = vlm.decoder->long_factors(position + count);
  const Stretch stretch{.rows = count, .position = position, .behind = &rows, .into = &rows};
  vlm.counts.decoder_rows += count;
  const Tensor logits = vlm.decoder->logits(
      vlm.decoder->run(x, {&stretch, 1}, {&wanted, 1}, rows.long_factors));
  if (first_not_finite(logits) >= 0) throw NotFinite(text_of("[", vlm.name, "] the logits are not finite"));
  return logits[0];
}

/// The prompt's keys and values, found or computed, and the logits behind it. Room for `more` tokens is made at once
/// where nothing is kept of it.
Tensor prefill(const Vlm::State& vlm, const PlannedPrompt& prompt, bool keep, int64_t more, KeysValues& rows) {
  const c10::InferenceMode no_gradient;
  const bool long_factors = vlm.decoder->long_factors(prompt.rows());
  int64_t from = prompt.fixed;
  if (from > 0) {
    rows = vlm.fixed_rows(prompt, long_factors);
  } else if (const auto kept = keep ? vlm.prefixes.find(prompt.key, long_factors) : nullptr) {
    const int64_t common = std::min(common_rows(kept->key, prompt.key), prompt.rows() - 1);
    if (is_worth(common, prompt)) {
      rows = kept->rows.first(common);
      vlm.counts.prefix_rows += from = common;
    }
  }
  keep = keep && prompt.fixed == 0 && from < prompt.rows() / 2 && vlm.prefixes.takes(vlm.bytes_of_rows(prompt.rows()));
  if (!keep) rows.reserve = prompt.rows() + more;
  const Tensor logits = next_logits(vlm, vlm.embedded(prompt, from), rows);
  if (keep) vlm.prefixes.put(prompt.key, rows.first(prompt.rows()));
  rows.reserve = prompt.rows() + more;
  return logits;
}

/// transformers' rule: a token that was there, in the prompt or since, is made less probable.
void penalize(double penalty, std::span<const int64_t> ids, Tensor& logits) {
  if (penalty == 1) return;
  logits = logits.clone();
  const std::set<int64_t> seen(ids.begin(), ids.end());
  for (const int64_t id : seen) {
    const float value = logits[id].item<float>();
    logits[id] = value > 0 ? value / static_cast<float>(penalty) : value * static_cast<float>(penalty);
  }
}

/// Where the first of the stop texts begins; npos: none is there.
std::size_t first_stop(const std::string& text, std::span<const std::string> stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

}  // namespace

Generated Vlm::generate(std::span<const Image> images, const VlmWords& prompt,
                        const GenerateOptions& options) const {
  require(options.max_new_tokens >= 1, "[generate] max_new_tokens is ", options.max_new_tokens, ", expected 1 or more");
  for (const std::string& stop : options.stop) require(!stop.empty(), "[generate] a stop text is empty");
  return state_->generate(
      state_->plan_to_run("generate", asked_of(images, prompt, options.prompt), options.max_new_tokens), options);
}

Generated Vlm::State::generate(const PlannedPrompt& prompt, const GenerateOptions& asked) const {
  if (!config.generation_refused.empty())
    throw Unsupported(config.folder / "generation_config.json",
                      "asks for " + config.generation_refused + ", which generate does not do; choose does not need it");
  std::unique_lock lock(mutex);
  Generated out;
  KeysValues rows;
  std::vector<int64_t> ids = prompt.encoded.ids;
  Tensor logits = prefill(*this, prompt, asked.kept_prefixes, asked.max_new_tokens, rows);
  while (true) {
    penalize(config.repetition_penalty, ids, logits);
    const int64_t id = at::argmax(logits).item<int64_t>();
    if (std::ranges::find(prompts->stop_ids(), id) != prompts->stop_ids().end()) {
      out.stopped = true;
      break;
    }
    ids.push_back(id);
    out.ids.push_back(id);
    if (!asked.stop.empty() && first_stop(prompts->decode(out.ids), asked.stop) != std::string::npos) {
      out.stopped = true;
      break;
    }
    const auto made = std::ssize(out.ids);
    if (asked.progress) {  // which may ask the model itself
      lock.unlock();
      asked.progress(made, asked.max_new_tokens);
      lock.lock();
    }
    if (made == asked.max_new_tokens) break;
    logits = next_logits(*this, decoder->embed({&id, 1}), rows);
  }
  out.text = prompts->decode(out.ids);
  out.text.resize(std::min(out.text.size(), first_stop(out.text, asked.stop)));
  return out;
}

Tensor Vlm::logits(std::span<const Image> images, const VlmWords& prompt, const PromptOptions& options) const {
  const PlannedPrompt plan = state_->plan_to_run("logits", asked_of(images, prompt, options), 0);
  const std::lock_guard lock(state_->mutex);
  KeysValues rows;
  return prefill(*state_, plan, false, 0, rows).clone();  // an ordinary tensor
}

}  // namespace unisim
