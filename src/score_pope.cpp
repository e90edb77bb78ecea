#include <unisim/error.h>
#include <unisim/score.h>

#include <algorithm>
#include <map>
#include <utility>

#include "io/lines.h"
#include "io/quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

const Json* find(const JsonRecord& record, const char* key) {
  const auto found = record.object.find(key);
  return found == record.object.end() || found->is_null() ? nullptr : &*found;
}

const std::string& text_of_key(const JsonRecord& record, const char* key) {
  const Json* found = find(record, key);
  require_data(found && found->is_string(), record.place, "has no text ", in_quotes(key));
  return found->get_ref<const std::string&>();
}

const std::string& reply_of(const JsonRecord& record) {
  for (const char* key : {"response", "answer"})
    if (find(record, key)) return text_of_key(record, key);
  require_data(find(record, "text"), record.place, "has no reply: no \"response\", \"answer\" or \"text\"");
  return text_of_key(record, "text");
}

struct Label {
  bool yes;
  std::string category;
};

Label label_of(const JsonRecord& record) {
  std::string word = text_of_key(record, "label");
  for (char& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  require_data(word == "yes" || word == "no", record.place, "has the label ", in_quotes(word),
               ", expected yes or no");
  return {word == "yes", find(record, "category") ? text_of_key(record, "category") : ""};
}

std::string id_of(const JsonRecord& record) {
  const Json* id = find(record, "question_id");
  require_data(id && (id->is_number_integer() || id->is_string()), record.place, "has no question_id");
  return id->dump();
}

std::map<std::string, Label> read_labels(const fs::path& file) {
  std::map<std::string, Label> labels;
  for (const JsonRecord& record : read_records(file)) {
    const std::string id = id_of(record);
    require_data(labels.emplace(id, label_of(record)).second, record.place, "has question_id ", id,
                 " a second time");
  }
  return labels;
}

void add(PopeScore& to, bool label, bool reply) {
  ++to.questions;
  if (label) {
    ++(reply ? to.tp : to.fn);
  } else {
    ++(reply ? to.fp : to.tn);
  }
}

void add_to_both(PopeScore& whole, const Label& label, bool reply) {
  add(whole, label.yes, reply);
  if (label.category.empty()) return;
  auto found = std::find_if(whole.categories.begin(), whole.categories.end(),
                            [&](const PopeScore& one) { return one.category == label.category; });
  if (found == whole.categories.end()) {
    found = whole.categories.emplace(found);
    found->category = label.category;
  }
  add(*found, label.yes, reply);
}

void end(PopeScore& score) {
  score.accuracy = share(score.tp + score.tn, score.questions);
  score.precision = share(score.tp, score.tp + score.fp);
  score.recall = share(score.tp, score.tp + score.fn);
  const double sum = score.precision + score.recall;
  score.f1 = sum == 0 ? 0 : 2 * score.precision * score.recall / sum;
  score.yes_ratio = share(score.tp + score.fp, score.questions);
  for (PopeScore& category : score.categories) end(category);
}

/// Each answer takes its label away, so that one left over has no answer, and one not there has an answer
/// already.
void score_joined(PopeScore& score, const std::vector<JsonRecord>& answers, const fs::path& file,
                  const fs::path& labels_file) {
  std::map<std::string, Label> labels = read_labels(labels_file);
  for (const JsonRecord& record : answers) {
    const std::string id = id_of(record);
    const auto label = labels.find(id);
    require_data(label != labels.end(), record.place, "answers question_id ", id, ", which is not in ",
                 labels_file.string(), " or was answered before");
    add_to_both(score, label->second, parse_pope(reply_of(record)) == YesNo::Yes);
    labels.erase(label);
  }
  require_data(labels.empty(), file, "has no answer to question_id ",
               labels.empty() ? "" : labels.begin()->first, " of ", labels_file.string());
}

}  // namespace

YesNo parse_pope(std::string_view reply) {
  std::string sentence(reply.substr(0, reply.find('.')));
  std::erase(sentence, ',');
  for (std::string_view rest = sentence;;) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (word == "No" || word == "no" || word == "not") return YesNo::No;
    if (word.size() == rest.size()) return YesNo::Yes;
    rest.remove_prefix(word.size() + 1);
  }
}

PopeScore score_pope(const fs::path& answers, const fs::path& labels) {
  const std::vector<JsonRecord> records = read_records(answers);
  require_data(!records.empty(), answers, "holds no records");
  PopeScore score;
  if (labels.empty()) {
    for (const JsonRecord& record : records)
      add_to_both(score, label_of(record), parse_pope(reply_of(record)) == YesNo::Yes);
  } else {
    score_joined(score, records, answers, labels);
  }
  end(score);
  return score;
}

}  // namespace unisim
