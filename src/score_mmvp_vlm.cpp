#include <unisim/error.h>
#include <unisim/score_mmvp.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "io/csv.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr int64_t pairs_a_pattern = 15;
constexpr std::array<const char*, 9> published_order{
    "Orientation", "Presence",          "State", "Quantity", "Spatial", "Color", "Structural Character",
    "Text",        "Camera Perspective"};

bool images_right(const StatementPair& pair) { return pair.i1t1 > pair.i2t1 && pair.i2t2 >= pair.i1t2; }

bool texts_right(const StatementPair& pair) { return pair.i1t1 > pair.i1t2 && pair.i2t2 > pair.i2t1; }

bool strictly_all_right(const StatementPair& pair) {
  return images_right(pair) && pair.i2t2 > pair.i1t2 && texts_right(pair);
}

double percent(int64_t part, int64_t whole) {
  return 100 * static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

MmvpVlmScore score_mmvp_vlm(std::span<const StatementPair> pairs) {
  require(!pairs.empty(), "[score_mmvp_vlm] no pairs");
  MmvpVlmScore score;
  score.pairs = static_cast<int64_t>(pairs.size());
  int64_t texts = 0, groups = 0;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    const StatementPair& pair = pairs[i];
    for (const double value : {pair.i1t1, pair.i2t1, pair.i1t2, pair.i2t2})
      require(std::isfinite(value), "[score_mmvp_vlm] pair ", i + 1, " has the similarity ", value,
              ", expected finite numbers");
    auto found = std::find_if(score.patterns.begin(), score.patterns.end(),
                              [&](const MmvpVlmPattern& p) { return p.pattern == pair.pattern; });
    if (found == score.patterns.end())
      found = score.patterns.insert(found, MmvpVlmPattern{.pattern = pair.pattern});
    const int64_t right = images_right(pair) ? 1 : 0;
    ++found->pairs;
    found->right += right;
    score.right += right;
    texts += texts_right(pair) ? 1 : 0;
    groups += strictly_all_right(pair) ? 1 : 0;
  }
  for (MmvpVlmPattern& pattern : score.patterns) pattern.accuracy = percent(pattern.right, pattern.pairs);
  score.average = percent(score.right, score.pairs);
  score.text = percent(texts, score.pairs);
  score.group = percent(groups, score.pairs);
  return score;
}

MmvpVlmScore score_mmvp_vlm(const fs::path& file) {
  const Csv csv = read_csv(file);
  const std::size_t id = csv.column("pair");
  const std::array<std::size_t, 4> columns{csv.column("i1t1"), csv.column("i2t1"), csv.column("i1t2"),
                                           csv.column("i2t2")};
  const auto pattern = csv.find("pattern");
  const auto count = static_cast<int64_t>(csv.rows().size());
  require_data(count > 0, file, "has no pairs");
  constexpr auto full = pairs_a_pattern * static_cast<int64_t>(published_order.size());
  require_data(pattern || count == full, file, "has ", count,
               " pairs and no column \"pattern\"; without it the ", full,
               " of the benchmark are expected, in its order");
  std::vector<StatementPair> pairs(csv.rows().size());
  std::vector<bool> seen(pairs.size());
  for (const CsvRow& row : csv.rows()) {
    const int64_t number = csv.integer(row, id, 1, count);
    const auto at = static_cast<std::size_t>(number - 1);
    require_data(!seen[at], csv.place(row), "has pair ", number, " a second time");
    seen[at] = true;
    pairs[at] = {pattern ? row.fields[*pattern]
                         : published_order[static_cast<std::size_t>((number - 1) / pairs_a_pattern)],
                 csv.number(row, columns[0]), csv.number(row, columns[1]), csv.number(row, columns[2]),
                 csv.number(row, columns[3])};
  }
  return score_mmvp_vlm(pairs);
}

}  // namespace unisim
