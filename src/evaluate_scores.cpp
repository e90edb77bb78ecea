#include "evaluate_scores.h"

#include <unisim/not_finite.h>

#include <algorithm>
#include <cmath>
#include <future>
#include <list>
#include <memory>
#include <optional>

#include "evaluate_reading.h"
#include "measured_rows.h"
#include "sha256.h"
#include "tasks.h"

namespace unisim {
namespace {

constexpr std::size_t kPairs = 16;     ///< scored between two commits

// ---- metrics of rows ---------------------------------------------------------------------------------------

struct RowOf {
  std::vector<float> row;
  std::string error;
};

/// The rows of items; where the whole is refused, of each alone, so that the one at fault is known.
std::vector<RowOf> rows_of(const Metric::State& metric, std::span<const Item* const> items) {
  std::vector<RowOf> rows;
  try {
    for (auto& row : metric.rows(items)) rows.push_back({std::move(row), ""});
    return rows;
  } catch (const std::invalid_argument& error) {
    if (items.size() == 1) return {{{}, error.what()}};
  } catch (const DataError& error) {
    if (items.size() == 1) return {{{}, error.what()}};
  } catch (const NotFinite& error) {
    if (items.size() == 1) return {{{}, error.what()}};
  }
  rows.clear();
  for (std::size_t k = 0; k < items.size(); ++k) rows.push_back(rows_of(metric, items.subspan(k, 1))[0]);
  return rows;
}

/// Every operand's row: found, or computed while the next pictures are decoded.
std::vector<RowOf> operand_rows(const Metric::State& metric, const AskedPairs& asked, const Reader& reader, Kept& kept,
                                const Progress& progress, Evaluation& evaluation) {
  std::vector<RowOf> rows(asked.operands.size());
  std::vector<std::size_t> left;
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (auto row = kept.row(asked.contents[k]))
      rows[k].row = std::move(*row);
    else
      left.push_back(k);
  evaluation.found = static_cast<int64_t>(rows.size() - left.size());
  const auto batch = [&](std::size_t first) {
    return std::span(left).subspan(first, std::min(kPictures, left.size() - first));
  };
  const auto read_later = [&](std::size_t first) {
    return std::async(std::launch::async, [&reader, operands = batch(first)] { return reader.read(operands); });
  };
  std::future<std::vector<Read>> coming;
  if (!left.empty()) coming = read_later(0);
  for (std::size_t first = 0; first < left.size(); first += kPictures) {
    const std::vector<Read> read = coming.get();
    if (first + kPictures < left.size()) coming = read_later(first + kPictures);
    std::vector<const Item*> items;
    std::vector<std::size_t> at;
    for (std::size_t k = 0; k < read.size(); ++k) {
      if (read[k].item) {
        items.push_back(&*read[k].item);
        at.push_back(left[first + k]);
      } else {
        rows[left[first + k]].error = read[k].error;
      }
    }
    std::vector<RowOf> made = items.empty() ? std::vector<RowOf>() : rows_of(metric, items);
    for (std::size_t k = 0; k < made.size(); ++k) {
      if (made[k].error.empty()) kept.put(asked.contents[at[k]], made[k].row);
      rows[at[k]] = std::move(made[k]);
      ++evaluation.computed;
    }
    kept.commit();
    if (progress)
      progress(static_cast<int64_t>(std::min(first + kPictures, left.size())), static_cast<int64_t>(left.size()));
  }
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (!rows[k].error.empty()) reader.failed(k, rows[k].error, evaluation);
  return rows;
}

/// A score as it counts: a NaN is none.
PairScore number(const Metric::State& metric, double score) {
  if (std::isnan(score)) return {0, text_of("[", metric.name, "] the score is not a number")};
  return {score, ""};
}

std::vector<PairScore> scores_of_rows(const Metric::State& metric, const AskedPairs& asked,
                                      const std::vector<RowOf>& rows) {
  std::vector<PairScore> scores;
  scores.reserve(asked.pairs.size());
  for (const auto& [x, y] : asked.pairs)
    if (!rows[x].error.empty() || !rows[y].error.empty())
      scores.push_back({0, rows[x].error.empty() ? rows[y].error : rows[x].error});
    else
      scores.push_back(number(metric, metric.score_of_rows(rows[x].row, rows[y].row)));
  return scores;
}

// ---- metrics of pairs --------------------------------------------------------------------------------------

PairScore score_of(const Metric::State& metric, const Item& x, const Item& y) {
  const bool same_item = same(x, y);
  const Item* items[] = {&x, &y};
  const ItemPair pair{0, same_item ? std::size_t{0} : std::size_t{1}};
  try {
    return number(metric, metric.score(std::span(items).first(same_item ? 1 : 2), {&pair, 1}, {})[0]);
  } catch (const std::invalid_argument& error) {
    return {0, error.what()};
  } catch (const NotFinite& error) {
    return {0, error.what()};
  }
}

std::vector<PairScore> scores_of_pairs(const Metric::State& metric, const AskedPairs& asked, const Reader& reader,
                                       Kept& kept, const Progress& progress, Evaluation& evaluation) {
  std::vector<PairScore> scores(asked.pairs.size());
  Decoded decoded(reader);
  std::vector<bool> named(asked.operands.size());
  for (std::size_t k = 0; k < scores.size(); ++k) {
    const auto [x, y] = asked.pairs[k];
    if (const auto score = kept.score(asked.contents[x], asked.contents[y])) {
      scores[k].score = *score;
      ++evaluation.found;
    } else {
      const auto a = decoded.of(x), b = decoded.of(y);
      for (const auto& [operand, read] : {std::pair(x, a), std::pair(y, b)})
        if (!read->item && !named[operand]) {
          reader.failed(operand, read->error, evaluation);
          named[operand] = true;
        }
      scores[k] = a->item && b->item ? score_of(metric, *a->item, *b->item)
                                     : PairScore{0, a->item ? b->error : a->error};
      ++evaluation.computed;
      if (scores[k].error.empty()) kept.put(asked.contents[x], asked.contents[y], scores[k].score);
    }
    if ((k + 1) % kPairs == 0 || k + 1 == scores.size()) {
      kept.commit();
      if (progress) progress(static_cast<int64_t>(k + 1), static_cast<int64_t>(scores.size()));
    }
  }
  return scores;
}

}  // namespace

Unreadable unreadable_pictures(const Task& task) {
  std::vector<const std::pair<const std::string, TaskFile>*> files;
  for (const auto& file : task.files()) files.push_back(&file);
  std::vector<std::string> errors(files.size());
  run_tasks(static_cast<int64_t>(files.size()), allowed_threads(), [&](int64_t k) {
    const auto& [path, known] = *files[static_cast<std::size_t>(k)];
    const std::filesystem::path file = task.file_of(path);
    std::string found;
    try {
      found = sha256_of_file(file);
    } catch (const std::filesystem::filesystem_error& error) {
      errors[static_cast<std::size_t>(k)] = error.what();
      return;
    } catch (const DataError& error) {
      errors[static_cast<std::size_t>(k)] = error.what();
      return;
    }
    require_data(found == known.sha256, file, "its SHA-256 is ", found, ", the task was made of ", known.sha256);
  });
  Unreadable unreadable;
  for (std::size_t k = 0; k < files.size(); ++k)
    if (!errors[k].empty()) unreadable.emplace(files[k]->first, errors[k]);
  return unreadable;
}

std::vector<PairScore> scores_of(const Task& task, const Metric& metric, const AskedPairs& asked,
                                 const EvaluateOptions& options, Evaluation& evaluation) {
  const Metric::State& state = metric.state();
  const Reader reader(task, asked.operands, options);
  Kept kept(options.store, state);
  if (!state.rows) return scores_of_pairs(state, asked, reader, kept, options.progress, evaluation);
  return scores_of_rows(state, asked, operand_rows(state, asked, reader, kept, options.progress, evaluation));
}

}  // namespace unisim
