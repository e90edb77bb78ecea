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
constexpr int64_t kRowsOfRun = 4096;   ///< of the prompts of one run, what they share counted once
constexpr int64_t kRowsOfHead = 32;    ///< as wide as the vocabulary, in double

/// Where a prompt's rows come from.
struct Placed {
  std::shared_ptr<KeptPrefixes::Entry> kept;  ///< held, so that it stays
  KeysValues behind;                          ///< the first `from` rows of it
  int64_t from = 0;                           ///< rows that are not computed for this prompt
  int64_t shared = -1;                        ///< or are, in this stretch, for several
  const KeysValues* seen = nullptr;           ///< `behind`, or that of the prompt before: seen as one, they are one product
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
  const Stretch stretch{.position = placed.from, .behind = placed.seen, .parent = placed.shared, .into = into};
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

/// Fills in the log probabilities of the tokens of each choice: each is read off a row of those wanted, a few rows at a
/// time, since one is as wide as the vocabulary.
std::vector<TokenLogs> read_logs(const Vlm::State& vlm, const Tensor& normed, std::span<const PlannedPrompt> prompts) {
  struct Sought {
    int64_t row, id;
    double* into;
  };
  std::vector<TokenLogs> found(prompts.size());
  std::vector<Sought> sought;
  int64_t row = 0;
  for (std::size_t p = 0; p < prompts.size(); ++p) {
    const int64_t last = row++;
    found[p].resize(prompts[p].answers.size());
    for (std::size_t c = 0; c < found[p].size(); ++c) {
      const std::vector<int64_t>& answer = prompts[p].answers[c];
      found[p][c].resize(answer.size());
      for (std::size_t k = 0; k < answer.size(); ++k)
        sought.push_back({k == 0 ? last : row++, answer[k], &found[p][c][k]});
    }
  }
  std::ranges::stable_sort(sought, {}, &Sought::row);
  auto next = sought.begin();
  for (int64_t first = 0; first < normed.size(0); first += kRowsOfHead) {
    const int64_t end = std::min(first + kRowsOfHead, normed.size(0));
    const Tensor logits = vlm.decoder->logits(normed.slice(0, first, end));
    const int64_t bad = first_not_finite(logits);
    if (bad >= 0) throw NotFinite(text_of("[", vlm.name, "] the logits of a prompt or choice are not finite"));
    const Tensor logs = at::log_softmax(logits, -1, at::kDouble).cpu();
    const auto values = logs.accessor<double, 2>();
    for (; next != sought.end() && next->row < end; ++next) *next->into = values[next->row - first][next->id];
  }
  return found;
}

/// Rows of prompt `k` that it need not have computed beside the prompt before it: both begin with them, by the rule of
/// shared_from or because they are kept.
int64_t spared(std::span<const PlannedPrompt> prompts, std::size_t k) {
  const PlannedPrompt& before = prompts[k - 1];
  const int64_t common = usable(prompts[k], common_rows(before.key, prompts[k].key));
  return common < std::max(kLeastShared, before.rows() / 2) ? 0 : common;
}

/// Prompts from `first` on that make one run: of the same rotary factors, and not too many rows.
std::size_t end_of_run(const Vlm::State& vlm, std::span<const PlannedPrompt> prompts, std::size_t first) {
  const auto long_factors = [&](const PlannedPrompt& prompt) {
    return vlm.decoder->long_factors(prompt.rows() + prompt.longest_answer());
  };
  int64_t rows = prompts[first].rows();
  std::size_t end = first + 1;
  while (end < prompts.size() && long_factors(prompts[end]) == long_factors(prompts[first]) &&
         (rows += prompts[end].rows() - spared(prompts, end)) <= kRowsOfRun)
    ++end;
  return end;
}

}  // namespace

std::vector<TokenLogs> Vlm::State::answer_logs(std::span<const PlannedPrompt> asked, bool keep,
                                               const Progress& progress) const {
  std::vector<TokenLogs> found;
  for (std::size_t first = 0; first < asked.size();) {
    const std::size_t end = end_of_run(*this, asked, first);
    {
      const std::lock_guard lock(mutex);
      for (TokenLogs& logs : run_of(asked.subspan(first, end - first), keep)) found.push_back(std::move(logs));
    }
    first = end;
    if (progress) progress(static_cast<int64_t>(first), std::ssize(asked));
  }
  return found;
}

