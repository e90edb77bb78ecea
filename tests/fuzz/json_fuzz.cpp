#include <unisim/error.h>

#include <cstdlib>

#include "io/json.h"

using namespace unisim;

namespace {

/// Every reader on every key: each returns or throws a DataError.
void read_as_anything(const Json& object) {
  Fields fields(object, "fuzz.json");
  const auto attempt = [](auto&& read) {
    try {
      read();
    } catch (const DataError&) {
    }
  };
  for (const auto& item : object.items()) {
    const std::string& key = item.key();
    attempt([&] { fields.integer(key, -5, 5); });
    attempt([&] { fields.number(key); });
    attempt([&] { fields.boolean(key); });
    attempt([&] { fields.string(key); });
    attempt([&] { fields.numbers(key, 3); });
    attempt([&] { fields.object(key).finish(); });
    attempt([&] { fields.only(key, 1); });
  }
  fields.finish();  // every key was read
}

}  // namespace

/// Any bytes are a document or a DataError; what was read is written and read again the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const Json json = parse_json(std::as_bytes(std::span(data, size)), "fuzz.json");
    const std::string text = json.dump();
    if (parse_json(std::as_bytes(std::span(text)), "fuzz.json", {.max_bytes = int64_t{1} << 30}) != json)
      std::abort();
    if (json.is_object()) read_as_anything(json);
  } catch (const DataError&) {
  }
  return 0;
}
