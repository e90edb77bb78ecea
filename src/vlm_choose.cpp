#include <ATen/ops/cat.h>
#include <ATen/ops/log_softmax.h>
#include <c10/core/InferenceMode.h>
#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "models/each_item.h"
#include "not_finite.h"
#include "vlm_state.h"

/// Choices are scored in one prefill: behind the rows of a prompt stand the tokens of each choice but its last, every
/// choice seeing the prompt and itself. The head runs on the rows that predict a token of a choice alone.
namespace unisim {
namespace {

constexpr int64_t kLeastShared = 32;   ///< rows in common that prompts of one run compute once
constexpr int64_t kRowsOfRun = 4096;   ///< of prompts in one run of choose_many

/// Where a prompt's rows come from.
struct Placed {
  std::shared_ptr<KeptPrefixes::Entry> kept;  ///< held, so that it stays
  KeysValues behind;                          ///< the first `from` rows of it
  int64_t from = 0;                           ///< rows that are not computed for this prompt
  int64_t shared = -1;                        ///< or are, in this stretch, for several
};

/// Everything that one run of the decoder needs, as it grows.
struct Run {
  std::vector<Tensor> rows;
  std::vector<Stretch> stretches;
  std::vector<int64_t> wanted;
  int64_t count = 0;  ///< rows so far