std::vector<TokenLogs> Vlm::State::run_of(std::span<const PlannedPrompt> asked, bool keep) const {
  const c10::InferenceMode no_gradient;
  const bool long_factors = decoder->long_factors(asked[0].rows() + asked[0].longest_answer());
  std::vector<Placed> placed(asked.size());
  std::vector<PlannedPrompt> shared;
  std::vector<std::pair<PromptKey, KeysValues>> made;  // to be kept, once they are whole
  shared.reserve(asked.size());
  made.reserve(2 * asked.size());
  Run run;
  const auto to_keep = [&](const PromptKey& key, KeysValues begun) -> KeysValues* {
    if (!keep || !prefixes.takes(bytes_of_rows(std::ssize(key)))) return nullptr;
    made.emplace_back(key, std::move(begun));
    return &made.back().second;
  };
  for (std::size_t k = 0; k < asked.size();) {
    const PlannedPrompt& prompt = asked[k];
    const auto kept = keep ? prefixes.find(prompt.key, long_factors) : nullptr;
    const int64_t common = kept ? usable(prompt, common_rows(kept->key, prompt.key)) : 0;
    if (common >= kLeastKept || (common > 0 && common == prompt.rows() - 1)) {
      placed[k].kept = kept;
      placed[k].from = common;
      counts.prefix_rows += common;
      KeysValues* into = nullptr;
      if (k > 0 && placed[k - 1].kept == kept && placed[k - 1].from == common) {
        placed[k].seen = placed[k - 1].seen;
      } else {
        placed[k].behind = kept->rows.first(common);
        placed[k].seen = &placed[k].behind;
      }
      if (common < prompt.rows() / 2) into = to_keep(prompt.key, *placed[k].seen);
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
  std::vector<TokenLogs> found = read_logs(*this, decoder->run(x, run.stretches, run.wanted, long_factors), asked);
  for (auto& [key, rows] : made) prefixes.put(std::move(key), std::move(rows));
  return found;
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

/// Two texts may be one to the tokenizer: a letter composed and decomposed.
void check_ids(const PlannedPrompt& prompt, std::span<const std::string> choices) {
  for (std::size_t a = 0; a < choices.size(); ++a)
    for (std::size_t b = a + 1; b < choices.size(); ++b)
      require(prompt.answers[a] != prompt.answers[b], "[choose] the choices \"", choices[a], "\" and \"", choices[b],
              "\" are the same tokens");
}

/// Whether another choice is the beginning of this one: then whoever says this says that.
bool goes_on(const PlannedPrompt& prompt, std::size_t choice) {
  const std::vector<int64_t>& ids = prompt.answers[choice];
  return std::ranges::any_of(prompt.answers, [&](const std::vector<int64_t>& other) {
    return other.size() < ids.size() && std::ranges::equal(other, std::span(ids).first(other.size()));
  });
}

PlannedPrompt planned(const Vlm::State& vlm, std::span<const Image> images, const VlmWords& prompt,
                      std::span<const std::string> choices, const ChooseOptions& options) {
  check_choices(choices, options);
  VlmAsked asked = asked_of(images, prompt, options.prompt);
  asked.choices = {choices.begin(), choices.end()};
  PlannedPrompt plan = vlm.plan_to_run("choose", asked, 0);
  check_ids(plan, choices);
  if (options.first_token) {
    check_first_tokens(plan, choices);
    for (auto& ids : plan.answers) ids.resize(1);
  }
  return plan;
}

}  // namespace

Choice choice_of(const PlannedPrompt& prompt, const TokenLogs& logs, const ChooseOptions& options) {
  Choice choice;
  for (std::size_t c = 0; c < logs.size(); ++c) {
    const std::vector<double>& tokens = logs[c];
    const double sum = std::accumulate(tokens.begin(), tokens.end(), 0.0);
    if (!goes_on(prompt, c)) choice.coverage += std::exp(sum);
    choice.log_probabilities.push_back(options.length == "mean" ? sum / static_cast<double>(tokens.size()) : sum);
  }
  const double most = *std::ranges::max_element(choice.log_probabilities);
  double total = 0;
  for (const double l : choice.log_probabilities) total += std::exp(l - most);
  for (const double l : choice.log_probabilities) choice.probabilities.push_back(std::exp(l - most) / total);
  choice.best = std::ranges::max_element(choice.log_probabilities) - choice.log_probabilities.begin();
  return choice;
}

Choice Vlm::choose(std::span<const Image> images, const VlmWords& prompt, std::span<const std::string> choices,
                   const ChooseOptions& options) const {
  const PlannedPrompt plan = planned(*state_, images, prompt, choices, options);
  return choice_of(plan, state_->answer_logs({&plan, 1}, options.kept_prefixes)[0], options);
}

std::vector<Choice> Vlm::choose_many(std::span<const VlmItem> items, const ChooseOptions& options,
                                     const Progress& progress) const {
  std::vector<PlannedPrompt> plans;
  for (std::size_t k = 0; k < items.size(); ++k) try {
      plans.push_back(planned(*state_, items[k].images, items[k].prompt, items[k].choices, options));
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(text_of("item ", k, ": ", error.what()));
    }
  const std::vector<TokenLogs> logs = state_->answer_logs(plans, options.kept_prefixes, progress);
  std::vector<Choice> choices;
  for (std::size_t k = 0; k < plans.size(); ++k) choices.push_back(choice_of(plans[k], logs[k], options));
  return choices;
}

}  // namespace unisim
