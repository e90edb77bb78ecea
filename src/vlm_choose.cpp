#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "vlm_state.h"

/// Vlm::choose and choose_many: what is asked and what comes of the log probabilities that vlm_runs.cpp computes.
namespace unisim {

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
