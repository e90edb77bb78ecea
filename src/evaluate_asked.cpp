#include "evaluate_asked.h"

#include <unisim/error.h>
#include <unisim/not_finite.h>

#include <algorithm>
#include <set>

#include "asking.h"
#include "evaluate_reading.h"
#include "seeded.h"
#include "sha256.h"

namespace unisim {
namespace {

std::string content_of(const Task& task, const Operand& operand) {
  if (const Picture* picture = std::get_if<Picture>(&operand)) return "picture " + task.files().at(picture->path).sha256;
  return "text " + sha256(std::get<Text>(operand).text);
}

std::vector<Operand> operands_of(const TaskItem& item) {
  std::vector<Operand> operands;
  if (item.reference) operands.push_back(*item.reference);
  operands.insert(operands.end(), item.candidates.begin(), item.candidates.end());
  return operands;
}

/// Everything that decides an item's judgement besides the metric; of an example its label too.
std::string content_of(const Task& task, const TaskItem& item, bool example) {
  std::string said = text_of("item\n", name_of(task.question()), ' ', task.attribute(), '\n');
  for (const Operand& operand : operands_of(item)) said += content_of(task, operand) + "\n";
  return sha256(example ? text_of(said, "label ", item.label) : said);
}

/// The item with its operands read, or why not: the first of them that cannot be.
struct ItemRead {
  AskedItem asked = {};
  std::string error = {};
};

ItemRead read_item(const Task& task, const TaskItem& item, Decoded& decoded, std::size_t first) {
  ItemRead read{.asked = {.question = task.question(), .attribute = task.attribute(), .label = item.label}};
  const std::size_t count = operands_of(item).size();
  for (std::size_t k = 0; k < count; ++k) {
    const auto operand = decoded.of(first + k);
    if (!operand->item) return {.error = operand->error};
    if (k == 0 && item.reference)
      read.asked.reference = *operand->item;
    else
      read.asked.candidates.push_back(*operand->item);
  }
  return read;
}

/// Places of items that share no picture with the task that is scored, label by label, in an order of the seed's.
std::vector<std::vector<std::size_t>> by_label(const Task& from, const Task& scored, uint64_t seed) {
  std::set<std::string> taken;
  for (const auto& [path, file] : scored.files()) taken.insert(file.sha256);
  const auto is_free = [&](const TaskItem& item) {
    return std::ranges::none_of(operands_of(item), [&](const Operand& operand) {
      const Picture* picture = std::get_if<Picture>(&operand);
      return picture && taken.contains(from.files().at(picture->path).sha256);
    });
  };
  std::vector<std::vector<std::size_t>> places(from.items().empty() ? 0 : from.items()[0].candidates.size());
  for (std::size_t k = 0; k < from.items().size(); ++k)
    if (is_free(from.items()[k])) places[static_cast<std::size_t>(from.items()[k].label)].push_back(k);
  Seeded random(seed);
  for (auto& of_label : places)
    for (std::size_t k = of_label.size(); k > 1; --k) std::swap(of_label[k - 1], of_label[random.below(k)]);
  return places;
}

std::vector<AskedItem> examples_for(const Task& task, const Metric::State& metric, const EvaluateOptions& options,
                                    Evaluation& evaluation) {
  std::vector<AskedItem> examples;
  const int64_t shots = metric.asking.shots;
  if (shots == 0) return examples;
  require(options.examples, "[evaluate] ", metric.name, " wants ", shots,
          " solved items before each: give examples, a task that shares no picture with ", task.name());
  const Task& from = *options.examples;
  require(from.question() == task.question() && from.attribute() == task.attribute(), "[evaluate] the examples are of ",
          name_of(from.question()), ' ', from.attribute(), ", the task is ", name_of(task.question()), ' ',
          task.attribute());
  const auto places = by_label(from, task, metric.asking.seed);
  for (int64_t k = 0; k < shots; ++k) {
    const std::size_t label = static_cast<std::size_t>(k) % places.size();
    const std::size_t round = static_cast<std::size_t>(k) / places.size();
    require(round < places[label].size(), "[evaluate] of the examples only ", places[label].size(),
            " with the answer ", kLetters[label], " share no picture with ", task.name(), ", ", shots, " shots want ",
            round + 1);
    const TaskItem& item = from.items()[places[label][round]];
    const std::vector<Operand> operands = operands_of(item);
    const EvaluateOptions reading{.decode = options.decode};
    const Reader reader(from, operands, reading);
    Decoded decoded(reader);
    ItemRead read = read_item(from, item, decoded, 0);
    require(read.error.empty(), "[evaluate] an example cannot be read: ", read.error);
    examples.push_back(std::move(read.asked));
    evaluation.examples.push_back(content_of(from, item, true));
  }
  return examples;
}

ItemResult result_of(const Judgement& judgement) {
  ItemResult result{.scores = {judgement.scores.begin(), judgement.scores.end()}};
  result.asked = AskedFacts{judgement.coverage, judgement.bias, judgement.replies, judgement.unparsable};
  return result;
}

/// The judgement, or why there is none.
std::pair<std::optional<Judgement>, std::string> judge(const Metric::State& metric, const AskedItem& item,
                                                       std::span<const AskedItem> examples) {
  try {
    return {metric.judge(item, examples), ""};
  } catch (const std::invalid_argument& error) {
    return {std::nullopt, error.what()};
  } catch (const NotFinite& error) {
    return {std::nullopt, error.what()};
  }
}

}  // namespace

void ask_items(const Task& task, const Metric& metric, const EvaluateOptions& options, const Unreadable& unreadable,
               Evaluation& evaluation) {
  const Metric::State& state = metric.state();
  const std::vector<AskedItem> examples = examples_for(task, state, options, evaluation);
  std::vector<Operand> operands;
  std::vector<std::size_t> first;
  for (const TaskItem& item : task.items()) {
    first.push_back(operands.size());
    for (Operand& operand : operands_of(item)) operands.push_back(std::move(operand));
  }
  const Reader reader(task, operands, options);
  Decoded decoded(reader);
  Kept kept(options.store, state);
  const std::string behind = sha256(text_of("examples", [&] {
    std::string all;
    for (const std::string& example : evaluation.examples) all += " " + example;
    return all;
  }()));
  const auto result_at = [&](std::size_t k) -> ItemResult {
    const TaskItem& item = task.items()[k];
    if (!unreadable.empty())
      if (std::string error = unread(task, item, unreadable); !error.empty()) return {.error = std::move(error)};
    const std::string content = sha256(content_of(task, item, false) + behind);
    const auto stored = kept.row(content);
    if (const auto known = stored ? judgement_of(*stored) : std::nullopt) {
      ++evaluation.found;
      return result_of(*known);
    }
    const ItemRead read = read_item(task, item, decoded, first[k]);
    if (!read.error.empty())
      for (std::size_t o = first[k]; o < first[k] + operands_of(item).size(); ++o)
        if (const auto operand = decoded.of(o); !operand->item) reader.failed(o, operand->error, evaluation);
    auto [judgement, error] = read.error.empty() ? judge(state, read.asked, examples)
                                                 : std::pair(std::optional<Judgement>(), read.error);
    ++evaluation.computed;
    if (!judgement) return {.error = error};
    kept.put(content, row_of(*judgement));
    kept.commit();
    return result_of(*judgement);
  };
  const auto total = std::ssize(task.items());
  for (std::size_t k = 0; k < task.items().size(); ++k) {
    evaluation.items.push_back(result_at(k));
    if (options.progress) options.progress(static_cast<int64_t>(k) + 1, total);
  }
}

}  // namespace unisim
