#include <unisim/error.h>

#include <algorithm>

#include "asking.h"

namespace unisim {
namespace {

/// Without evaluate() there is nobody to take examples from.
Judgement judged(const Metric::State& metric, const AskedItem& item) {
  require(metric.asking.shots == 0, "[", metric.name,
          "] shots are solved items of a task: evaluate with examples, or ask with shots=0");
  return metric.judge(item, {});
}

Question question_about(const Metric::State& metric, const Item& reference, std::span<const Item> candidates) {
  const bool text = std::holds_alternative<Text>(reference);
  const auto texts = std::ranges::count_if(candidates, [](const Item& c) { return std::holds_alternative<Text>(c); });
  require(texts == 0 || (!text && texts == std::ssize(candidates)), "[", metric.name,
          "] asks which image is like an image or fits a text, or which text fits an image; found ",
          text ? "a text" : "an image", " as reference and ", texts, " texts among ", candidates.size(), " candidates");
  return text ? Question::It2afc : texts > 0 ? Question::Text2afc : Question::Img2afc;
}

}  // namespace

std::vector<double> shares_of(const Metric::State& metric, const Item& reference, std::span<const Item> candidates,
                              const Progress& progress) {
  const auto n = std::ssize(candidates);
  const Question question = question_about(metric, reference, candidates);
  if (n == 1) return {1.0};
  std::vector<double> shares(candidates.size());
  int64_t done = 0;
  for (std::size_t a = 0; a < candidates.size(); ++a)
    for (std::size_t b = a + 1; b < candidates.size(); ++b) {
      const Judgement judgement =
          judged(metric, {.question = question, .reference = reference, .candidates = {candidates[a], candidates[b]}});
      shares[a] += double{judgement.scores[0]} / static_cast<double>(n - 1);
      shares[b] += double{judgement.scores[1]} / static_cast<double>(n - 1);
      if (progress) progress(++done, n * (n - 1) / 2);
    }
  return shares;
}

int64_t odd_by_asking(const Metric::State& metric, std::span<const Item> items) {
  require(items.size() == 3, "[", metric.name, "] is asked about three images at a time, found ", items.size());
  for (const Item& item : items)
    require(std::holds_alternative<Image>(item), "[", metric.name, "] odd_one_out is asked of images alone");
  const Judgement judgement = judged(metric, {.question = Question::Ooo, .candidates = {items.begin(), items.end()}});
  return std::ranges::max_element(judgement.scores) - judgement.scores.begin();
}

std::vector<double> attribute_by_asking(const Metric::State& metric, std::span<const Image> images,
                                        const std::string& attribute) {
  require(images.size() == 2, "[", metric.name, "] is asked which of two images has more ", attribute, ", found ",
          images.size());
  const Question question = attribute == "quality" ? Question::Iqa : Question::Paa;
  const Judgement judgement =
      judged(metric, {.question = question, .attribute = attribute, .candidates = {images[0], images[1]}});
  return {judgement.scores.begin(), judgement.scores.end()};
}

}  // namespace unisim
