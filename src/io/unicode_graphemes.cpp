#include <utf8proc.h>

#include "unicode.h"

namespace unisim {

std::size_t grapheme_bytes(std::string_view text, std::size_t at) {
  Character c = character_at(text, at);
  std::size_t end = at + c.bytes;
  utf8proc_int32_t state = 0;
  while (end < text.size()) {
    const Character next = character_at(text, end);
    if (utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c.code),
                                         static_cast<utf8proc_int32_t>(next.code), &state))
      break;
    end += next.bytes;
    c = next;
  }
  return end - at;
}

}  // namespace unisim
