#include "tokenizer_precompiled.h"

#include "unicode.h"

namespace unisim {
namespace {

std::string decoded_base64(const std::string& text, const Place& place) {
  const auto value_of = [](char c) -> int {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
  };
  place.check(text.size() % 4 == 0, "base64 of ", text.size(), " characters, expected a multiple of 4");
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  for (std::size_t at = 0; at < text.size(); at += 4) {
    const bool last = at + 4 == text.size();
    const int padding = !last ? 0 : text[at + 3] != '=' ? 0 : text[at + 2] != '=' ? 1 : 2;
    uint32_t bits = 0;
    for (std::size_t i = 0; i < 4; ++i) {
      const int value = static_cast<int>(i) >= 4 - padding ? 0 : value_of(text[at + i]);
      place.check(value >= 0, "no base64 at character ", at + i);
      bits = bits << 6 | static_cast<uint32_t>(value);
    }
    for (int i = 0; i < 3 - padding; ++i) bytes.push_back(static_cast<char>(bits >> (16 - 8 * i) & 0xFF));
  }
  return bytes;
}

uint32_t little_endian(std::string_view bytes, std::size_t at) {
  uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + i]);
  return value;
}

// A unit of the double array: a label, whether a value hangs below, and the offset to the children.
bool has_value(uint32_t unit) { return (unit >> 8 & 1) != 0; }
uint32_t value_of_leaf(uint32_t unit) { return unit & 0x7FFF'FFFF; }
uint32_t label_of(uint32_t unit) { return unit & 0x8000'00FF; }
uint32_t offset_of(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

}  // namespace

CharacterMap::CharacterMap(const std::string& base64, const Place& place)
    : file_(place.file), key_(place.key) {
  const std::string bytes = decoded_base64(base64, place);
  place.check(bytes.size() >= 4, "a character map of ", bytes.size(), " bytes, expected at least 4");
  const std::size_t trie_bytes = little_endian(bytes, 0);
  place.check(trie_bytes % 4 == 0 && trie_bytes >= 4, "a trie of ", trie_bytes,
              " bytes, expected a multiple of 4");
  place.check(trie_bytes <= bytes.size() - 4, "a trie of ", trie_bytes, " bytes in a character map of ",
              bytes.size(), " bytes");
  units_.resize(trie_bytes / 4);
  for (std::size_t i = 0; i < units_.size(); ++i) units_[i] = little_endian(bytes, 4 + 4 * i);
  values_ = bytes.substr(4 + trie_bytes);
  place.check(is_utf8(values_), "replacements that are not UTF-8");
  for (std::size_t c = 1; c < unchanged_.size(); ++c) {
    const std::size_t child = offset_of(units_[0]) ^ c;
    unchanged_[c] = child >= units_.size() || label_of(units_[child]) != c;
  }
  unchanged_[0] = true;
}

std::optional<std::string_view> CharacterMap::find(std::string_view key) const {
  const auto broken = [&](const char* what) { throw DataError(file_, text_of(key_, ": ", what)); };
  std::size_t node = offset_of(units_[0]);
  for (const char c : key) {
    const auto byte = static_cast<unsigned char>(c);
    node ^= byte;
    if (byte == 0 || node >= units_.size()) return std::nullopt;
    const uint32_t unit = units_[node];
    if (label_of(unit) != byte) return std::nullopt;
    node ^= offset_of(unit);
    if (!has_value(unit)) continue;
    if (node >= units_.size()) broken("a key without its value");
    const std::size_t begin = value_of_leaf(units_[node]);
    if (begin >= values_.size() || (static_cast<unsigned char>(values_[begin]) & 0xC0) == 0x80)
      broken("a value that is no place in the replacements");
    return std::string_view(values_).substr(begin, values_.find('\0', begin) - begin);
  }
  return std::nullopt;
}

void CharacterMap::replace(std::string_view cluster, std::string& to) const {
  if (cluster.size() < 6) {
    if (const auto value = find(cluster)) {
      to += *value;
      return;
    }
  }
  for (std::size_t at = 0; at < cluster.size();) {
    const std::string_view character = cluster.substr(at, character_at(cluster, at).bytes);
    to += find(character).value_or(character);
    at += character.size();
  }
}

void CharacterMap::apply(std::string& text, uint32_t& head, std::string& spare) const {
  spare.clear();
  uint32_t new_head = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool alone =
        at + 1 == text.size() || (static_cast<unsigned char>(text[at + 1]) < 0x80 && byte != '\r');
    if (byte < 0x80 && alone && unchanged_[byte]) {
      spare.push_back(text[at++]);
    } else {
      const std::size_t bytes = grapheme_bytes(text, at);
      replace(std::string_view(text).substr(at, bytes), spare);
      at += bytes;
    }
    if (at <= head || (new_head == 0 && head > 0)) new_head = size32(spare);
  }
  head = new_head;
  text.swap(spare);
}

}  // namespace unisim
