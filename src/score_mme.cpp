#include <unisim/error.h>
#include <unisim/score.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <utility>

#include "io/lines.h"
#include "io/quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

struct Shape {
  const char* name;
  bool perception;
  int64_t images;
};

constexpr std::array<Shape, 14> subtasks{{{"existence", true, 30},
                                          {"count", true, 30},
                                          {"position", true, 30},
                                          {"color", true, 30},
                                          {"posters", true, 147},
                                          {"celebrity", true, 170},
                                          {"scene", true, 200},
                                          {"landmark", true, 200},
                                          {"artwork", true, 200},
                                          {"OCR", true, 20},
                                          {"commonsense_reasoning", false, 70},
                                          {"numerical_calculation", false, 20},
                                          {"text_translation", false, 20},
                                          {"code_reasoning", false, 20}}};

struct Answer {
  std::string_view image, question;
  bool truth;
  YesNo reply;
};

std::vector<std::string_view> split_at_tabs(std::string_view line) {
  std::vector<std::string_view> columns;
  for (std::size_t tab; (tab = line.find('\t')) != line.npos; line.remove_prefix(tab + 1))
    columns.push_back(line.substr(0, tab));
  columns.push_back(line);
  return columns;
}

bool truth_of(std::string_view word, const fs::path& place) {
  const auto is = [&](std::string_view expected) {
    return std::equal(word.begin(), word.end(), expected.begin(), expected.end(),
                      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
  };
  require_data(is("yes") || is("no"), place, "has the ground truth ", in_quotes(word),
               ", expected Yes or No");
  return is("yes");
}

Answer answer_of(const TextLine& line, const fs::path& file, YesNoParser parser) {
  const fs::path place = at_line(file, line.number);
  const std::vector<std::string_view> columns = split_at_tabs(line.text);
  require_data(columns.size() == 4, place, "has ", columns.size(),
               columns.size() == 1 ? " column" : " columns",
               ", expected 4: image, question, ground truth, response",
               columns.size() > 4 ? " (a tab inside the response?)" : "");
  require_data(!columns[0].empty() && !columns[1].empty(), place, "has no ",
               columns[0].empty() ? "image" : "question");
  return {columns[0], columns[1], truth_of(columns[2], place), parse_yes_no(columns[3], parser)};
}

void add(MmeSubtask& to, const Answer& answer) {
  if (answer.reply == YesNo::Other) {
    ++to.other;
  } else if (answer.truth) {
    ++(answer.reply == YesNo::Yes ? to.tp : to.fn);
  } else {
    ++(answer.reply == YesNo::No ? to.tn : to.fp);
  }
}

bool right(const Answer& answer) { return answer.reply == (answer.truth ? YesNo::Yes : YesNo::No); }

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// The two answers of an image, which its two lines must be.
void check_pair(const Answer& first, const Answer& second, const fs::path& place) {
  require_data(first.image == second.image, place, "is about ", in_quotes(second.image),
               ", the line before it about ", in_quotes(first.image),
               "; the two lines of an image are adjacent");
}

MmeSubtask score_file(const fs::path& file, const Shape& shape, YesNoParser parser) {
  const std::string text = read_text(file);
  const std::vector<TextLine> lines = lines_of(text, file);
  require_data(!lines.empty(), file, "is empty, expected two lines an image");
  require_data(lines.size() % 2 == 0, at_line(file, lines.back().number), "is the last of ", lines.size(),
               " lines, an odd number; expected two an image");
  MmeSubtask found{.name = shape.name, .perception = shape.perception, .full_images = shape.images};
  std::set<std::pair<std::string_view, std::string_view>> seen;
  int64_t both = 0;
  for (std::size_t i = 0; i < lines.size(); i += 2) {
    std::array<Answer, 2> pair{};
    for (std::size_t k = 0; k < 2; ++k) {
      const TextLine& line = lines[i + k];
      pair[k] = answer_of(line, file, parser);
      require_data(seen.emplace(pair[k].image, pair[k].question).second, at_line(file, line.number), "asks ",
                   in_quotes(pair[k].question), " of ", in_quotes(pair[k].image), " a second time");
      add(found, pair[k]);
    }
    check_pair(pair[0], pair[1], at_line(file, lines[i + 1].number));
    both += right(pair[0]) && right(pair[1]) ? 1 : 0;
  }
  found.questions = static_cast<int64_t>(lines.size());
  found.images = found.questions / 2;
  found.acc = share(found.tp + found.tn, found.questions);
  found.acc_plus = share(both, found.images);
  found.score = 100 * found.acc + 100 * found.acc_plus;
  found.precision = share(found.tp, found.tp + found.fp);
  found.recall = share(found.tp, found.tp + found.fn);
  return found;
}

/// Scores as whole numbers, so that equal ones tie however their sums were rounded: the smallest difference
/// of two totals is 100 over twice the least common multiple of the subtasks' sizes, 1e-4.
int64_t comparable(double score) { return std::llround(score * 1e6); }

/// What a list goes by: a model's score, or nothing where it lacks a file.
using Judged = std::optional<double>;

Judged total(const MmeScore& score, bool perception) {
  for (const Shape& shape : subtasks)
    if (shape.perception == perception &&
        std::find(score.missing.begin(), score.missing.end(), shape.name) != score.missing.end())
      return std::nullopt;
  return perception ? score.perception : score.cognition;
}

Judged of_subtask(const MmeScore& score, std::string_view name) {
  for (const MmeSubtask& subtask : score.subtasks)
    if (subtask.name == name) return subtask.score;
  return std::nullopt;
}

template <class Judge>
MmeBoard board(const std::string& name, std::span<const MmeEntry> entries, Judge&& judge) {
  MmeBoard board{name, {}, {}};
  for (const MmeEntry& entry : entries) {
    if (const Judged score = judge(entry.score)) {
      board.places.push_back({0, entry.model, *score});
    } else {
      board.absent.push_back(entry.model);
    }
  }
  std::stable_sort(board.places.begin(), board.places.end(), [](const MmePlace& a, const MmePlace& b) {
    return comparable(a.score) > comparable(b.score);
  });
  for (std::size_t i = 0; i < board.places.size(); ++i) {
    const bool tied = i > 0 && comparable(board.places[i].score) == comparable(board.places[i - 1].score);
    board.places[i].rank = tied ? board.places[i - 1].rank : static_cast<int64_t>(i) + 1;
  }
  return board;
}

}  // namespace

