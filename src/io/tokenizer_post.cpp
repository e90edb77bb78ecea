#include "tokenizer_post.h"

#include <algorithm>
#include <map>

#include "quote.h"

namespace unisim {
namespace {

constexpr int64_t longest_sequence = int64_t{1} << 24;
constexpr std::size_t most_pieces = 1024;

int64_t id_of(const Json& json, const Place& place, const PostProcessor::IsToken& is_token) {
  const bool whole = json.is_number_integer() && (json.is_number_unsigned() || json.get<int64_t>() >= 0);
  place.check(whole && json.get<uint64_t>() < uint64_t{1} << 32 && is_token(json.get<int64_t>()), "found ",
              json.dump().substr(0, 80), ", expected an id of the vocabulary");
  return json.get<int64_t>();
}

/// "special_tokens" of a template: the ids of each name.
std::map<std::string, std::vector<int64_t>> special_tokens_of(const Json& json, const Place& place,
                                                              const PostProcessor::IsToken& is_token) {
  place.check(json.is_object(), "found ", json.type_name(), ", expected an object");
  std::map<std::string, std::vector<int64_t>> tokens;
  for (const auto& [name, entry] : json.items()) {
    Fields fields = fields_of(entry, place[name]);
    fields.string("id");
    const Json& ids = fields.value("ids");
    const Json& names = fields.value("tokens");
    fields.finish();
    place[name].check(
        ids.is_array() && names.is_array() && ids.size() == names.size() && ids.size() <= most_pieces,
        "ids and tokens are not lists of one length, at most ", most_pieces);
    for (std::size_t i = 0; i < ids.size(); ++i)
      tokens[name].push_back(id_of(ids[i], place[name]["ids"][i], is_token));
  }
  return tokens;
}

/// {"Sequence": {"id": ...}} or {"SpecialToken": {"id": ...}}: which, and the id.
std::pair<bool, std::string> template_piece(const Json& json, const Place& place) {
  Fields fields = fields_of(json, place);
  const bool is_sequence = fields.has("Sequence");
  Fields inside = fields.object(is_sequence ? "Sequence" : "SpecialToken");
  std::string id = inside.string("id");
  inside.integer("type_id", 0, INT32_MAX);
  inside.finish();
  fields.finish();
  return {is_sequence, std::move(id)};
}

}  // namespace

PostProcessor::PostProcessor(const Json& processor, const Json& truncation, const Json& padding,
                             const std::filesystem::path& file, const IsToken& is_token) {
  for (const Link& link : links_of(processor, {file, "post_processor"}, "processors")) {
    if (link.type == "TemplateProcessing") {
      read_template(link, is_token);
    } else if (link.type == "RobertaProcessing" || link.type == "BertProcessing") {
      read_cls_sep(link, is_token);
    } else if (link.type == "ByteLevel") {
      Fields fields = fields_of(*link.json, link.place);
      fields.ignore({"type", "add_prefix_space", "trim_offsets", "use_regex"});  // offsets are not ours
      fields.finish();
    } else {
      link.place.refuse("the post-processor ", in_quotes(link.type), " is not known");
    }
  }
  for (const Template& t : templates_)
    added_ += static_cast<int64_t>(std::count_if(t.pieces.begin(), t.pieces.end(),
                                                 [](int64_t piece) { return piece != Template::sequence; }));
  if (!truncation.is_null()) read_truncation(truncation, {file, "truncation"});
  if (!padding.is_null()) read_padding(padding, {file, "padding"}, is_token);
}

void PostProcessor::read_template(const Link& link, const IsToken& is_token) {
  Fields fields = fields_of(*link.json, link.place);
  fields.ignore({"type", "pair"});  // of two sequences
  const Json& single = fields.value("single");
  const auto special =
      special_tokens_of(fields.value("special_tokens"), link.place["special_tokens"], is_token);
  fields.finish();
  const Place place = link.place["single"];
  place.check(single.is_array(), "found ", single.type_name(), ", expected a list");
  place.check(single.size() <= most_pieces, single.size(), " pieces, expected at most ", most_pieces);
  Template made;
  int64_t sequences = 0;
  for (std::size_t i = 0; i < single.size(); ++i) {
    const auto [is_sequence, id] = template_piece(single[i], place[i]);
    if (is_sequence) {
      place[i].check(id == "A", "the sequence ", in_quotes(id),
                     ", expected \"A\": there is no other in a single text");
      made.pieces.push_back(Template::sequence);
      ++sequences;
      continue;
    }
    const auto found = special.find(id);
    place[i].check(found != special.end(), "the special token ", in_quotes(id),
                   " is not among special_tokens");
    made.pieces.insert(made.pieces.end(), found->second.begin(), found->second.end());
  }
  place.check(sequences <= 1, "the text ", sequences, " times, expected at most once");
  place.check(made.pieces.size() <= most_pieces, made.pieces.size(), " tokens, expected at most ",
              most_pieces);
  templates_.push_back(std::move(made));
}

void PostProcessor::read_cls_sep(const Link& link, const IsToken& is_token) {
  Fields fields = fields_of(*link.json, link.place);
  fields.ignore({"type", "trim_offsets", "add_prefix_space"});
  const auto token = [&](std::string_view key) {
    const Json& pair = fields.value(key);
    const Place place = link.place[key];
    place.check(pair.is_array() && pair.size() == 2 && pair[0].is_string(), "found ",
                pair.dump().substr(0, 80), ", expected a token and its id");
    return id_of(pair[1], place[1], is_token);
  };
  const int64_t sep = token("sep");
  templates_.push_back({{token("cls"), Template::sequence, sep}});
  fields.finish();
}

void PostProcessor::read_truncation(const Json& json, const Place& place) {
  Fields fields = fields_of(json, place);
  const std::string direction = fields.string_or("direction", "Right");
  const std::string strategy = fields.string("strategy");
  max_length_ = fields.integer("max_length", 0, longest_sequence);
  const int64_t stride = fields.integer("stride", 0, longest_sequence);
  fields.finish();
  if (direction != "Left" && direction != "Right")
    place["direction"].refuse(in_quotes(direction), " is not known");
  if (strategy != "LongestFirst" && strategy != "OnlyFirst")
    place["strategy"].refuse(in_quotes(strategy), " is not known for one text");
  place["max_length"].check(max_length_ >= added_, max_length_, ", expected at least the ", added_,
                            " special tokens");
  const int64_t least = std::min(max_length_, max_length_ - added_);
  place["stride"].check(stride == 0 || least == 0 || stride < least, stride, ", expected less than ", least);
  truncate_left_ = direction == "Left";
}

void PostProcessor::read_padding(const Json& json, const Place& place, const IsToken& is_token) {
  Fields fields = fields_of(json, place);
  const std::string direction = fields.string("direction");
  fields.string("pad_token");
  fields.integer("pad_type_id", 0, INT32_MAX);
  pad_id_ = id_of(fields.value("pad_id"), place["pad_id"], is_token);
  pad_multiple_ = fields.integer_or("pad_to_multiple_of", 0, 0, longest_sequence);
  const Json& strategy = fields.value("strategy");
  fields.finish();
  if (direction != "Left" && direction != "Right")
    place["direction"].refuse(in_quotes(direction), " is not known");
  if (strategy.is_object()) {
    Fields fixed = fields_of(strategy, place["strategy"]);
    pad_fixed_ = fixed.integer("Fixed", 0, longest_sequence);
    fixed.finish();
  } else if (strategy != Json("BatchLongest")) {
    place["strategy"].refuse(strategy.dump().substr(0, 80), " is not known");
  }
  pads_ = true;
  pad_left_ = direction == "Left";
}

void PostProcessor::apply(std::vector<int64_t>& ids, bool add_special_tokens) const {
  if (max_length_ >= 0) {
    const auto length = static_cast<std::size_t>(max_length_ - (add_special_tokens ? added_ : 0));
    if (ids.size() > length && truncate_left_)
      ids.erase(ids.begin(), ids.end() - static_cast<std::ptrdiff_t>(length));
    else if (ids.size() > length)
      ids.resize(length);
  }
  for (const Template& t : templates_) {
    const auto text = std::find(t.pieces.begin(), t.pieces.end(), Template::sequence);
    if (text == t.pieces.end()) ids.clear();
    if (!add_special_tokens) continue;
    ids.insert(ids.begin(), t.pieces.begin(), text);
    if (text != t.pieces.end()) ids.insert(ids.end(), text + 1, t.pieces.end());
  }
  if (pads_) pad_to(ids, padded_length(pad_fixed_ >= 0 ? pad_fixed_ : static_cast<int64_t>(ids.size())));
}

void PostProcessor::pad(std::vector<std::vector<int64_t>>& batch) const {
  if (!pads_) return;
  std::size_t longest = 0;
  for (const auto& ids : batch) longest = std::max(longest, ids.size());
  const int64_t length = padded_length(pad_fixed_ >= 0 ? pad_fixed_ : static_cast<int64_t>(longest));
  for (auto& ids : batch) pad_to(ids, length);
}

int64_t PostProcessor::padded_length(int64_t length) const {
  if (pad_multiple_ <= 0 || length % pad_multiple_ == 0) return length;
  return length + pad_multiple_ - length % pad_multiple_;
}

void PostProcessor::pad_to(std::vector<int64_t>& ids, int64_t length) const {
  const int64_t missing = length - static_cast<int64_t>(ids.size());
  if (missing > 0)
    ids.insert(pad_left_ ? ids.begin() : ids.end(), static_cast<std::size_t>(missing), pad_id_);
}

}  // namespace unisim
