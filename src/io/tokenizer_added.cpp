#include "tokenizer_added.h"

#include <algorithm>
#include <optional>

#include "quote.h"

namespace unisim {
namespace {

bool is_word(const Character& c) { return (classes_of(c.code) & unicode::word) != 0; }
bool is_space(const Character& c) { return (classes_of(c.code) & unicode::space) != 0; }

/// Where the parts of the ranges in the piece `before`, which begins at `base`, lie once it is normalised to `after`.
/// A range is left out if a bound of it falls into the midst of what is normalised as one (a letter and its accent): a
/// token that is not found stays text, one that was not meant would be a way in.
std::vector<ByteRange> normalized_ranges(std::string_view before, std::string_view after,
                                         std::span<const ByteRange> ranges, uint32_t base,
                                         const Normalizer& normalizer) {
  std::vector<ByteRange> to;
  const auto bound = [&](uint32_t at) -> std::optional<uint32_t> {
    if (at == 0) return 0;
    if (at == before.size()) return size32(after);
    std::string beginning(before.substr(0, at));
    uint32_t head = 0;
    normalizer.apply(beginning, head);
    return after.starts_with(beginning) ? std::optional(size32(beginning)) : std::nullopt;
  };
  for (const ByteRange& range : ranges) {
    const uint32_t begin = std::max(range.begin, base) - base;
    const uint32_t end = std::min<uint32_t>(std::max(range.end, base) - base, size32(before));
    if (begin >= end) continue;
    const auto from = bound(begin);
    const auto until = bound(end);
    if (from && until) to.push_back({*from, *until});
  }
  return to;
}

}  // namespace

void StringSet::add(std::string_view text, int32_t value) {
  uint32_t node = 0;
  for (const char c : text) {
    const auto [next, is_new] =
        nodes_[node].next.try_emplace(static_cast<unsigned char>(c), static_cast<uint32_t>(nodes_.size()));
    node = next->second;
    if (is_new) nodes_.emplace_back();
  }
  nodes_[node].value = value;
  first_[static_cast<unsigned char>(text[0])] = true;
}

std::size_t StringSet::longest(std::string_view text, std::size_t at, int32_t& value) const {
  const Node* node = &nodes_[0];
  std::size_t bytes = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto next = node->next.find(static_cast<unsigned char>(text[i]));
    if (next == node->next.end()) break;
    node = &nodes_[next->second];
    if (node->value < 0) continue;
    bytes = i + 1 - at;
    value = node->value;
  }
  return bytes;
}

std::size_t StringSet::candidate(std::string_view text, std::size_t at) const {
  while (at < text.size() && !first_[static_cast<unsigned char>(text[at])]) ++at;
  return at;
}

AddedTokens::AddedTokens(const Json& list, const Place& place, const Vocabulary& model,
                         const Normalizer& normalizer) {
  if (list.is_null()) return;
  place.check(list.is_array(), "found ", list.type_name(), ", expected a list");
  auto next_id = static_cast<int64_t>(model.size());
  for (std::size_t i = 0; i < list.size(); ++i) read(list[i], place[i], model, normalizer, next_id);
  for (const auto& [id, token] : by_id_) {
    StringSet& set = token.normalized ? normalized_ : plain_;
    int32_t other = -1;
    place.check(!token.pattern.empty(), "the token ", in_quotes(token.content), " is empty once normalised");
    if (set.longest(token.pattern, 0, other) == token.pattern.size())
      place.fail("the tokens ", in_quotes(token.content), " and ", in_quotes(by_id_.at(other).content),
                 " are the same once normalised");
    set.add(token.pattern, static_cast<int32_t>(id));
  }
}

