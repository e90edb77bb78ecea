#include <algorithm>

#include "quote.h"
#include "tokenizer_bytes.h"
#include "tokenizer_model.h"
#include "unicode.h"

namespace unisim {
namespace {

/// Up to here a scan for the lowest rank is faster than a heap.
constexpr std::size_t short_word = 48;

/// The heap's top has the lowest rank, of equal ones the leftmost.
bool comes_later(const MergeCandidate& a, const MergeCandidate& b) {
  return a.rank != b.rank ? a.rank > b.rank : a.at > b.at;
}

}  // namespace

void Bpe::encode(std::string_view word, bool as_bytes, Workspace& work) const {
  if (ignore_merges_) {
    work.key.clear();
    if (as_bytes) append_byte_characters(word, work.key);
    if (const int32_t id = vocabulary_.find(as_bytes ? work.key : word); id >= 0) {
      work.ids.push_back(static_cast<uint32_t>(id));
      return;
    }
  }
  if (as_bytes && every_byte_known_) {
    symbols_of_bytes(word, work);
  } else if (as_bytes) {
    std::string characters;
    append_byte_characters(word, characters);
    symbols_of_text(characters, work);
  } else {
    symbols_of_text(word, work);
  }
  if (work.ids.size() <= short_word)
    merge_short(work);
  else
    merge_long(work);
}

void Bpe::symbols_of_bytes(std::string_view word, Workspace& work) const {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(word[i]); };
  const std::size_t last = word.size() - 1;
  work.ids.resize(word.size());
  for (std::size_t i = 1; i < last; ++i) work.ids[i] = static_cast<uint32_t>(middle_[byte(i)]);
  work.ids[0] = static_cast<uint32_t>(last == 0 ? only_[byte(0)] : first_[byte(0)]);
  if (last > 0) work.ids[last] = static_cast<uint32_t>(last_[byte(last)]);
}

void Bpe::symbols_of_text(std::string_view word, Workspace& work) const {
  bool unknown_waits = false;
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t bytes = character_at(word, at).bytes;
    const std::string_view character = word.substr(at, bytes);
    const bool first = at == 0;
    at += bytes;
    const bool last = at == word.size();
    if ((first || prefix_.empty()) && (!last || suffix_.empty())) {
      add_symbol(character, work, unknown_waits);
      continue;
    }
    work.key.assign(first ? "" : prefix_);
    work.key += character;
    if (last) work.key += suffix_;
    add_symbol(work.key, work, unknown_waits);
  }
  if (unknown_waits) work.ids.push_back(static_cast<uint32_t>(unknown_));
}

// An unknown character waits until a known one follows, so that fuse_unk may join it with the next; byte
// tokens go past it, as they do in the reference.
void Bpe::add_symbol(std::string_view symbol, Workspace& work, bool& unknown_waits) const {
  const auto flush = [&] {
    if (unknown_waits) work.ids.push_back(static_cast<uint32_t>(unknown_));
    unknown_waits = false;
  };
  if (const int32_t id = vocabulary_.find(symbol); id >= 0) {
    flush();
    work.ids.push_back(static_cast<uint32_t>(id));
    return;
  }
  const auto token_of = [&](char c) { return bytes_[static_cast<unsigned char>(c)]; };
  if (byte_fallback_ && std::all_of(symbol.begin(), symbol.end(), [&](char c) { return token_of(c) >= 0; })) {
    for (const char c : symbol) work.ids.push_back(static_cast<uint32_t>(token_of(c)));
    return;
  }
  if (!has_unknown_) return;
  if (unknown_ < 0)
    throw DataError(file_, text_of("model.unk_token: ", in_quotes(unknown_token_),
                                   " is needed but not in the vocabulary"));
  if (!fuse_unknown_) flush();
  unknown_waits = true;
}

void Bpe::merge_short(Workspace& work) const {
  auto& ids = work.ids;
  auto& merges = work.candidates;  // of each symbol with the next
  const auto candidate = [&](std::size_t i) -> MergeCandidate {
    const Merge* merge = find_merge(ids[i], ids[i + 1]);
    return merge ? MergeCandidate{merge->rank, 0, merge->id} : MergeCandidate{UINT32_MAX, 0, 0};
  };
  merges.clear();
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) merges.push_back(candidate(i));
  while (!merges.empty()) {
    std::size_t best = 0;
    for (std::size_t i = 1; i < merges.size(); ++i)
      if (merges[i].rank < merges[best].rank) best = i;
    if (merges[best].rank == UINT32_MAX) break;
    ids[best] = merges[best].id;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best) + 1);
    merges.erase(merges.begin() + static_cast<std::ptrdiff_t>(best));
    if (best < merges.size()) merges[best] = candidate(best);
    if (best > 0) merges[best - 1] = candidate(best - 1);
  }
}

void Bpe::merge_long(Workspace& work) const {
  auto& symbols = work.symbols;
  auto& heap = work.candidates;
  symbols.clear();
  heap.clear();
  const auto count = static_cast<int32_t>(work.ids.size());
  for (int32_t i = 0; i < count; ++i)
    symbols.push_back({work.ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1, true});
  const auto symbol = [&](int32_t i) -> Workspace::Symbol& { return symbols[static_cast<std::size_t>(i)]; };
  const auto push = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return false;
    const Merge* merge = find_merge(symbol(left).id, symbol(right).id);
    if (merge) heap.push_back({merge->rank, static_cast<uint32_t>(left), merge->id});
    return merge != nullptr;
  };
  for (int32_t i = 0; i + 1 < count; ++i) push(i, i + 1);
  std::make_heap(heap.begin(), heap.end(), comes_later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), comes_later);
    const MergeCandidate top = heap.back();
    heap.pop_back();
    Workspace::Symbol& left = symbols[top.at];
    if (!left.alive || left.next < 0) continue;
    Workspace::Symbol& right = symbol(left.next);
    const Merge* merge = find_merge(left.id, right.id);
    if (!merge || merge->id != top.id) continue;  // one of the two has been merged otherwise since
    left.id = top.id;
    left.next = right.next;
    right.alive = false;
    if (left.next >= 0) symbol(left.next).previous = static_cast<int32_t>(top.at);
    if (push(left.previous, static_cast<int32_t>(top.at)))
      std::push_heap(heap.begin(), heap.end(), comes_later);
    if (push(static_cast<int32_t>(top.at), left.next)) std::push_heap(heap.begin(), heap.end(), comes_later);
  }
  work.ids.clear();
  for (int32_t i = 0; i >= 0; i = symbol(i).next) work.ids.push_back(symbol(i).id);
}

}  // namespace unisim
