#include "vlm_kept.h"

#include <algorithm>
#include <utility>

namespace unisim {

std::optional<Tensor> KeptFeatures::find(const std::string& content) {
  const auto found = std::ranges::find(entries_, content, &Entry::content);
  if (found == entries_.end()) return std::nullopt;
  entries_.splice(entries_.begin(), entries_, found);
  return found->rows;
}

void KeptFeatures::put(const std::string& content, const Tensor& rows) {
  const auto size_of_rows = [](const Tensor& x) { return static_cast<int64_t>(x.nbytes()); };
  if (size_of_rows(rows) > most_bytes_) return;
  entries_.push_front({content, rows});
  bytes_ += size_of_rows(rows);
  while (bytes_ > most_bytes_) {
    bytes_ -= size_of_rows(entries_.back().rows);
    entries_.pop_back();
  }
}

int64_t common_rows(std::span<const int64_t> a, std::span<const int64_t> b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

std::shared_ptr<KeptPrefixes::Entry> KeptPrefixes::find(std::span<const int64_t> prompt, bool long_factors) {
  auto best = entries_.end();
  int64_t most = 0;
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if ((*entry)->rows.long_factors != long_factors) continue;
    const int64_t common = common_rows((*entry)->key, prompt);
    if (common > most) most = common, best = entry;
  }
  return used(best);
}

std::shared_ptr<KeptPrefixes::Entry> KeptPrefixes::get(std::span<const int64_t> key, bool long_factors) {
  return used(std::ranges::find_if(entries_, [&](const auto& entry) {
    return entry->rows.long_factors == long_factors && std::ranges::equal(entry->key, key);
  }));
}

std::shared_ptr<KeptPrefixes::Entry> KeptPrefixes::used(Entries::iterator entry) {
  if (entry == entries_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, entry);
  return entries_.front();
}

void KeptPrefixes::put(PromptKey key, KeysValues rows) {
  if (!takes(rows.bytes())) return;
  std::erase_if(entries_, [&](const auto& entry) { return entry->key == key; });
  entries_.push_front(std::make_shared<Entry>(Entry{std::move(key), std::move(rows)}));
  shrink();
}

void KeptPrefixes::shrink() {
  int64_t bytes = 0;
  auto entry = entries_.begin();
  while (entry != entries_.end() && (bytes += (*entry)->rows.bytes()) <= most_bytes_) ++entry;
  entries_.erase(entry, entries_.end());
}

}  // namespace unisim