MmeScore score_mme(const fs::path& folder, YesNoParser parser) {
  if (!fs::exists(folder))
    throw fs::filesystem_error("cannot open", folder,
                               std::make_error_code(std::errc::no_such_file_or_directory));
  require_data(fs::is_directory(folder), folder,
               "is no folder, expected one of answer files, existence.txt and so on");
  MmeScore found;
  for (const Shape& shape : subtasks) {
    const fs::path file = folder / (std::string(shape.name) + ".txt");
    if (!fs::exists(file)) {
      found.missing.emplace_back(shape.name);
      continue;
    }
    found.subtasks.push_back(score_file(file, shape, parser));
    (shape.perception ? found.perception : found.cognition) += found.subtasks.back().score;
  }
  require_data(!found.subtasks.empty(), folder, "holds none of the 14 answer files, existence.txt and so on");
  return found;
}

std::vector<MmeBoard> mme_leaderboards(std::span<const MmeEntry> entries) {
  std::vector<MmeBoard> boards;
  for (const bool perception : {true, false})
    boards.push_back(board(perception ? "perception" : "cognition", entries,
                           [&](const MmeScore& score) { return total(score, perception); }));
  for (const Shape& shape : subtasks)
    boards.push_back(
        board(shape.name, entries, [&](const MmeScore& score) { return of_subtask(score, shape.name); }));
  return boards;
}

bool mme_attainable(double printed, int64_t images, int decimals) {
  require(images >= 1 && images <= 1'000'000, "[mme_attainable] ", images, " images, expected 1 to 1000000");
  require(decimals >= 0 && decimals <= 9, "[mme_attainable] ", decimals, " decimals, expected 0 to 9");
  if (!(printed >= 0 && printed <= 200)) return false;
  // Of n images j have both questions right and s <= n - j just one: the score is 100 (4 j + s) / (2 n).
  const double steps = printed * 2 * static_cast<double>(images) / 100;
  // Half a unit of the last digit printed, and what the division above may have rounded.
  const double slack = (0.5 * std::pow(10.0, -decimals) + 1e-9) * 2 * static_cast<double>(images) / 100;
  for (auto m = static_cast<int64_t>(std::ceil(steps - slack)); static_cast<double>(m) <= steps + slack; ++m)
    if (m >= 0 && m <= 4 * images && m % 4 <= images - m / 4) return true;
  return false;
}

}  // namespace unisim
