#include "vlm_sharing.h"

#include <algorithm>

namespace unisim {
namespace {

constexpr int64_t kLeastPart = 8;  ///< what is shared is this part at least of what some of them share

void share(std::span<const PromptRows> prompts, std::size_t first, std::size_t end, int64_t from,
           std::vector<SharedRows>& into) {
  if (end == first + 1) {
    into.push_back({.first = first, .rows = prompts[first].rows});
    return;
  }
  const auto inner = prompts.subspan(first, end - first - 1);  // neighbours within
  const auto [least, most] = std::ranges::minmax(inner, {}, &PromptRows::common);
  const bool worth = least.common - from >= kLeastShared && (least.common - from) * kLeastPart >= most.common - from;
  std::vector<SharedRows>* parts = &into;
  if (worth) {
    into.push_back({.first = first, .count = end - first, .rows = least.common});
    parts = &into.back().parts;
    from = least.common;
  }
  for (std::size_t begin = first, k = first; k < end; ++k)
    if (k + 1 == end || prompts[k].common == least.common) {
      share(prompts, begin, k + 1, from, *parts);
      begin = k + 1;
    }
}

int64_t rows_of(std::span<const PromptRows> prompts, std::span<const SharedRows> plan, int64_t from) {
  int64_t rows = 0;
  for (const SharedRows& part : plan) {
    rows += part.rows - from;
    rows += part.parts.empty() ? prompts[part.first].answers : rows_of(prompts, part.parts, part.rows);
  }
  return rows;
}

}  // namespace

std::vector<SharedRows> plan_sharing(std::span<const PromptRows> prompts) {
  std::vector<SharedRows> plan;
  if (!prompts.empty()) share(prompts, 0, prompts.size(), 0, plan);
  return plan;
}

int64_t rows_computed(std::span<const PromptRows> prompts, std::span<const SharedRows> plan) {
  return rows_of(prompts, plan, 0);
}

std::size_t prompts_of_run(std::span<const PromptRows> prompts, int64_t most) {
  std::size_t count = 1;
  while (count < prompts.size() &&
         rows_computed(prompts.first(count + 1), plan_sharing(prompts.first(count + 1))) <= most)
    ++count;
  return count;
}

}  // namespace unisim
