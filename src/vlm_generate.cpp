#include <ATen/ops/argmax.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>

#include <algorithm>

#include "models/each_item.h"
#include "not_finite.h"
#include "vlm_state.h"

namespace unisim {
namespace {

/// Logits of the row behind `x`, whose keys and values go to `rows`.
Tensor next_logits(const Vlm::State& vlm, const Tensor& x, KeysValues& rows) {
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

/// The prompt's keys and values, found or computed, and the logits behind it.
Tensor prefill(const Vlm::State& vlm, const PlannedPrompt& prompt, bool keep, KeysValues& rows) {
  const bool long_factors = vlm.decoder->long_factors(prompt.rows());
  int64_t from = 0;
  if (const auto kept = keep ? vlm.prefixes.find(prompt.key, long_factors) : nullptr) {
    const int64_t common = std::min(common_rows(kept->key, prompt.key), prompt.rows() - 1);
    if (common >= kLeastKept) {
      rows = kept->rows.first(common);
      vlm.counts.prefix_rows += from = common;
    }
  }
  const Tensor logits = next_logits(vlm, vlm.embedded(prompt, from), rows);
  if (keep && from < prompt.rows() / 2) vlm.prefixes.put(prompt.key, rows.first(prompt.rows()));
  return logits;
}

/// Where the first of the stop texts begins; npos: none is there.
std::size_t first_stop(const std::string& text, std::span<const std::string> stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

}  // namespace

Generated Vlm::generate(std::span<const Image> images, const std::string& prompt,
                        const GenerateOptions& options) const {
  require(options.max_new_tokens >= 1, "[generate] max_new_tokens is ", options.max_new_tokens, ", expected 1 or more");
  for (const std::string& stop : options.stop) require(!stop.empty(), "[generate] a stop text is empty");
  return state_->generate(state_->plan("generate", asked_of(images, prompt, options.prompt),
                                       options.max_new_tokens),
                          options);
}

Generated Vlm::State::generate(const PlannedPrompt& prompt, const GenerateOptions& asked) const {
  const std::lock_guard lock(mutex);
  const c10::InferenceMode no_gradient;
  Generated out;
  KeysValues rows;
  rows.reserve = prompt.rows() + asked.max_new_tokens;
  Tensor logits = prefill(*this, prompt, asked.kept_prefixes, rows);
  while (true) {
    const int64_t id = at::argmax(logits).item<int64_t>();
    if (std::ranges::find(prompts->stop_ids(), id) != prompts->stop_ids().end()) {
      out.stopped = true;
      break;
    }
    out.ids.push_back(id);
    if (!asked.stop.empty() && first_stop(prompts->decode(out.ids), asked.stop) != std::string::npos) {
      out.stopped = true;
      break;
    }
    const auto made = static_cast<int64_t>(out.ids.size());
    if (asked.progress) asked.progress(made, asked.max_new_tokens);
    if (made == asked.max_new_tokens) break;
    logits = next_logits(*this, decoder->embed({&id, 1}), rows);
  }
  out.text = prompts->decode(out.ids);
  out.text.resize(std::min(out.text.size(), first_stop(out.text, asked.stop)));
  return out;
}

Tensor Vlm::logits(std::span<const Image> images, const std::string& prompt, const PromptOptions& options) const {
  const PlannedPrompt plan = state_->plan("logits", asked_of(images, prompt, options), 0);
  const std::lock_guard lock(state_->mutex);
  Tensor logits;
  {
    const c10::InferenceMode no_gradient;
    KeysValues rows;
    logits = prefill(*state_, plan, true, rows);
  }
  return logits.clone();
}

}  // namespace unisim
