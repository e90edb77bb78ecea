#include <unordered_map>

#include "attribute.h"
#include "evaluate_scores.h"
#include "sha256.h"

namespace unisim {
namespace {

/// Numbers operands and pairs as they are first asked for.
class Numbering {
 public:
  Numbering(const Task& task, const Unreadable& unreadable, AskedPairs& asked)
      : task_(task), unreadable_(unreadable), asked_(asked) {}

  std::size_t operand(const Operand& operand) {
    std::string content = content_of(operand);
    const auto [place, is_new] = operands_.emplace(content, asked_.operands.size());
    if (is_new) {
      asked_.operands.push_back(operand);
      asked_.contents.push_back(std::move(content));
    } else if (is_unreadable(asked_.operands[place->second])) {
      asked_.operands[place->second] = operand;  // the same content by another path
    }
    return place->second;
  }

  std::size_t pair(std::size_t x, std::size_t y) {
    const auto [place, is_new] = pairs_.emplace(uint64_t{x} << 32 | y, asked_.pairs.size());
    if (is_new) asked_.pairs.push_back({x, y});
    return place->second;
  }
  std::size_t pair(const Operand& x, const Operand& y) {
    const std::size_t first = operand(x);
    return pair(first, operand(y));
  }

 private:
  /// A text has a key of its own, whatever file holds the same letters.
  std::string content_of(const Operand& operand) const {
    if (const Picture* picture = std::get_if<Picture>(&operand)) return task_.files().at(picture->path).sha256;
    return sha256("text " + std::get<Text>(operand).text);
  }

  bool is_unreadable(const Operand& operand) const {
    const Picture* picture = std::get_if<Picture>(&operand);
    return picture && unreadable_.contains(picture->path);
  }

  const Task& task_;
  const Unreadable& unreadable_;
  AskedPairs& asked_;
  std::unordered_map<std::string, std::size_t> operands_;
  std::unordered_map<uint64_t, std::size_t> pairs_;
};

std::vector<Operand> prompts_of(const Task& task, const std::string& mode) {
  const AttributePrompts& prompts = attribute_prompts(task.attribute());
  if (mode == "naive") return {Text{std::string(prompts.naive)}};
  return {Text{std::string(prompts.more)}, Text{std::string(prompts.less)}};
}

}  // namespace

AskedPairs asked_pairs(const Task& task, const std::string& mode, const Unreadable& unreadable) {
  require(mode == "naive" || mode == "clip-iqa", "[evaluate] mode \"", mode, "\" is not one of naive, clip-iqa");
  AskedPairs asked;
  Numbering number(task, unreadable, asked);
  const bool rates = task.question() == Question::Iqa || task.question() == Question::Paa;
  const std::vector<Operand> prompts = rates ? prompts_of(task, mode) : std::vector<Operand>();
  for (const TaskItem& item : task.items()) {
    std::vector<std::size_t>& needs = asked.of_item.emplace_back();
    const std::vector<Operand>& of = item.candidates;
    if (rates)
      for (const Operand& candidate : of)
        for (const Operand& prompt : prompts) needs.push_back(number.pair(candidate, prompt));
    else if (task.question() == Question::Ooo)
      needs = {number.pair(of[1], of[2]), number.pair(of[0], of[2]), number.pair(of[0], of[1])};
    else if (task.question() == Question::Ir)
      for (const std::string& picture : task.database())
        needs.push_back(number.pair(*item.reference, Picture{picture}));
    else
      for (const Operand& candidate : of) needs.push_back(number.pair(*item.reference, candidate));
  }
  return asked;
}

}  // namespace unisim
