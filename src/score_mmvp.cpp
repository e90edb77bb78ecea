#include <unisim/error.h>
#include <unisim/score_mmvp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>

#include "io/csv.h"
#include "io/quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

std::string_view stripped(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(blanks);
  return first == text.npos ? "" : text.substr(first, text.find_last_not_of(blanks) + 1 - first);
}

std::string_view without_full_stop(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  return stripped(text);
}

constexpr std::array<std::array<std::string_view, 2>, 2> marks{{{"(a)", "(b)"}, {"(1)", "(2)"}}};

/// "(a) Open (b) Closed" taken apart, in lower case.
struct Options {
  std::array<std::string_view, 2> mark;
  std::array<std::string, 2> words;
};

std::optional<Options> options_of(std::string_view text) {
  const std::string all = lower(text);
  for (const auto& mark : marks) {
    const std::size_t first = all.find(mark[0]);
    const std::size_t second = first == all.npos ? first : all.find(mark[1], first);
    if (second == all.npos) continue;
    const std::string_view words = all;
    const std::size_t from = first + mark[0].size();
    return Options{mark,
                   {std::string(without_full_stop(words.substr(from, second - from))),
                    std::string(without_full_stop(words.substr(second + mark[1].size())))}};
  }
  return std::nullopt;
}

/// The option whose letter the response begins with: "(a)", "a)", "a.", "a:", "a," or "a" alone.
std::optional<int> by_letter(std::string_view response, const Options& options) {
  if (response.starts_with('(')) response.remove_prefix(1);
  for (const int option : {0, 1}) {
    const char letter = options.mark[static_cast<std::size_t>(option)][1];
    if (!response.starts_with(letter)) continue;
    if (response.size() == 1 || std::string_view(").:,").find(response[1]) != std::string_view::npos)
      return option;
  }
  return std::nullopt;
}

std::optional<int> read_option(std::string_view response, const Options& options) {
  const std::string all = lower(response);
  const std::string_view text = without_full_stop(stripped(all));
  if (const auto option = by_letter(text, options)) return option;
  const bool first = text.find(options.mark[0]) != text.npos,
             second = text.find(options.mark[1]) != text.npos;
  if (first != second) return first ? 0 : 1;
  if (first || options.words[0] == options.words[1]) return std::nullopt;
  if (text == options.words[0]) return 0;
  return text == options.words[1] ? std::optional<int>(1) : std::nullopt;
}

struct Question {
  Options options;
  int label = 0;  ///< which option is right
  std::string pattern;
};

/// Where a label stands among the marks: "(b)" is 1.
std::optional<int> label_of(std::string_view text, const Options& options) {
  const std::string label = lower(stripped(text));
  for (const int option : {0, 1})
    if (label == options.mark[static_cast<std::size_t>(option)]) return option;
  return std::nullopt;
}

std::vector<Question> read_questions(const fs::path& file) {
  const Csv csv = read_csv(file);
  const std::size_t index = csv.column("Index"), options = csv.column("Options"),
                    label = csv.column("Correct Answer");
  csv.column("Question");
  const auto pattern = csv.find("Pattern");
  std::vector<Question> questions;
  for (const CsvRow& row : csv.rows()) {
    const auto expected = static_cast<int64_t>(questions.size()) + 1;
    const int64_t found = csv.integer(row, index, 0, 1'000'000);
    require_data(found == expected, csv.place(row), "has Index ", found, ", expected ", expected,
                 ": rows are in order, the two of a pair adjacent");
    const auto parts = options_of(row.fields[options]);
    require_data(parts.has_value(), csv.place(row), "has Options ", in_quotes(row.fields[options]),
                 ", expected \"(a) ... (b) ...\" or \"(1) ... (2) ...\"");
    const auto right = label_of(row.fields[label], *parts);
    require_data(right.has_value(), csv.place(row), "has Correct Answer ", in_quotes(row.fields[label]),
                 ", expected ", parts->mark[0], " or ", parts->mark[1]);
    questions.push_back({*parts, *right, pattern ? row.fields[*pattern] : std::string()});
  }
  require_data(!questions.empty() && questions.size() % 2 == 0, file, "has ", questions.size(),
               " questions, expected an even number, two a pair");
  return questions;
}

void add_patterns(std::vector<Question>& questions, const fs::path& file) {
  const Csv csv = read_csv(file);
  const std::size_t index = csv.column("Index"), pattern = csv.column("Pattern");
  std::vector<bool> seen(questions.size());
  for (const CsvRow& row : csv.rows()) {
    const auto at =
        static_cast<std::size_t>(csv.integer(row, index, 1, static_cast<int64_t>(questions.size())) - 1);
    require_data(!seen[at], csv.place(row), "has Index ", at + 1, " a second time");
    seen[at] = true;
    questions[at].pattern = row.fields[pattern];
  }
}

/// Reported swapped (issues 14 and 30 of the authors' repository): each pair's labels change places.
void correct(std::vector<Question>& questions, const fs::path& file) {
  require_data(questions.size() == 300, file, "has ", questions.size(),
               " questions; the corrected labels are of all 300");
  for (const std::size_t at : {99, 100, 279, 280}) questions[at - 1].label = at == 99 || at == 279 ? 1 : 0;
}

