#include "tokenizer_decode.h"

#include <array>
#include <utility>

#include "quote.h"
#include "tokenizer_bytes.h"
#include "tokenizer_pretokenize.h"
#include "unicode.h"

namespace unisim {
namespace {

std::string joined(const std::vector<std::string>& tokens, std::string_view between) {
  std::string text;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0) text += between;
    text += tokens[i];
  }
  return text;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + with.size()))
    text.replace(at, what.size(), with);
}

int hexadecimal(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/// The byte of "<0x41>" (the reference reads a sign too: "<0x+1>"), or -1.
int byte_of(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = token[3] == '+' ? 0 : hexadecimal(token[3]);
  const int low = hexadecimal(token[4]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/// The bytes that GPT-2's characters stand for; a token with any other character stands for itself.
void append_token_bytes(const std::string& token, std::string& to) {
  const std::size_t before = to.size();
  for (std::size_t at = 0; at < token.size();) {
    const Character c = character_at(token, at);
    const int byte = c.code < byte_characters.byte.size() ? byte_characters.byte[c.code] : -1;
    if (byte < 0) {
      to.resize(before);
      to += token;
      return;
    }
    to.push_back(static_cast<char>(byte));
    at += c.bytes;
  }
}

}  // namespace

Decoder::Decoder(const Json& json, const Place& place) : given_(!json.is_null()) {
  for (const Link& link : links_of(json, place, "decoders")) steps_.push_back(read(link));
}

Decoder::Step Decoder::read(const Link& link) {
  const auto& [json, place, type] = link;
  Fields fields = fields_of(*json, place);
  fields.ignore({"type"});
  const auto done = [&](Step step) {
    fields.finish();
    return step;
  };
  if (type == "ByteLevel") {
    fields.ignore({"add_prefix_space", "trim_offsets", "use_regex"});  // for encoding
    return done(ByteLevel{});
  }
  if (type == "ByteFallback") return done(ByteFallback{});
  if (type == "Fuse") return done(Fuse{});
  if (type == "BPEDecoder") {
    const std::string suffix = fields.string("suffix");
    if (suffix.empty()) place["suffix"].refuse("an empty suffix");
    return done(Bpe{suffix});
  }
  if (type == "WordPiece") {
    const std::string prefix = fields.string("prefix");
    return done(WordPiece{prefix, fields.boolean("cleanup")});
  }
  if (type == "Metaspace") {
    const MetaspaceFields m = metaspace_fields(fields, place);
    return done(Metaspace{m.replacement, m.prepend_scheme != "never"});
  }
  if (type == "Replace") {
    Pattern pattern = Pattern::read(fields.value("pattern"), place["pattern"]);
    return done(Replace{std::move(pattern), fields.string("content")});
  }
  if (type == "Strip") {
    const std::string content = fields.string("content");
    character_of(content, place["content"]);
    const int64_t start = fields.integer("start", 0, INT32_MAX);
    return done(Strip{content, start, fields.integer("stop", 0, INT32_MAX)});
  }
  place.refuse("the decoder ", in_quotes(type), " is not known");
}

std::string Decoder::apply(Tokens tokens) const {
  for (const Step& step : steps_) std::visit([&](const auto& s) { run(s, tokens); }, step);
  return joined(tokens, given_ ? "" : " ");
}

void Decoder::run(const ByteLevel&, Tokens& tokens) {
  std::string bytes;
  for (const std::string& token : tokens) append_token_bytes(token, bytes);
  tokens.assign(1, is_utf8(bytes) ? std::move(bytes) : repaired_utf8(bytes));
}

// A run of byte tokens that is not UTF-8 becomes one U+FFFD a byte.
void Decoder::run(const ByteFallback&, Tokens& tokens) {
  Tokens out;
  std::string bytes;
  const auto flush = [&] {
    if (bytes.empty()) return;
    if (is_utf8(bytes))
      out.push_back(bytes);
    else
      out.insert(out.end(), bytes.size(), "\uFFFD");
    bytes.clear();
  };
  for (std::string& token : tokens) {
    if (const int byte = byte_of(token); byte >= 0) {
      bytes.push_back(static_cast<char>(byte));
    } else {
      flush();
      out.push_back(std::move(token));
    }
  }
  flush();
  tokens = std::move(out);
}

void Decoder::run(const Fuse&, Tokens& tokens) { tokens.assign(1, joined(tokens, "")); }

void Decoder::run(const Bpe& step, Tokens& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    replace_all(tokens[i], step.suffix, i + 1 == tokens.size() ? "" : " ");
}

void Decoder::run(const WordPiece& step, Tokens& tokens) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 11> english = {{{" .", "."},
                                                                                      {" ?", "?"},
                                                                                      {" !", "!"},
                                                                                      {" ,", ","},
                                                                                      {" ' ", "'"},
                                                                                      {" n't", "n't"},
                                                                                      {" 'm", "'m"},
                                                                                      {" do not", " don't"},
                                                                                      {" 's", "'s"},
                                                                                      {" 've", "'ve"},
                                                                                      {" 're", "'re"}}};
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    if (i > 0 && tokens[i].starts_with(step.prefix))
      tokens[i].erase(0, step.prefix.size());
    else if (i > 0)
      tokens[i].insert(0, 1, ' ');
    if (step.cleanup)
      for (const auto& [what, with] : english) replace_all(tokens[i], what, with);
  }
}

void Decoder::run(const Metaspace& step, Tokens& tokens) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    replace_all(tokens[i], step.replacement, i == 0 && step.drops_first ? "" : " ");
}

void Decoder::run(const Replace& step, Tokens& tokens) {
  std::vector<Stretch> stretches;
  for (std::string& token : tokens) {
    step.pattern.stretches(token, stretches);
    std::string out;
    for (const Stretch& s : stretches) out += s.match ? step.content : token.substr(s.begin, s.end - s.begin);
    token = std::move(out);
  }
}

void Decoder::run(const Strip& step, Tokens& tokens) {
  for (std::string& token : tokens) {
    for (int64_t i = 0; i < step.start && token.starts_with(step.content); ++i)
      token.erase(0, step.content.size());
    for (int64_t i = 0; i < step.stop && token.ends_with(step.content); ++i)
      token.erase(token.size() - step.content.size());
  }
}

}  // namespace unisim
