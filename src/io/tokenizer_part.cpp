#include "tokenizer_part.h"

#include "quote.h"
#include "unicode.h"

namespace unisim {
namespace {

void open(const Json& json, const Place& place, std::string_view list_key, std::vector<Link>& links) {
  place.check(links.size() < 256, "more than 256 parts in a sequence");
  place.check(json.is_object(), "found ", json.type_name(), ", expected an object with a type");
  const auto type = json.find("type");
  place.check(type != json.end() && type->is_string(), "no type, expected a string");
  const auto& name = type->get_ref<const std::string&>();
  if (name != "Sequence") {
    links.push_back({&json, place, name});
    return;
  }
  Fields fields = fields_of(json, place);
  fields.ignore({"type"});
  const Json& list = fields.value(list_key);
  fields.finish();
  const Place inside = place[list_key];
  inside.check(list.is_array(), "found ", list.type_name(), ", expected a list");
  for (std::size_t i = 0; i < list.size(); ++i) open(list[i], inside[i], list_key, links);
}

}  // namespace

std::vector<Link> links_of(const Json& json, const Place& place, std::string_view list_key) {
  std::vector<Link> links;
  if (!json.is_null()) open(json, place, list_key, links);
  return links;
}

char32_t character_of(const std::string& text, const Place& place) {
  place.check(!text.empty() && character_at(text, 0).bytes == text.size(), "found ", in_quotes(text),
              ", expected one character");
  return character_at(text, 0).code;
}

}  // namespace unisim
