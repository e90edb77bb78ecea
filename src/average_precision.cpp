#include <unisim/task.h>

#include <algorithm>
#include <set>

namespace unisim {

std::optional<double> average_precision(std::span<const int64_t> ranked, std::span<const int64_t> positive,
                                        std::span<const int64_t> junk) {
  const std::set<int64_t> sought(positive.begin(), positive.end()), passed(junk.begin(), junk.end());
  if (sought.empty()) return std::nullopt;
  const auto count = static_cast<double>(sought.size());
  double rank = 0, found = 0, sum = 0;
  for (const int64_t place : ranked) {
    if (passed.contains(place)) continue;
    if (sought.contains(place)) {
      const double before = rank == 0 ? 1 : found / rank;
      sum += (before + (found + 1) / (rank + 1)) / 2;
      ++found;
    }
    ++rank;
  }
  return sum / count;
}

}  // namespace unisim
