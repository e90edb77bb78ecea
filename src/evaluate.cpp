#include <unisim/task.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <ostream>

#include "evaluate_asked.h"
#include "evaluate_scores.h"

namespace unisim {
namespace {

constexpr double kConfidence = 0.95;

bool needs_text(Question question) {
  return question == Question::It2afc || question == Question::Text2afc || question == Question::Iqa ||
         question == Question::Paa;
}

/// From the scores of an item's pairs to one of each candidate.
std::vector<double> candidate_scores(const Task& task, const std::string& mode, std::vector<double> of_pairs) {
  if (task.attribute().empty() || mode == "naive") return of_pairs;
  std::vector<double> shares;
  for (std::size_t k = 0; k + 1 < of_pairs.size(); k += 2) shares.push_back(share_of(of_pairs[k], of_pairs[k + 1]));
  return shares;
}

void choose(const TaskItem& item, bool higher_is_better, ItemResult& result) {
  const auto better = [&](double a, double b) { return higher_is_better ? a > b : a < b; };
  std::size_t best = 0;
  for (std::size_t k = 1; k < result.scores.size(); ++k)
    if (better(result.scores[k], result.scores[best])) best = k;
  result.tied = std::ranges::count(result.scores, result.scores[best]) > 1;
  result.chosen = static_cast<int64_t>(best);
  result.right = result.chosen == item.label;
}

/// Places of the database, best first; equal scores in the order of the database.
std::vector<int64_t> ranked(const std::vector<double>& scores, bool higher_is_better) {
  std::vector<int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) {
    const double x = scores[static_cast<std::size_t>(a)], y = scores[static_cast<std::size_t>(b)];
    return higher_is_better ? x > y : x < y;
  });
  return order;
}

/// Medium: easy and hard are sought. Hard: hard alone, easy passed over. NaN where nothing is sought.
void retrieve(const TaskItem& item, bool higher_is_better, ItemResult& result) {
  const std::vector<int64_t> order = ranked(result.scores, higher_is_better);
  std::vector<int64_t> both = item.easy, passed = item.junk;
  both.insert(both.end(), item.hard.begin(), item.hard.end());
  passed.insert(passed.end(), item.easy.begin(), item.easy.end());
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  result.scores = {average_precision(order, both, item.junk).value_or(none),
                   average_precision(order, item.hard, passed).value_or(none)};
}

ItemResult result_of(const Task& task, const Evaluation& evaluation, const TaskItem& item,
                     const std::vector<std::size_t>& needs, const std::vector<PairScore>& scores) {
  ItemResult result;
  for (const std::size_t pair : needs) {
    if (!scores[pair].error.empty()) return {.error = scores[pair].error};
    result.scores.push_back(scores[pair].score);
  }
  if (task.question() == Question::Ir) {
    retrieve(item, evaluation.higher_is_better, result);
  } else {
    result.scores = candidate_scores(task, evaluation.mode, std::move(result.scores));
    choose(item, evaluation.higher_is_better, result);
  }
  return result;
}

void finish(Tally& tally) {
  if (tally.n == 0) return;
  tally.accuracy = static_cast<double>(tally.right) / static_cast<double>(tally.n);
  tally.interval = wilson_interval(tally.right, tally.n, kConfidence);
}

void count(const ItemResult& result, Tally& tally) {
  ++tally.n;
  tally.right += result.right;
  tally.ties += result.tied;
}

void tally(const Task& task, Evaluation& evaluation) {
  double votes = 0;
  bool all_voted = !task.items().empty();
  for (std::size_t k = 0; k < evaluation.items.size(); ++k) {
    const TaskItem& item = task.items()[k];
    const ItemResult& result = evaluation.items[k];
    if (!result.error.empty()) continue;
    count(result, evaluation.all);
    if (!item.group.empty()) {
      auto group = std::ranges::find(evaluation.groups, item.group, &Tally::group);
      if (group == evaluation.groups.end()) group = evaluation.groups.insert(group, {.group = item.group});
      count(result, *group);
    }
    all_voted = all_voted && item.vote.has_value();
    if (item.vote) votes += result.tied ? 0.5 : result.chosen == 1 ? *item.vote : 1 - *item.vote;
  }
  finish(evaluation.all);
  for (Tally& group : evaluation.groups) finish(group);
  if (all_voted && evaluation.all.n > 0) evaluation.votes = votes / static_cast<double>(evaluation.all.n);
}