  int64_t add(const Tensor& x, const Stretch& stretch) {
    rows.push_back(x);
    stretches.push_back(stretch);
    stretches.back().rows = x.size(0);
    count += x.size(0);
    return static_cast<int64_t>(stretches.size()) - 1;
  }
};

/// Which rows a prompt behind `most` of another's may take: its last row is always computed.
int64_t usable(const PlannedPrompt& prompt, int64_t common) { return std::min(common, prompt.rows() - 1); }

/// From prompt `first` on: how many that follow begin with the same rows, and with how many.
std::pair<std::size_t, int64_t> shared_from(std::span<const PlannedPrompt> prompts, std::size_t first) {
  int64_t shared = prompts[first].rows() - 1;
  std::size_t end = first + 1;
  for (; end < prompts.size(); ++end) {
    const int64_t common = usable(prompts[end], common_rows(prompts[first].key, prompts[end].key));
    if (common < kLeastShared || std::min(common, shared) < shared / 2) break;
    shared = std::min(common, shared);
  }
  return {end, shared};
}

/// A shared prompt's first rows as a prompt of their own.
PlannedPrompt first_rows(const PlannedPrompt& prompt, int64_t count) {
  PlannedPrompt first = prompt;
  first.encoded.ids.resize(static_cast<std::size_t>(count));
  first.key.resize(static_cast<std::size_t>(count));
  std::erase_if(first.encoded.pictures, [&](const auto& slot) { return slot.at >= count; });
  for (auto& slot : first.encoded.pictures) slot.rows = std::min(slot.rows, count - slot.at);
  return first;
}

/// The prompt's own rows, then those of its choices. Notes which rows are wanted.
void add_prompt(const Vlm::State& vlm, const PlannedPrompt& prompt, Placed& placed, KeysValues* into, Run& run) {
  Stretch stretch{.position = placed.from, .parent = placed.shared, .into = into};
  if (placed.kept) stretch.behind = &placed.behind;
  const int64_t own = run.add(vlm.embedded(prompt, placed.from), stretch);
  run.wanted.push_back(run.count - 1);
  for (const std::vector<int64_t>& answer : prompt.answers) {
    if (answer.size() == 1) continue;
    const int64_t first = run.count;
    run.add(vlm.decoder->embed(std::span(answer).first(answer.size() - 1)),
            {.position = prompt.rows(), .parent = own});
    for (int64_t row = first; row < run.count; ++row) run.wanted.push_back(row);
  }
}

/// Reads the log probabilities of the choices off the wanted rows.
std::vector<TokenLogs> read_logs(const Tensor& logs, std::span<const PlannedPrompt> prompts) {
  std::vector<TokenLogs> found;
  int64_t row = 0;
  for (const PlannedPrompt& prompt : prompts) {
    const int64_t last = row++;
    TokenLogs of_choices;
    for (const std::vector<int64_t>& answer : prompt.answers) {
      std::vector<double> tokens;
      for (std::size_t k = 0; k < answer.size(); ++k)
        tokens.push_back(logs[k == 0 ? last : row++][answer[k]].item<double>());
      of_choices.push_back(std::move(tokens));
    }
    found.push_back(std::move(of_choices));
  }
  return found;
}

}  // namespace

std::vector<TokenLogs> Vlm::State::answer_logs(std::span<const PlannedPrompt> asked, bool keep) const {
  const c10::InferenceMode no_gradient;
  int64_t longest = 0;
  for (const PlannedPrompt& prompt : asked) longest = std::max(longest, prompt.rows() + prompt.longest_answer());
  const bool long_factors = decoder->long_factors(longest);
  std::vector<Placed> placed(asked.size());
  std::vector<PlannedPrompt> shared;
  std::vector<std::pair<PromptKey, KeysValues>> made;  // to be kept, once they are whole
  shared.reserve(asked.size());
  made.reserve(2 * asked.size());
  Run run;
  const auto to_keep = [&](const PromptKey& key, KeysValues begun) -> KeysValues* {
    if (!keep) return nullptr;
    made.emplace_back(key, std::move(begun));
    return &made.back().second;
  };
  for (std::size_t k = 0; k < asked.size();) {
    const PlannedPrompt& prompt = asked[k];
    const auto kept = keep ? prefixes.find(prompt.key, long_factors) : nullptr;
    const int64_t common = kept ? usable(prompt, common_rows(kept->key, prompt.key)) : 0;
    if (common >= kLeastKept) {
      placed[k] = {kept, kept->rows.first(common), common, -1};
      counts.prefix_rows += common;
      KeysValues* into = nullptr;
      if (common < prompt.rows() / 2 && (into = to_keep(prompt.key, placed[k].behind))) placed[k].behind = *into;
      add_prompt(*this, prompt, placed[k], into, run);
      ++k;
      continue;
    }
    const auto [end, rows] = shared_from(asked, k);
    if (end == k + 1) {
      add_prompt(*this, prompt, placed[k], to_keep(prompt.key, {}), run);
      ++k;
      continue;
    }
    shared.push_back(first_rows(prompt, rows));
    const int64_t stretch = run.add(embedded(shared.back(), 0), {.into = to_keep(shared.back().key, {})});
    for (; k < end; ++k) {
      placed[k].from = rows;
      placed[k].shared = stretch;
      add_prompt(*this, asked[k], placed[k], nullptr, run);
    }
  }
  const Tensor x = run.rows.size() == 1 ? run.rows[0] : at::cat(run.rows);
  counts.decoder_rows += run.count;
  const Tensor logits = decoder->logits(decoder->run(x, run.stretches, run.wanted, long_factors));
  const int64_t bad = first_not_finite(logits);
  if (bad >= 0) throw NotFinite(text_of("[", name, "] the logits of row ", bad, " are not finite"));
  for (auto& [key, rows] : made) prefixes.put(std::move(key), std::move(rows));
  return read_logs(at::log_softmax(logits, -1, at::kDouble), asked);
}

void check_choices(std::span<const std::string> choices, const ChooseOptions& options) {
  require(options.length == "sum" || options.length == "mean", "[choose] length \"", options.length,
          "\" is neither sum nor mean");
  require(!choices.empty(), "[choose] no choices");
  std::set<std::string_view> seen;
  for (const std::string& choice : choices) {
    require(!choice.empty(), "[choose] a choice is empty");
    require(seen.insert(choice).second, "[choose] the choice \"", choice, "\" is there twice");
  }
}

namespace {

void check_first_tokens(const PlannedPrompt& prompt, std::span<const std::string> choices) {
  for (std::size_t a = 0; a < choices.size(); ++a)
    for (std::size_t b = a + 1; b < choices.size(); ++b)
      require(prompt.answers[a][0] != prompt.answers[b][0], "[choose] first_token: \"", choices[a], "\" and \"",
              choices[b], "\" begin with the same token");
}

PlannedPrompt planned(const Vlm::State& vlm, std::span<const Image> images, const std::string& prompt,
                      std::span<const std::string> choices, const ChooseOptions& options) {
  check_choices(choices, options);
  VlmAsked asked = asked_of(images, prompt, options.prompt);
  asked.choices = {choices.begin(), choices.end()};
  PlannedPrompt plan = vlm.plan("choose", asked, 0);
  if (options.first_token) {
    check_first_tokens(plan, choices);
    for (auto& ids : plan.answers) ids.resize(1);
  }
  return plan;
}

}  // namespace

Choice choice_of(const TokenLogs& logs, const ChooseOptions& options) {
  Choice choice;
  for (const std::vector<double>& tokens : logs) {
    const double sum = std::accumulate(tokens.begin(), tokens.end(), 0.0);
    choice.coverage += std::exp(sum);
    choice.log_probabilities.push_back(options.length == "mean" ? sum / static_cast<double>(tokens.size()) : sum);
  }
  const double most = *std::ranges::max_element(choice.log_probabilities);
  double total = 0;
  for (const double l : choice.log_probabilities) total += std::exp(l - most);
  for (const double l : choice.log_probabilities) choice.probabilities.push_back(std::exp(l - most) / total);
  choice.best = std::ranges::max_element(choice.log_probabilities) - choice.log_probabilities.begin();
  return choice;
}

Choice Vlm::choose(std::span<const Image> images, const std::string& prompt, std::span<const std::string> choices,
                   const ChooseOptions& options) const {
  const PlannedPrompt plan = planned(*state_, images, prompt, choices, options);
  const std::lock_guard lock(state_->mutex);
  return choice_of(state_->answer_logs({&plan, 1}, options.kept_prefixes)[0], options);
}

std::vector<Choice> Vlm::choose_many(std::span<const VlmItem> items, const ChooseOptions& options,
                                     const Progress& progress) const {
  std::vector<PlannedPrompt> plans;
  for (const VlmItem& item : items) plans.push_back(planned(*state_, item.images, item.prompt, item.choices, options));
  std::vector<Choice> choices;
  const std::lock_guard lock(state_->mutex);
  for (std::size_t first = 0; first < plans.size();) {
    std::size_t end = first;
    for (int64_t rows = 0; end < plans.size() && (end == first || rows + plans[end].rows() <= kRowsOfRun); ++end)
      rows += plans[end].rows();
    for (const TokenLogs& logs : state_->answer_logs(std::span(plans).subspan(first, end - first), options.kept_prefixes))
      choices.push_back(choice_of(logs, options));
    first = end;
    if (progress) progress(static_cast<int64_t>(first), static_cast<int64_t>(plans.size()));
  }
  return choices;
}

}  // namespace unisim
