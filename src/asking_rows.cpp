#include <algorithm>
#include <cmath>

#include "asking.h"

namespace unisim {
namespace {

/// A number of a row that counts something.
std::optional<std::size_t> count_at(std::span<const float> row, std::size_t at) {
  if (at >= row.size() || !(row[at] >= 0) || row[at] != std::floor(row[at])) return std::nullopt;
  return static_cast<std::size_t>(row[at]);
}

}  // namespace

std::vector<float> row_of(const Judgement& judgement) {
  std::vector<float> row = {static_cast<float>(judgement.scores.size())};
  row.insert(row.end(), judgement.scores.begin(), judgement.scores.end());
  row.insert(row.end(), {judgement.coverage, judgement.bias, static_cast<float>(judgement.unparsable.value_or(-1)),
                         static_cast<float>(judgement.replies.size())});
  for (const std::string& reply : judgement.replies) {
    row.push_back(static_cast<float>(reply.size()));
    for (const char letter : reply) row.push_back(static_cast<float>(static_cast<unsigned char>(letter)));
  }
  return row;
}

std::optional<Judgement> judgement_of(std::span<const float> row) {
  Judgement judgement;
  const auto scores = count_at(row, 0);
  if (!scores || *scores + 5 > row.size()) return std::nullopt;
  judgement.scores.assign(row.begin() + 1, row.begin() + 1 + static_cast<std::ptrdiff_t>(*scores));
  judgement.coverage = row[*scores + 1];
  judgement.bias = row[*scores + 2];
  if (row[*scores + 3] != -1) {
    const auto unparsable = count_at(row, *scores + 3);
    if (!unparsable) return std::nullopt;
    judgement.unparsable = static_cast<int64_t>(*unparsable);
  }
  const auto replies = count_at(row, *scores + 4);
  std::size_t at = *scores + 5;
  for (std::size_t k = 0; replies && k < *replies; ++k) {
    const auto length = count_at(row, at);
    if (!length || at + 1 + *length > row.size()) return std::nullopt;
    std::string reply;
    for (const float letter : row.subspan(at + 1, *length))
      reply.push_back(static_cast<char>(static_cast<unsigned char>(letter)));
    judgement.replies.push_back(std::move(reply));
    at += 1 + *length;
  }
  return replies && at == row.size() ? std::optional(judgement) : std::nullopt;
}

}  // namespace unisim
