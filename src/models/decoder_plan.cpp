#include "decoder_plan.h"

#include <algorithm>

namespace unisim {
namespace {

/// Rows of a stretch, counted from its first.
struct Finished {
  int64_t from = 0, to = 0;
};

class Planning {
 public:
  explicit Planning(std::span<const Stretch> stretches) : stretches_(stretches) {
    int64_t row = 0;
    for (const Stretch& stretch : stretches) {
      first_row_.push_back(row);
      row += stretch.rows;
    }
  }

  int64_t first_row(std::size_t stretch) const { return first_row_[stretch]; }

  void add(std::size_t stretch, Finished part) {
    const int64_t queries = part.to - part.from, query = std::ssize(plan_.rows), row = first_row_[stretch];
    for (int64_t i = part.from; i < part.to; ++i) plan_.rows.push_back(row + i);
    seen_.clear();
    if (const KeysValues* room = room_of_all(stretch); room && queries == 1) {
      // The keys before it and its own stand in one row of memory already: the case of decoding.
      plan_.own.push_back({query, 1, room, 0, room->tokens + part.to, false});
      seen_.push_back(room);
    } else if (queries == 1) {
      plan_.own.push_back({query, 1, nullptr, row, part.to, false});
    } else {
      plan_.own.push_back({query, queries, nullptr, row + part.from, queries, true});
      if (part.from > 0) see({query, queries, nullptr, row, part.from, false});
    }
    see_before(stretch, query, queries);
  }

  AttentionPlan take() { return std::move(plan_); }

 private:
  /// Where a stretch's rows are appended right behind what they see; null if they are not.
  const KeysValues* room_of_all(std::size_t i) const {
    const Stretch& stretch = stretches_[i];
    if (!stretch.into || stretch.into != stretch.behind) return nullptr;
    for (std::size_t k = 0; k < i; ++k)
      if (stretches_[k].into == stretch.into) return nullptr;
    return stretch.into;
  }

  void see_before(std::size_t i, int64_t query, int64_t queries) {
    const Stretch& stretch = stretches_[i];
    if (stretch.behind && std::find(seen_.begin(), seen_.end(), stretch.behind) == seen_.end()) {
      seen_.push_back(stretch.behind);
      if (stretch.behind->tokens > 0) see({query, queries, stretch.behind, 0, stretch.behind->tokens, false});
    }
    if (stretch.parent < 0) return;
    const auto parent = static_cast<std::size_t>(stretch.parent);
    see({query, queries, nullptr, first_row_[parent], stretches_[parent].rows, false});
    see_before(parent, query, queries);
  }

  /// Neighbours that see the same are one product.
  void see(const SeenKeys& part) {
    for (SeenKeys& other : plan_.more)
      if (other.kept == part.kept && other.key == part.key && other.keys == part.keys &&
          other.query + other.queries == part.query) {
        other.queries += part.queries;
        return;
      }
    plan_.more.push_back(part);
  }

  std::span<const Stretch> stretches_;
  std::vector<int64_t> first_row_;
  std::vector<const KeysValues*> seen_;  ///< by the stretch at hand
  AttentionPlan plan_;
};

}  // namespace

AttentionPlan plan_of_all(std::span<const Stretch> stretches) {
  Planning planning(stretches);
  for (std::size_t i = 0; i < stretches.size(); ++i) planning.add(i, {0, stretches[i].rows});
  return planning.take();
}

AttentionPlan plan_of_wanted(std::span<const Stretch> stretches, std::span<const int64_t> wanted) {
  Planning planning(stretches);
  auto next = wanted.begin();
  for (std::size_t i = 0; i < stretches.size(); ++i) {
    const int64_t row = planning.first_row(i);
    const auto end = std::lower_bound(next, wanted.end(), row + stretches[i].rows);
    if (next != end) planning.add(i, {*next - row, *(end - 1) - row + 1});
    next = end;
  }
  return planning.take();
}

}  // namespace unisim
