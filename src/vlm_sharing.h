#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

/// What prompts of one run begin with alike, and so compute once.
namespace unisim {

/// A prompt by its numbers.
struct PromptRows {
  int64_t rows = 0;
  int64_t answers = 0;  ///< rows of its choices, behind it
  int64_t common = 0;   ///< with the prompt after it: rows that both may take from others
};

/// Prompts first to first + count - 1 begin with the same `rows` rows; a single one has all of its own.
struct SharedRows {
  std::size_t first = 0, count = 1;
  int64_t rows = 0;
  std::vector<SharedRows> parts = {};  ///< what shares more; empty: a single prompt
};

/// Neighbours are put together where what they share is worth a product of its own: kLeastShared rows, and no small part
/// of what some of them share. Every prompt is in one of the results, in order.
std::vector<SharedRows> plan_sharing(std::span<const PromptRows> prompts);
inline constexpr int64_t kLeastShared = 32;

/// Rows that are computed, those of the choices too.
int64_t rows_computed(std::span<const PromptRows> prompts, std::span<const SharedRows> plan);

/// How many prompts from the first on make a run of at most `most` rows; one at least.
std::size_t prompts_of_run(std::span<const PromptRows> prompts, int64_t most);

}  // namespace unisim