/// The mean over the queries that seek anything, with its interval.
void mean_precision(const Evaluation& evaluation, std::size_t which, std::optional<double>& mean, Interval& interval) {
  std::vector<double> precisions;
  for (const ItemResult& item : evaluation.items)
    if (item.error.empty() && !std::isnan(item.scores[which])) precisions.push_back(item.scores[which]);
  if (precisions.empty()) return;
  mean = std::accumulate(precisions.begin(), precisions.end(), 0.0) / static_cast<double>(precisions.size());
  interval = precisions.size() > 1 ? bootstrap_interval(precisions) : Interval{*mean, *mean};
}

}  // namespace

std::string unread(const Task& task, const TaskItem& item, const Unreadable& unreadable) {
  const auto why = [&](const std::string& path) {
    const auto found = unreadable.find(path);
    return found == unreadable.end() ? std::string() : found->second;
  };
  std::vector<Operand> operands = item.candidates;
  if (item.reference) operands.push_back(*item.reference);
  for (const std::string& path : task.database()) operands.push_back(Picture{path});
  for (const Operand& operand : operands)
    if (const Picture* picture = std::get_if<Picture>(&operand))
      if (std::string error = why(picture->path); !error.empty()) return error;
  return "";
}

void require_able(const Task& task, const Metric& metric) {
  const Metric::State& state = metric.state();
  const std::string what = text_of("[evaluate] ", state.name, " cannot do ", name_of(task.question()), " (", task.name(), "): ");
  if (state.judge) {
    require(task.question() != Question::Ir, what, "it compares two or three at a time");
    for (const Metric& tool : state.tools) require_able(task, tool);
    return;
  }
  require(!needs_text(task.question()) || state.no_text.empty(), what, state.no_text);
  require(needs_text(task.question()) || state.no_images.empty(), what, state.no_images);
  require(task.attribute().empty() || static_cast<bool>(state.attribute), what, "it rates pairs alone");
}

Evaluation evaluate(const Task& task, const Metric& metric, const EvaluateOptions& options) {
  require_able(task, metric);
  Evaluation evaluation{.task = task.name(), .metric = metric.name(), .manifest = task.manifest(),
                        .measure = task.measure(), .higher_is_better = metric.higher_is_better(),
                        .model = metric.model()};
  if (!task.attribute().empty() && !metric.state().judge) evaluation.mode = options.mode;
  const Unreadable unreadable = unreadable_pictures(task);
  for (const auto& [path, error] : unreadable) evaluation.failures.push_back({task.file_of(path), error});
  if (metric.state().judge) {
    ask_items(task, metric, options, unreadable, evaluation);
    for (std::size_t k = 0; k < task.items().size(); ++k)
      if (evaluation.items[k].error.empty()) choose(task.items()[k], true, evaluation.items[k]);
    tally(task, evaluation);
    return evaluation;
  }
  const AskedPairs asked = asked_pairs(task, options.mode, unreadable);
  const std::vector<PairScore> scores = scores_of(task, metric, asked, options, evaluation);
  for (std::size_t k = 0; k < task.items().size(); ++k) {
    const TaskItem& item = task.items()[k];
    std::string error = unreadable.empty() ? "" : unread(task, item, unreadable);
    evaluation.items.push_back(error.empty() ? result_of(task, evaluation, item, asked.of_item[k], scores)
                                             : ItemResult{.error = std::move(error)});
  }
  if (task.question() == Question::Ir) {
    evaluation.all.n = std::ranges::count_if(evaluation.items, [](const auto& item) { return item.error.empty(); });
    mean_precision(evaluation, 0, evaluation.map_medium, evaluation.medium_interval);
    mean_precision(evaluation, 1, evaluation.map_hard, evaluation.hard_interval);
  } else {
    tally(task, evaluation);
  }
  return evaluation;
}

std::ostream& operator<<(std::ostream& out, const Evaluation& evaluation) {
  out << evaluation.task << ", " << evaluation.metric << ": ";
  if (evaluation.measure == "map")
    return out << "mAP medium " << evaluation.map_medium.value_or(0) << ", hard " << evaluation.map_hard.value_or(0)
               << " of " << evaluation.all.n << " queries\n";
  return out << evaluation.all.right << " of " << evaluation.all.n << " right, " << evaluation.all.accuracy << " ["
             << evaluation.all.interval.low << ", " << evaluation.all.interval.high << "], ties "
             << evaluation.all.ties << '\n';
}

}  // namespace unisim
