#include "tokenizer_pretokenize.h"

#include <algorithm>

#include "quote.h"
#include "tokenizer_bytes.h"
#include "unicode.h"

namespace unisim {
namespace {

/// Rewrites every piece that is no added token: `write(piece text, head, spare)` appends its new text and
/// returns the new head.
template <class Write>
void rewrite(Pieces& pieces, Pieces& spare, const Write& write) {
  spare.text.clear();
  spare.list.clear();
  for (const Piece& piece : pieces.list) {
    const auto begin = size32(spare.text);
    uint32_t head = 0;
    if (piece.token < 0)
      head = write(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin), piece.head);
    spare.list.push_back({begin, size32(spare.text), head, piece.token});
  }
  std::swap(pieces, spare);
}

}  // namespace

MetaspaceFields metaspace_fields(Fields& fields, const Place& place) {
  MetaspaceFields read;
  read.replacement = fields.string("replacement");
  character_of(read.replacement, place["replacement"]);
  read.prepend_scheme = fields.string_or("prepend_scheme", "always");
  read.split = fields.boolean_or("split", true);
  const bool known =
      read.prepend_scheme == "always" || read.prepend_scheme == "first" || read.prepend_scheme == "never";
  if (!known) place["prepend_scheme"].refuse(in_quotes(read.prepend_scheme), " is not known");
  // The older field says the same; when both are there they must agree.
  if (!fields.boolean_or("add_prefix_space", true))
    place["add_prefix_space"].check(read.prepend_scheme == "never", "false, but the prepend_scheme is ",
                                    in_quotes(read.prepend_scheme));
  fields.ignore({"str_rep"});
  return read;
}

PreTokenizer::PreTokenizer(const Json& json, const Place& place) {
  for (const Link& link : links_of(json, place, "pretokenizers")) read(link);
  // The model maps single bytes by itself; so a closing step that writes them as characters need not be run.
  if (!steps_.empty() && std::holds_alternative<ByteCharacters>(steps_.back())) {
    steps_.pop_back();
    bytes_at_end_ = true;
  }
}

PreTokenizer::Behavior PreTokenizer::behavior_of(const std::string& name, const Place& place) {
  if (name == "Removed") return Behavior::Removed;
  if (name == "Isolated") return Behavior::Isolated;
  if (name == "MergedWithPrevious") return Behavior::MergedWithPrevious;
  if (name == "MergedWithNext") return Behavior::MergedWithNext;
  if (name == "Contiguous") return Behavior::Contiguous;
  place.refuse("the behavior ", in_quotes(name), " is not known");
}

void PreTokenizer::read(const Link& link) {
  const auto& [json, place, type] = link;
  Fields fields = fields_of(*json, place);
  fields.ignore({"type"});
  if (type == "ByteLevel") {
    fields.boolean_or("trim_offsets", true);  // offsets are not ours
    if (fields.boolean("add_prefix_space")) steps_.emplace_back(PrefixSpace{});
    if (fields.boolean_or("use_regex", true))
      steps_.emplace_back(Split{Pattern::gpt2(), Behavior::Isolated, false});
    steps_.emplace_back(ByteCharacters{});
  } else if (type == "Split") {
    Pattern pattern = Pattern::read(fields.value("pattern"), place["pattern"]);
    const Behavior behavior = behavior_of(fields.string("behavior"), place["behavior"]);
    steps_.emplace_back(Split{std::move(pattern), behavior, fields.boolean("invert")});
  } else if (type == "Metaspace") {
    const MetaspaceFields m = metaspace_fields(fields, place);
    const Prepend prepend = m.prepend_scheme == "always"  ? Prepend::Always
                            : m.prepend_scheme == "first" ? Prepend::First
                                                          : Prepend::Never;
    steps_.emplace_back(Metaspace{m.replacement, prepend, m.split});
  } else if (type == "Whitespace") {
    steps_.emplace_back(Split{Pattern::words(), Behavior::Removed, true});
  } else if (type == "WhitespaceSplit") {
    steps_.emplace_back(Split{Pattern::of_class(unicode::space), Behavior::Removed, false});
  } else if (type == "Digits") {
    const bool each = fields.boolean("individual_digits");
    steps_.emplace_back(
        Split{Pattern::of_class(unicode::numeral), each ? Behavior::Isolated : Behavior::Contiguous, false});
  } else if (type == "Punctuation") {
    const Behavior behavior = behavior_of(fields.string_or("behavior", "Isolated"), place["behavior"]);
    steps_.emplace_back(Split{Pattern::of_class(unicode::punctuation), behavior, false});
  } else if (type == "BertPreTokenizer") {
    steps_.emplace_back(Split{Pattern::of_class(unicode::space), Behavior::Removed, false});
    steps_.emplace_back(Split{Pattern::of_class(unicode::punctuation), Behavior::Isolated, false});
  } else if (type == "CharDelimiterSplit") {
    const std::string delimiter = fields.string("delimiter");
    character_of(delimiter, place["delimiter"]);
    steps_.emplace_back(Split{Pattern::of_text(delimiter), Behavior::Removed, false});
  } else {
    place.refuse("the pre-tokenizer ", in_quotes(type), " is not known");
  }
  fields.finish();
}

