#include "tokenizer_normalize.h"

#include <utf8proc.h>

#include <algorithm>

#include "quote.h"
#include "tokenizer_bytes.h"

namespace unisim {
namespace {

/// Writes each character anew: `write(code, spare)`.
template <class Write>
void map_characters(std::string& text, uint32_t& head, std::string& spare, const Write& write) {
  spare.clear();
  uint32_t new_head = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Character c = character_at(text, at);
    write(c.code, spare);
    at += c.bytes;
    if (at <= head) new_head = size32(spare);
  }
  head = new_head;
  text.swap(spare);
}

void lowercase(std::string& text, uint32_t& head, std::string& spare) {
  if (is_ascii(text)) {
    for (char& c : text)
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  } else {
    map_characters(text, head, spare, [](char32_t code, std::string& to) { append_lower(to, code); });
  }
}

void to_form(NormalForm form, std::string& text, uint32_t& head) {
  if (is_ascii(text)) return;
  std::string first = text.substr(0, head);
  normalize_unicode(form, text);
  normalize_unicode(form, first);
  head = std::min(size32(first), size32(text));
}

void replace(const Pattern& pattern, const std::string& content, std::string& text, uint32_t& head,
             std::string& spare) {
  std::vector<Stretch> stretches;
  pattern.stretches(text, stretches);
  if (stretches.size() < 2 && (stretches.empty() || !stretches[0].match)) return;
  spare.clear();
  uint32_t new_head = 0;
  for (const Stretch& s : stretches) {
    const auto before = size32(spare);
    if (s.match) {
      spare += content;  // it comes from the match's last character
      if (s.end <= head) new_head = size32(spare);
    } else {
      spare.append(text, s.begin, s.end - s.begin);
      if (s.begin < head) new_head = before + std::min(head, s.end) - s.begin;
    }
  }
  head = new_head;
  text.swap(spare);
}

void strip(bool left, bool right, std::string& text, uint32_t& head) {
  if (right) {
    while (!text.empty()) {
      const Character c = character_before(text, text.size());
      if ((classes_of(c.code) & unicode::space) == 0) break;
      text.erase(text.size() - c.bytes);
    }
  }
  if (left) {
    std::size_t at = 0;
    while (at < text.size()) {
      const Character c = character_at(text, at);
      if ((classes_of(c.code) & unicode::space) == 0) break;
      at += c.bytes;
    }
    text.erase(0, at);
    head -= std::min(head, static_cast<uint32_t>(at));
  }
  head = std::min(head, size32(text));
}

/// The rules of nmt_nfkc: control characters go, other white space becomes a space.
void append_nmt(char32_t code, std::string& to) {
  const bool removed = (code >= 0x01 && code <= 0x08) || code == 0x0B || (code >= 0x0E && code <= 0x1F) ||
                       code == 0x7F || code == 0x8F || code == 0x9F;
  if (removed) return;
  const bool blank = code == 0x09 || code == 0x0A || code == 0x0C || code == 0x0D || code == 0x1680 ||
                     (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 ||
                     code == 0x2581 || code == 0xFEFF || code == 0xFFFD;
  append_utf8(to, blank ? U' ' : code);
}

}  // namespace

Normalizer::Normalizer(const Json& json, const Place& place) {
  for (const Link& link : links_of(json, place, "normalizers")) steps_.push_back(read(link));
}

Normalizer::Step Normalizer::read(const Link& link) {
  const auto& [json, place, type] = link;
  Fields fields = fields_of(*json, place);
  fields.ignore({"type"});
  const auto done = [&](Step step) {
    fields.finish();
    return step;
  };
  if (type == "NFC") return done(Form{NormalForm::C});
  if (type == "NFD") return done(Form{NormalForm::D});
  if (type == "NFKC") return done(Form{NormalForm::KC});
  if (type == "NFKD") return done(Form{NormalForm::KD});
  if (type == "Lowercase") return done(Lowercase{});
  if (type == "StripAccents") return done(StripAccents{});
  if (type == "Nmt") return done(Nmt{});
  if (type == "ByteLevel") return done(ByteLevel{});
  if (type == "Strip") {
    const bool left = fields.boolean("strip_left");
    return done(Strip{left, fields.boolean("strip_right")});
  }
  if (type == "Prepend") return done(Prepend{fields.string("prepend")});
  if (type == "Replace") {
    Pattern pattern = Pattern::read(fields.value("pattern"), place["pattern"]);
    return done(Replace{std::move(pattern), fields.string("content")});
  }
  if (type == "Precompiled")
    return done(CharacterMap(fields.string("precompiled_charsmap"), place["precompiled_charsmap"]));
  place.refuse("the normalizer ", in_quotes(type), " is not known");
}

void Normalizer::apply(std::string& text, uint32_t& head) const {
  std::string spare;
  for (const Step& step : steps_) {
    if (text.empty()) return;
    if (const auto* form = std::get_if<Form>(&step)) {
      to_form(form->form, text, head);
    } else if (std::holds_alternative<Lowercase>(step)) {
      lowercase(text, head, spare);
    } else if (const auto* r = std::get_if<Replace>(&step)) {
      replace(r->pattern, r->content, text, head, spare);
    } else if (const auto* s = std::get_if<Strip>(&step)) {
      strip(s->left, s->right, text, head);
    } else if (std::holds_alternative<StripAccents>(step)) {
      map_characters(text, head, spare, [](char32_t code, std::string& to) {
        if (!is_mark_of_unicode_9(code)) append_utf8(to, code);
      });
    } else if (const auto* p = std::get_if<Prepend>(&step)) {
      spare.assign(p->text).append(text);
      text.swap(spare);
      if (head > 0) head += size32(p->text);
    } else if (std::holds_alternative<Nmt>(step)) {
      map_characters(text, head, spare, [](char32_t code, std::string& to) { append_nmt(code, to); });
    } else if (std::holds_alternative<ByteLevel>(step)) {
      map_characters(text, head, spare, [](char32_t code, std::string& to) {
        std::string bytes;
        append_utf8(bytes, code);
        append_byte_characters(bytes, to);
      });
    } else {
      std::get<CharacterMap>(step).apply(text, head, spare);
    }
  }
}

}  // namespace unisim
