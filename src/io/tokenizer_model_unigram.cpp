#include <algorithm>
#include <limits>

#include "tokenizer_model.h"
#include "unicode.h"

namespace unisim {
namespace {

constexpr uint64_t empty_edge = UINT64_MAX;
constexpr double unknown_penalty = 10;

uint64_t key_of(uint32_t node, unsigned char byte) { return uint64_t{node} << 8 | byte; }

}  // namespace

Unigram::Unigram(const Json& json, const Place& place) : file_(place.file) {
  Fields fields = fields_of(json, place);
  fields.ignore({"type"});
  byte_fallback_ = fields.boolean_or("byte_fallback", false);
  const Json& vocab = fields.value("vocab");
  const Place inside = place["vocab"];
  inside.check(vocab.is_array(), "found ", vocab.type_name(), ", expected a list of tokens and scores");
  const auto count = static_cast<int64_t>(vocab.size());
  inside.check(count <= Vocabulary::max_id + 1, count, " tokens, expected at most ", Vocabulary::max_id + 1);
  if (fields.has("unk_id")) {
    place["unk_id"].check(count > 0, "the vocabulary is empty");
    unknown_ = fields.integer("unk_id", 0, count - 1);
  }
  fields.finish();

  std::size_t bytes = 0;
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    const Json& entry = vocab[i];
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number())
      inside[i].fail("found ", entry.dump().substr(0, 80), ", expected a token and its score");
    bytes += entry[0].get_ref<const std::string&>().size();
  }
  vocabulary_.reserve(vocab.size(), bytes);
  edges_.assign(1024, {empty_edge, 0});
  values_.assign(1, -1);
  double lowest = std::numeric_limits<double>::infinity();
  for (std::size_t i = 0; i < vocab.size(); ++i) {
    const auto& token = vocab[i][0].get_ref<const std::string&>();
    const auto id = static_cast<uint32_t>(i);
    vocabulary_.add(token, id);
    scores_.push_back(vocab[i][1].get<double>());
    lowest = std::min(lowest, scores_.back());
    add_to_trie(token, id);
  }
  unknown_score_ = lowest - unknown_penalty;
  bytes_ = byte_tokens(vocabulary_);
}

uint32_t Unigram::child(uint32_t node, unsigned char byte) const {
  const uint64_t key = key_of(node, byte);
  const std::size_t mask = edges_.size() - 1;
  std::size_t at = (key * 0x9E37'79B9'7F4A'7C15 >> 32) & mask;
  while (edges_[at].key != empty_edge && edges_[at].key != key) at = (at + 1) & mask;
  return edges_[at].key == key ? edges_[at].node : 0;
}

uint32_t Unigram::make_child(uint32_t node, unsigned char byte) {
  const auto put = [&](Edge edge) {
    const std::size_t mask = edges_.size() - 1;
    std::size_t at = (edge.key * 0x9E37'79B9'7F4A'7C15 >> 32) & mask;
    while (edges_[at].key != empty_edge) at = (at + 1) & mask;
    edges_[at] = edge;
  };
  if (const uint32_t known = child(node, byte)) return known;
  if (2 * ++edge_count_ > edges_.size()) {
    std::vector<Edge> before(2 * edges_.size(), {empty_edge, 0});
    before.swap(edges_);
    for (const Edge& edge : before)
      if (edge.key != empty_edge) put(edge);
  }
  const auto made = static_cast<uint32_t>(values_.size());
  values_.push_back(-1);
  put({key_of(node, byte), made});
  return made;
}

void Unigram::add_to_trie(std::string_view token, uint32_t id) {
  if (token.empty()) return;
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(token[i]); };
  uint32_t& root = roots_[byte(0)];
  if (root == 0) {
    root = static_cast<uint32_t>(values_.size());
    values_.push_back(-1);
  }
  uint32_t node = root;
  for (std::size_t i = 1; i < token.size(); ++i) node = make_child(node, byte(i));
  values_[node] = static_cast<int32_t>(id);  // of two equal tokens the later one counts
}

void Unigram::best_path(std::string_view word, Workspace& work) const {
  auto& path = work.path;
  path.assign(word.size() + 1, {});
  const auto offer = [&](std::size_t to, double score, std::size_t from, uint32_t id) {
    Workspace::Step& step = path[to];
    if (step.from < 0 || score > step.score) step = {score, static_cast<int64_t>(from), id};
  };
  for (std::size_t at = 0; at < word.size();) {
    const std::size_t bytes = character_at(word, at).bytes;
    const double score = path[at].score;
    bool whole_character = false;
    uint32_t node = roots_[static_cast<unsigned char>(word[at])];
    for (std::size_t end = at + 1; node != 0; ++end) {
      if (const int32_t id = values_[node]; id >= 0) {
        offer(end, scores_[static_cast<std::size_t>(id)] + score, at, static_cast<uint32_t>(id));
        whole_character = whole_character || end - at == bytes;
      }
      if (end == word.size()) break;
      node = child(node, static_cast<unsigned char>(word[end]));
    }
    if (!whole_character) {
      if (unknown_ < 0)
        throw DataError(file_, "model.unk_id: needed for an unknown character, but there is none");
      offer(at + bytes, unknown_score_ + score, at, static_cast<uint32_t>(unknown_));
    }
    at += bytes;
  }
}

void Unigram::encode(std::string_view word, Workspace& work) const {
  best_path(word, work);
  // Backwards along the path: from each end to where its piece begins; the chain is turned round in place.
  auto& path = work.path;
  int64_t next = static_cast<int64_t>(word.size());
  for (int64_t at = next; at > 0;) {
    const int64_t from = path[static_cast<std::size_t>(at)].from;
    path[static_cast<std::size_t>(at)].from = next;  // the end of the piece after this one
    next = at;
    at = from;
  }
  for (auto begin = std::size_t{0}, end = static_cast<std::size_t>(next); begin < word.size();) {
    const auto is_unknown = [&](std::size_t piece_end) {
      return unknown_ >= 0 && path[piece_end].id == static_cast<uint32_t>(unknown_);
    };
    const bool unknown = is_unknown(end);
    std::size_t after = static_cast<std::size_t>(path[end].from);
    while (unknown && end < word.size() && is_unknown(after)) {
      end = after;
      after = static_cast<std::size_t>(path[end].from);
    }
    if (unknown)
      append_piece(word.substr(begin, end - begin), work);
    else
      work.ids.push_back(path[end].id);
    begin = end;
    end = after;
  }
}

// The reference looks a fused piece up again: it may be a token after all, or bytes.
void Unigram::append_piece(std::string_view piece, Workspace& work) const {
  if (const int32_t id = vocabulary_.find(piece); id >= 0) {
    work.ids.push_back(static_cast<uint32_t>(id));
    return;
  }
  const auto token_of = [&](char c) { return bytes_[static_cast<unsigned char>(c)]; };
  if (byte_fallback_ && std::all_of(piece.begin(), piece.end(), [&](char c) { return token_of(c) >= 0; })) {
    for (const char c : piece) work.ids.push_back(static_cast<uint32_t>(token_of(c)));
    return;
  }
  work.ids.push_back(static_cast<uint32_t>(unknown_));
}

}  // namespace unisim
