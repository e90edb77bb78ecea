#include <algorithm>
#include <bit>
#include <cstdio>

#include "quote.h"
#include "tokenizer_bytes.h"
#include "tokenizer_model.h"
#include "unicode.h"

namespace unisim {

std::array<int32_t, 256> byte_tokens(const Vocabulary& vocabulary) {
  std::array<int32_t, 256> tokens{};
  for (std::size_t b = 0; b < tokens.size(); ++b) {
    char name[8];
    std::snprintf(name, sizeof name, "<0x%02X>", static_cast<unsigned>(b));
    tokens[b] = vocabulary.find(name);
  }
  return tokens;
}

Bpe::Bpe(const Json& json, const Place& place) : file_(place.file) {
  Fields fields = fields_of(json, place);
  fields.ignore({"type"});
  if (fields.has("dropout") && fields.number("dropout") != 0)
    place["dropout"].refuse("dropout is for training");
  fields.ignore({"dropout"});
  has_unknown_ = fields.has("unk_token");
  unknown_token_ = fields.string_or("unk_token", "");
  prefix_ = fields.string_or("continuing_subword_prefix", "");
  suffix_ = fields.string_or("end_of_word_suffix", "");
  fuse_unknown_ = fields.boolean_or("fuse_unk", false);
  byte_fallback_ = fields.boolean_or("byte_fallback", false);
  ignore_merges_ = fields.boolean_or("ignore_merges", false);
  read_vocabulary(fields.value("vocab"), place["vocab"]);
  read_merges(fields.value("merges"), place["merges"]);
  fields.finish();
  if (has_unknown_) unknown_ = vocabulary_.find(unknown_token_);
  bytes_ = byte_tokens(vocabulary_);
  prepare_bytes();
}

void Bpe::read_vocabulary(const Json& vocab, const Place& place) {
  place.check(vocab.is_object(), "found ", vocab.type_name(), ", expected an object of tokens and ids");
  std::size_t bytes = 0;
  for (const auto& [token, id] : vocab.items()) bytes += token.size();
  vocabulary_.reserve(vocab.size(), bytes);
  for (const auto& [token, id] : vocab.items()) {
    const bool whole = id.is_number_integer() && (id.is_number_unsigned() || id.get<int64_t>() >= 0);
    if (!whole || id.get<uint64_t>() > static_cast<uint64_t>(Vocabulary::max_id))
      place[token].fail("found ", id.dump(), ", expected an id from 0 to ", Vocabulary::max_id);
    const auto number = id.get<uint32_t>();
    if (vocabulary_.has(number))
      place[token].fail("the id ", number, " is ", in_quotes(vocabulary_.token(number)), "'s already");
    vocabulary_.add(token, number);
  }
}

void Bpe::read_merges(const Json& merges, const Place& place) {
  place.check(merges.is_array(), "found ", merges.type_name(), ", expected a list");
  merges_.assign(std::bit_ceil(2 * merges.size() + 2), {0, UINT32_MAX, 0});
  std::string merged;
  uint32_t rank = 0;
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const Json& entry = merges[i];
    if (entry.is_array()) {
      if (entry.size() != 2 || !entry[0].is_string() || !entry[1].is_string())
        place[i].fail("found ", entry.dump().substr(0, 80), ", expected two tokens");
      add_merge(entry[0].get_ref<const std::string&>(), entry[1].get_ref<const std::string&>(), rank++,
                place[i], merged);
      continue;
    }
    if (!entry.is_string())
      place[i].fail("found ", entry.type_name(), ", expected \"left right\" or two tokens");
    const std::string_view line = entry.get_ref<const std::string&>();
    if (line.starts_with("#version")) continue;
    const std::size_t space = line.find(' ');
    if (space == line.npos || line.find(' ', space + 1) != line.npos)
      place[i].fail("found ", in_quotes(line), ", expected two tokens with one space between them");
    add_merge(line.substr(0, space), line.substr(space + 1), rank++, place[i], merged);
  }
}

void Bpe::add_merge(std::string_view left, std::string_view right, uint32_t rank, const Place& place,
                    std::string& merged) {
  const auto known = [&](std::string_view token) {
    const int32_t id = vocabulary_.find(token);
    if (id < 0) place.fail("the token ", in_quotes(token), " is not in the vocabulary");
    return static_cast<uint32_t>(id);
  };
  const uint32_t left_id = known(left), right_id = known(right);
  if (right.size() < prefix_.size())
    place.fail("the token ", in_quotes(right), " is shorter than the prefix ", in_quotes(prefix_));
  merged.assign(left);
  merged += right.substr(prefix_.size());
  const uint64_t pair = uint64_t{left_id} << 32 | right_id;
  merges_[slot_of(pair)] = {pair, rank,
                            known(merged)};  // of two lines with the same pair the later one counts
}

/// Where a word is plain bytes and the vocabulary has every byte, its symbols need no look-up.
void Bpe::prepare_bytes() {
  every_byte_known_ = true;
  const auto find = [&](std::size_t byte, bool first, bool last) {
    std::string symbol = first ? "" : prefix_;
    const char raw = static_cast<char>(byte);
    append_byte_characters({&raw, 1}, symbol);
    if (last) symbol += suffix_;
    const int32_t id = vocabulary_.find(symbol);
    every_byte_known_ = every_byte_known_ && id >= 0;
    return id;
  };
  for (std::size_t b = 0; b < 256; ++b) {
    first_[b] = find(b, true, false);
    middle_[b] = find(b, false, false);
    last_[b] = find(b, false, true);
    only_[b] = find(b, true, true);
  }
}

Model read_model(const Json& json, const Place& place) {
  place.check(json.is_object(), "found ", json.type_name(), ", expected an object");
  const auto found = json.find("type");
  std::string type;
  if (found != json.end()) {
    place["type"].check(found->is_string(), "found ", found->type_name(), ", expected a string");
    type = found->get<std::string>();
  } else {
    place.check(json.contains("merges"), "no type, and no merges to tell it by");
    type = "BPE";
  }
  if (type == "BPE") return Model(std::in_place_type<Bpe>, json, place);
  if (type == "Unigram") return Model(std::in_place_type<Unigram>, json, place);
  place["type"].refuse("the model ", in_quotes(type), " is not known");
}

}  // namespace unisim
