#pragma once

#include <unisim/task.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metric_state.h"
#include "models/prompt.h"

/// Items of a task as questions to a vision-language model, and its answers as scores.
namespace unisim {

/// One item of a task with its operands at hand.
struct AskedItem {
  Question question = Question::Img2afc;
  std::string attribute = {};
  std::optional<Item> reference = {};
  std::vector<Item> candidates = {};
  int64_t label = 0;  ///< of an example
};

/// What became of it. float32, so that a stored judgement is the computed one to the bit.
struct Judgement {
  std::vector<float> scores = {};  ///< of each candidate, higher is better; mean over the orders asked
  float coverage = 1;              ///< probability of all letters together, mean over the orders; mode text: 1
  float bias = 0;                  ///< n / (n - 1) (mean share of the first letter - 1 / n): 0 without a lean
  std::optional<int64_t> unparsable = {};  ///< mode text: of the answers, how many name no option
  std::vector<std::string> replies = {};  ///< what the model wrote, for each order; mode probability without reason: none
};

/// The letters of the options.
inline constexpr std::string_view kLetters[] = {"A", "B", "C"};

/// A question with its candidates in the order given: its words, and its pictures in the order of the markers.
struct QuestionAsked {
  PromptParts prompt = {};
  std::vector<const Image*> images = {};
};
/// By the verbatim prompts of UniSim-Bench (3b). `order` are places in item.candidates.
QuestionAsked question_of(const AskedItem& item, std::span<const std::size_t> order);
/// The question without its options, asking for the visible differences; and what asks for the letter behind the reply.
QuestionAsked reasons_of(const AskedItem& item, std::span<const std::size_t> order);
std::string letter_question(const AskedItem& item);
/// VQAScore's question.
PromptParts shows_question(const std::string& text);

/// The place that a written answer names, by the published string rules, quirks kept: whatever is not the first (of three:
/// the first or second) is the last.
std::size_t place_said(Question question, std::string_view answer);
/// Whether what these rules read of an answer names any option at all, by its letter, its number or its side.
bool says_a_place(Question question, std::string_view answer);

/// The calls of Metric for one that is asked. `shares_of`: of each candidate the mean, over all pairs, of the probability that
/// it is the better one. std::invalid_argument for candidates that no question is about (an image's and a text's at once).
std::vector<double> shares_of(const Metric::State& metric, const Item& reference, std::span<const Item> candidates,
                              const Progress& progress);
int64_t odd_by_asking(const Metric::State& metric, std::span<const Item> items);
std::vector<double> attribute_by_asking(const Metric::State& metric, std::span<const Image> images,
                                        const std::string& attribute);

/// A judgement as a row of numbers for a Store, texts byte by byte; and back. Nothing if it is none.
std::vector<float> row_of(const Judgement& judgement);
std::optional<Judgement> judgement_of(std::span<const float> row);

}  // namespace unisim