/// Joins stretches as the behaviour says, and marks with `match` those that go.
void PreTokenizer::cut(std::vector<Stretch>& stretches, Behavior behavior) {
  if (behavior == Behavior::Removed) return;
  if (behavior == Behavior::Isolated) {
    for (Stretch& s : stretches) s.match = false;
    return;
  }
  const bool backwards = behavior == Behavior::MergedWithNext;
  if (backwards) std::reverse(stretches.begin(), stretches.end());
  bool previous = false;
  std::size_t kept = 0;
  for (const Stretch s : stretches) {
    const bool join = behavior == Behavior::Contiguous ? s.match == previous : s.match && !previous;
    if (join && kept > 0) {
      Stretch& last = stretches[kept - 1];
      last = {std::min(last.begin, s.begin), std::max(last.end, s.end), false};
    } else {
      stretches[kept++] = {s.begin, s.end, false};
    }
    previous = s.match;
  }
  stretches.resize(kept);
  if (backwards) std::reverse(stretches.begin(), stretches.end());
}

void PreTokenizer::split(const Split& step, Pieces& pieces, std::vector<Piece>& spare,
                         std::vector<Stretch>& stretches) {
  spare.clear();
  for (const Piece& piece : pieces.list) {
    if (piece.token >= 0) {
      spare.push_back(piece);
      continue;
    }
    step.pattern.stretches(std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin),
                           stretches);
    if (step.invert)
      for (Stretch& s : stretches) s.match = !s.match;
    cut(stretches, step.behavior);
    for (const Stretch& s : stretches) {
      if (s.match) continue;
      const Piece cut_off = piece_of(s.begin, s.end, piece.head);
      spare.push_back({piece.begin + cut_off.begin, piece.begin + cut_off.end, cut_off.head, -1});
    }
  }
  pieces.list.swap(spare);
}

void PreTokenizer::metaspace(const Metaspace& step, Pieces& pieces, Pieces& spare) {
  rewrite(pieces, spare, [&](std::string_view text, uint32_t head) {
    const auto begin = size32(spare.text);
    const bool wanted = step.prepend == Prepend::Always || (step.prepend == Prepend::First && head > 0);
    if (wanted && !text.empty() && text[0] != ' ' && !text.starts_with(step.replacement))
      spare.text += step.replacement;
    const uint32_t prepended = size32(spare.text) - begin;
    uint32_t new_head = 0;
    for (std::size_t at = 0; at < text.size(); ++at) {
      if (text[at] == ' ')
        spare.text += step.replacement;
      else
        spare.text.push_back(text[at]);
      if (at + 1 == head) new_head = size32(spare.text) - begin;
    }
    return head > 0 ? std::max(new_head, prepended) : 0;
  });
}

void PreTokenizer::apply(Pieces& pieces) const {
  Pieces spare;
  std::vector<Stretch> stretches;
  for (const Step& step : steps_) {
    if (const auto* s = std::get_if<Split>(&step)) {
      split(*s, pieces, spare.list, stretches);
    } else if (const auto* m = std::get_if<Metaspace>(&step)) {
      metaspace(*m, pieces, spare);
      if (m->split)
        split({Pattern::of_text(m->replacement), Behavior::MergedWithNext, false}, pieces, spare.list,
              stretches);
    } else if (std::holds_alternative<PrefixSpace>(step)) {
      rewrite(pieces, spare, [&](std::string_view text, uint32_t head) {
        const bool prefix = !text.empty() && text[0] != ' ';
        if (prefix) spare.text.push_back(' ');
        spare.text += text;
        return head > 0 && prefix ? head + 1 : head;
      });
    } else {
      rewrite(pieces, spare, [&](std::string_view text, uint32_t head) {
        const auto begin = size32(spare.text);
        append_byte_characters(text.substr(0, head), spare.text);
        const auto new_head = size32(spare.text) - begin;
        append_byte_characters(text.substr(head), spare.text);
        return new_head;
      });
    }
  }
}

}  // namespace unisim
