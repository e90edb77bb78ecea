#pragma once

#include <unisim/error.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"

/// What the parts of a tokenizer share: where in the file a part was read, and the text on its way through
/// them.
namespace unisim {

/// A place in a tokenizer.json, for messages: "pre_tokenizer.pretokenizers[1]".
struct Place {
  const std::filesystem::path& file;
  std::string key;

  Place operator[](std::string_view name) const { return {file, text_of(key, key.empty() ? "" : ".", name)}; }
  Place operator[](std::size_t index) const { return {file, text_of(key, "[", index, "]")}; }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw DataError(file, text_of(key, ": ", parts...));
  }
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    throw Unsupported(file, text_of(key, ": ", parts...));
  }
  template <class... Parts>
  void check(bool holds, const Parts&... parts) const {
    if (!holds) fail(parts...);
  }
};

inline Fields fields_of(const Json& json, const Place& place) { return {json, place.file, place.key}; }

/// The parts of a {"type": "Sequence"} in order, nested ones opened, anything else alone: what a chain runs
/// through. The list's key differs by section ("normalizers", "pretokenizers", "processors", "decoders").
struct Link {
  const Json* json;
  Place place;
  std::string type;
};
std::vector<Link> links_of(const Json& json, const Place& place, std::string_view list_key);

/// The one character of a string such as "replacement": "▁".
char32_t character_of(const std::string& text, const Place& place);

/// [begin, end) of a text, in bytes.
struct ByteRange {
  uint32_t begin, end;
};

/// A piece of the text that awaits the model, or an added token that was found in it.
struct Piece {
  uint32_t begin, end;
  /// How many of its first bytes come from the first character of the caller's text (Metaspace's "first"
  /// asks).
  uint32_t head;
  int32_t token;  ///< id of an added token, or -1
};

/// The piece [begin, end) of a stretch whose first `head` bytes come from the first character.
inline Piece piece_of(uint32_t begin, uint32_t end, uint32_t head, int32_t token = -1) {
  return {begin, end, head > begin ? std::min(head, end) - begin : 0, token};
}

/// The text between two parts, cut into pieces that follow each other in it.
struct Pieces {
  std::string text;
  std::vector<Piece> list;
};

inline uint32_t size32(std::string_view text) { return static_cast<uint32_t>(text.size()); }

}  // namespace unisim