struct Judged {
  bool right = false, unparsable = false;
};

Judged by_verdict(const std::string& verdict) {
  const std::string word = lower(verdict);
  return {word == "yes", word != "yes" && word != "no"};
}

Judged by_option(std::string_view response, const Question& question) {
  const auto option = read_option(response, question.options);
  return {option == question.label, !option.has_value()};
}

const std::string& text_at(const JsonRecord& record, const char* key) {
  const auto found = record.object.find(key);
  require_data(found != record.object.end() && found->is_string(), record.place, "has no text ",
               in_quotes(key));
  return found->get_ref<const std::string&>();
}

/// The ids count from 1; an answer that names the other label belongs to another question.
std::size_t question_of(const JsonRecord& record, const std::vector<Question>& questions,
                        const fs::path& file) {
  const auto id = record.object.find("question_id");
  require_data(id != record.object.end() && id->is_number_integer(), record.place,
               "has no question_id, expected a whole number");
  const bool known = *id >= 1 && *id <= questions.size();
  require_data(known, record.place, "has question_id ", id->dump(), ", ", file.string(), " has 1 to ",
               questions.size());
  return id->get<std::size_t>() - 1;
}

/// Where the answers repeat the labels that they were made with.
void check_label(const JsonRecord& record, const Question& question, int published, const fs::path& file) {
  const auto given = record.object.find("answer");
  if (given == record.object.end() || !given->is_string()) return;
  const auto label = label_of(given->get_ref<const std::string&>(), question.options);
  require_data(!label || *label == published || *label == question.label, record.place, "has the answer ",
               in_quotes(given->get_ref<const std::string&>()), ", ", file.string(),
               " another: are the ids counted from 1?");
}

std::vector<MmvpPattern> by_pattern(const std::vector<Question>& questions,
                                    const std::vector<Judged>& judged) {
  std::vector<MmvpPattern> patterns;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const std::string& name = questions[i].pattern;
    if (name.empty()) continue;
    auto found =
        std::find_if(patterns.begin(), patterns.end(), [&](const auto& p) { return p.pattern == name; });
    if (found == patterns.end()) found = patterns.insert(found, MmvpPattern{.pattern = name});
    ++found->questions;
    found->right += judged[i].right ? 1 : 0;
  }
  for (MmvpPattern& pattern : patterns)
    pattern.accuracy = static_cast<double>(pattern.right) / static_cast<double>(pattern.questions);
  return patterns;
}

}  // namespace

std::optional<int> mmvp_option(std::string_view response, std::string_view options) {
  const auto parts = options_of(options);
  require(parts.has_value(), "[mmvp_option] options are ", in_quotes(options),
          ", expected \"(a) ... (b) ...\" or \"(1) ... (2) ...\"");
  return read_option(response, *parts);
}

MmvpScore score_mmvp(const fs::path& answers, const fs::path& questions_file, const MmvpOptions& options) {
  std::vector<Question> questions = read_questions(questions_file);
  if (!options.patterns.empty()) add_patterns(questions, options.patterns);
  std::vector<int> published;
  for (const Question& question : questions) published.push_back(question.label);
  if (options.corrected) correct(questions, questions_file);

  const std::vector<JsonRecord> records = read_records(answers);
  MmvpScore score;
  score.corrected = options.corrected;
  std::vector<Judged> judged(questions.size());
  std::map<std::size_t, fs::path> seen;
  for (const JsonRecord& record : records) {
    const std::size_t at = question_of(record, questions, questions_file);
    const auto [first, added] = seen.emplace(at, record.place);
    require_data(added, record.place, "answers question_id ", at + 1, " a second time, after ",
                 first->second.string());
    check_label(record, questions[at], published[at], questions_file);
    const bool verdict = record.object.contains("verdict");
    if (seen.size() == 1) score.by_verdict = verdict;
    require_data(verdict == score.by_verdict, record.place, verdict ? "has" : "has no",
                 " \"verdict\", unlike those before it; all have it or none");
    judged[at] = verdict ? by_verdict(text_at(record, "verdict"))
                         : by_option(text_at(record, "response"), questions[at]);
  }
  for (std::size_t at = 0; at < questions.size(); ++at)
    require_data(seen.contains(at), answers, "has no answer to question_id ", at + 1, " of ",
                 questions_file.string());

  score.questions = static_cast<int64_t>(questions.size());
  score.pairs = score.questions / 2;
  for (std::size_t at = 0; at < questions.size(); ++at) {
    score.right += judged[at].right ? 1 : 0;
    score.unparsable += judged[at].unparsable ? 1 : 0;
    if (at % 2 == 1) score.right_pairs += judged[at].right && judged[at - 1].right ? 1 : 0;
  }
  score.question_accuracy = static_cast<double>(score.right) / static_cast<double>(score.questions);
  score.pair_accuracy = static_cast<double>(score.right_pairs) / static_cast<double>(score.pairs);
  score.patterns = by_pattern(questions, judged);
  return score;
}

}  // namespace unisim