void AddedTokens::read(const Json& entry, const Place& place, const Vocabulary& model,
                       const Normalizer& normalizer, int64_t& next_id) {
  Fields fields = fields_of(entry, place);
  AddedToken token;
  const int64_t id = fields.integer("id", 0, Vocabulary::max_id);
  token.content = fields.string("content");
  token.single_word = fields.boolean("single_word");
  token.lstrip = fields.boolean("lstrip");
  token.rstrip = fields.boolean("rstrip");
  token.normalized = fields.boolean("normalized");
  token.special = fields.boolean("special");
  fields.finish();
  if (token.content.empty()) return;

  int64_t own = find(token.content);
  if (own < 0) own = model.find(token.content);
  if (own < 0) own = next_id++;
  place["id"].check(own == id, "the token ", in_quotes(token.content), " has the id ", id, ", expected ", own,
                    " (its id in the model, or the next one free)");
  token.pattern = token.content;
  if (token.normalized) {
    uint32_t head = 0;
    normalizer.apply(token.pattern, head);
  }
  if (token.special) special_.insert(token.content);
  ids_[token.content] = id;
  by_id_[id] = std::move(token);
}

void AddedTokens::split(std::string_view text, std::span<const ByteRange> ranges, const StringSet& set,
                        uint32_t head, std::vector<Piece>& to) const {
  const auto put = [&](std::size_t begin, std::size_t end, int32_t token) {
    if (begin >= end) return;
    to.push_back(piece_of(static_cast<uint32_t>(begin), static_cast<uint32_t>(end), head, token));
  };
  std::size_t done = 0;
  for (const ByteRange& range : ranges) {
    if (set.empty()) break;
    const std::string_view seen = text.substr(0, range.end);
    for (std::size_t at = set.candidate(seen, range.begin); at < seen.size(); at = set.candidate(seen, at)) {
      int32_t id = -1;
      const std::size_t bytes = set.longest(seen, at, id);
      if (bytes == 0) {
        ++at;
        continue;
      }
      std::size_t begin = at;
      std::size_t end = at + bytes;
      at = end;  // even if the match is discarded
      const AddedToken& token = by_id_.at(id);
      if (token.single_word && ((begin > 0 && is_word(character_before(text, begin))) ||
                                (end < text.size() && is_word(character_at(text, end)))))
        continue;
      if (token.lstrip) {
        while (begin > 0 && is_space(character_before(text, begin)))
          begin -= character_before(text, begin).bytes;
        begin = std::max(begin, done);
      }
      if (token.rstrip)
        while (end < text.size() && is_space(character_at(text, end))) end += character_at(text, end).bytes;
      put(done, begin, -1);
      put(begin, end, id);
      done = end;
    }
  }
  put(done, text.size(), -1);
}

void AddedTokens::extract(std::string_view text, std::span<const ByteRange> ranges, const Normalizer& normalizer,
                          Pieces& to) const {
  to.text.clear();
  to.list.clear();
  std::vector<Piece> outer, inner;
  split(text, ranges, plain_, text.empty() ? 0 : character_at(text, 0).bytes, outer);
  std::string rest;
  for (const Piece& piece : outer) {
    const auto base = size32(to.text);
    if (piece.token >= 0) {
      to.list.push_back({base, base, 0, piece.token});
      continue;
    }
    const std::string_view before = text.substr(piece.begin, piece.end - piece.begin);
    rest.assign(before);
    uint32_t head = piece.head;
    normalizer.apply(rest, head);
    to.text += rest;
    inner.clear();
    std::vector<ByteRange> kept;
    if (!normalized_.empty()) kept = normalized_ranges(before, rest, ranges, piece.begin, normalizer);
    split(rest, kept, normalized_, head, inner);
    for (const Piece& p : inner) to.list.push_back({base + p.begin, base + p.end, p.head, p.token});
  }
}

const AddedToken* AddedTokens::find(int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &found->second;
}

int32_t AddedTokens::find(std::string_view content) const {
  const auto found = ids_.find(std::string(content));
  return found == ids_.end() ? -1 : static_cast<int32_t>(found->second);
}

}  // namespace unisim
