#include "io/json.h"

#include <limits>

#include "hostile.h"
#include "io/file.h"
#include "io/quote.h"

using namespace unisim;
using unisim::test::bytes_from;
using unisim::test::check_throws;
using unisim::test::test_data;
using unisim::test::write_bytes;

namespace {

Json parse(std::string_view text, const JsonLimits& limits = {}) {
  return parse_json(bytes_from(text), "config.json", limits);
}

std::string repeated(std::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

}  // namespace

TEST_CASE("a document keeps its values and the order of its keys", "[json]") {
  const Json json = parse(
      R"({"b": [1, -2, 2.5e3, true, null, "\u00e9\n"], "a": {"z": {}, "y": []}, "": 18446744073709551615})");
  CHECK(json.dump() == R"({"b":[1,-2,2500.0,true,null,"é\n"],"a":{"z":{},"y":[]},"":18446744073709551615})");
}

TEST_CASE("a scalar is a document, and so is one with blanks around it", "[json]") {
  CHECK(parse(" 3 \n") == 3);
  CHECK(parse("\"\"") == "");
  CHECK(parse("\xEF\xBB\xBF{}").empty());  // a byte order mark
}

TEST_CASE("the limits are the last values allowed", "[json]") {
  CHECK_NOTHROW(parse(repeated("[", 64) + repeated("]", 64)));
  CHECK_NOTHROW(parse("[1, 2]", {.max_bytes = 6}));
  CHECK_NOTHROW(parse("[1, 2]", {.max_values = 3}));
  check_throws<DataError>([] { parse("[1, 2]", {.max_bytes = 5}); }, "JSON of 6 bytes, expected at most 5");
  check_throws<DataError>([] { parse("[1, 2]", {.max_values = 2}); }, "more than 2 values");
}

TEST_CASE("a hostile document is a DataError that says where", "[json]") {
  struct Case {
    std::string name, text, message;
  };
  const std::vector<Case> cases = {
      {"nothing", "", "JSON, byte 0"},
      {"blanks alone", "   ", "JSON, byte 3"},
      {"cut inside an object", R"({"a": 1)", "JSON, byte 7"},
      {"cut inside a string", R"({"a)", "missing closing quote"},
      {"cut inside a literal", "tru", "invalid literal"},
      {"a second document behind the first", "{} {}", "expected end of input"},
      {"a NUL and more behind the document", std::string("{}\0garbage", 10), "byte 2: a NUL"},
      {"a NUL inside a string", std::string("{\"a\0\": 1}", 9), "byte 3: a NUL"},
      {"65 levels of lists", repeated("[", 65) + repeated("]", 65), "byte 65: nested deeper than 64"},
      {"65 levels of objects", repeated(R"({"a":)", 65) + "1" + repeated("}", 65), "nested deeper than 64"},
      {"a million opening brackets", repeated("[", 1'000'000), "byte 65: nested deeper than 64"},
      {"a key twice", R"({"a": 1, "b": 2, "a": 3})", R"(byte 20: the key "a" is there twice)"},
      {"a key twice, once escaped", R"({"a": 1, "\u0061": 3})", R"(the key "a" is there twice)"},
      {"a key twice in an inner object", R"([{"x": {"k": 1, "k": 1}}])", R"(the key "k" is there twice)"},
      {"the empty key twice", R"({"": 1, "": 1})", R"(the key "" is there twice)"},
      {"a number beyond double", "[1e999]", "number overflow"},
      {"a negative number beyond double", "[-1e999]", "number overflow"},
      {"NaN", "[NaN]", "invalid literal"},
      {"Infinity", "[Infinity]", "invalid literal"},
      {"a leading zero", "[01]", "JSON, byte"},
      {"a leading plus", "[+1]", "JSON, byte"},
      {"a bare minus", "[-]", "invalid number"},
      {"a hexadecimal number", "[0x10]", "JSON, byte"},
      {"a trailing comma", "[1,]", "JSON, byte"},
      {"a comment", "{} // no", "JSON, byte"},
      {"single quotes", "{'a': 1}", "JSON, byte 2"},
      {"a key that is no string", "{1: 2}", "expected string literal"},
      {"a missing colon", R"({"a" 1})", "JSON, byte"},
      {"an overlong UTF-8 sequence", "[\"\xC0\xAF\"]", "ill-formed UTF-8"},
      {"a UTF-8 surrogate", "[\"\xED\xA0\x80\"]", "ill-formed UTF-8"},
      {"a cut UTF-8 sequence", "[\"\xE2\x82\"]", "ill-formed UTF-8"},
      {"a stray continuation byte", "[\"\x80\"]", "ill-formed UTF-8"},
      {"UTF-8 beyond Unicode", "[\"\xF4\x90\x80\x80\"]", "ill-formed UTF-8"},
      {"half an escaped surrogate pair", R"(["\ud800"])", "surrogate"},
      {"the second half of a pair first", R"(["\udc00"])", "surrogate"},
      {"an unknown escape", R"(["\q"])", "forbidden character"},
      {"a control character in a string", "[\"a\nb\"]", "control character"},
      {"UTF-16", std::string("{\0}\0", 4), "a NUL"},
      {"a pickle", "\x80\x04\x95", "JSON, byte"},
      {"an HTML page", "<!DOCTYPE html>", "JSON, byte 1"},
  };
  for (const Case& c : cases) DYNAMIC_SECTION(c.name) {
      check_throws<DataError>([&] { parse(c.text); }, c.message);
      check_throws<DataError>([&] { parse(c.text); }, "config.json: ");
    }
}

TEST_CASE("a message quotes a hostile document briefly and in valid UTF-8", "[json]") {
  const std::string text = "[\"" + std::string(100'000, 'x') + "\xFF\"]";
  try {
    parse(text);
    FAIL("nothing was thrown");
  } catch (const DataError& error) {
    const std::string message = error.what();
    CHECK(message.size() < 300);
    CHECK(message.find('\xFF') == std::string::npos);
  }
  check_throws<DataError>([] { parse("{\"a\\nb\": 1, \"a\\nb\": 2}"); }, R"(the key "a\nb" is there twice)");
}

TEST_CASE("words of a file are quoted on one line, briefly, in valid UTF-8", "[quote]") {
  CHECK(in_quotes("") == R"("")");
  CHECK(in_quotes("été \u20ac \U0001F600") == "\"été \u20ac \U0001F600\"");
  CHECK(in_quotes("a\nb\tc\r\"\\") == R"("a\nb\tc\r\"\\")");
  CHECK(in_quotes(std::string("\0\x1f\x7f", 3)) == R"("\x00\x1f\x7f")");
  CHECK(in_quotes("\xC0\xAF") == R"("\xc0\xaf")");          // overlong
  CHECK(in_quotes("\xE0\x80\x80") == R"("\xe0\x80\x80")");  // overlong
  CHECK(in_quotes("\xED\xA0\x80") == R"("\xed\xa0\x80")");  // a surrogate
  CHECK(in_quotes("\xF4\x90\x80\x80") == R"("\xf4\x90\x80\x80")");
  CHECK(in_quotes("\xF0\x8F\xBF\xBF") == R"("\xf0\x8f\xbf\xbf")");
  CHECK(in_quotes("\xE2\x82") == R"("\xe2\x82")");  // cut
  CHECK(in_quotes(std::string(1000, 'x')).size() == 125);
  CHECK(printable("say \"x\"\n") == R"(say "x"\n)");
}

TEST_CASE("offsets count from where the text begins in its file", "[json]") {
  check_throws<DataError>([] { parse("[1,]", {.first_byte = 1000}); }, "byte 1004");
}

TEST_CASE("every truncation and every other byte of a document loads or is a DataError", "[json]") {
  std::string text =
      R"({"model_type": "clip", "vision_config": {"hidden_size": 768, "layer_norm_eps": 1e-05, )"
      R"("hidden_act": "quick_gelu"}, "mean": [0.48145466, -0.4578275, 0.40821073], "t": true, )"
      R"("n": null, "big": 18446744073709551615, "u": "é€\u20ac\ud83d\ude00 \\ \" \/ \b\f\n\r\t"})";
  REQUIRE(text.size() <= 300);
  text.resize(300, ' ');
  const auto good = bytes_from(text);
  const auto accepted = test::survive_every_mutation(good, [](const std::vector<std::byte>& bytes) {
    const Json json = parse_json(bytes, "config.json");
    if (json.dump().empty())
      throw std::logic_error("no text");  // a document that was accepted can be written
  });
  CHECK(accepted > 9'000);  // other letters in the strings, other digits in the numbers
}

TEST_CASE("a file that is longer than the limit is refused before it is read", "[json]") {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "config.json";
  write_bytes(file, bytes_from("{}"));
  std::filesystem::resize_file(file, uintmax_t{1} << 40);  // a hole: takes no room
  check_throws<DataError>([&] { read_json(file); }, "has 1099511627776 bytes, expected at most 1048576");
}

TEST_CASE("a tokenizer's file is read within its own limits", "[json]") {
  const auto file = test_data("tokenizers/qwen3/tokenizer.json");
  if (file.empty()) return;
  const Json json = read_json(file, {.max_bytes = int64_t{256} << 20});
  CHECK(json["model"]["vocab"].size() > 150'000);
}

TEST_CASE("fields are read by their types", "[fields]") {
  const Json json = parse(R"({"i": 3, "x": 2.5, "b": true, "s": "gelu", "v": [1, 2.5], "none": null,
                              "inner": {"i": 4}, "any": [[1]]})");
  Fields fields(json, "config.json");
  CHECK(fields.integer("i", 3, 3) == 3);
  check_throws<DataError>([&] { fields.integer("i", 0, 2); }, "is 3, expected an integer from 0 to 2");
  check_throws<DataError>([&] { fields.integer("i", 4, 9); }, "is 3, expected an integer from 4 to 9");
  CHECK(fields.number("x") == 2.5);
  CHECK(fields.number("i") == 3);
  CHECK(fields.boolean("b"));
  CHECK(fields.string("s") == "gelu");
  CHECK(fields.numbers("v", 2) == std::vector<double>{1, 2.5});
  CHECK(fields.value("any").size() == 1);
  Fields inner = fields.object("inner");
  CHECK(inner.integer("i", 0, 9) == 4);
  CHECK(inner.path_of("i") == "inner.i");
  CHECK_NOTHROW(inner.finish());
  CHECK_NOTHROW(fields.finish());
}

TEST_CASE("an absent field and a null one take the default", "[fields]") {
  const Json json = parse(R"({"none": null, "i": 7})");
  Fields fields(json, "config.json");
  CHECK(fields.integer_or("i", 1, 0, 9) == 7);
  CHECK(fields.integer_or("none", 1, 0, 9) == 1);
  CHECK(fields.number_or("absent", 0.5) == 0.5);
  CHECK(fields.boolean_or("absent", true));
  CHECK(fields.string_or("absent", "gelu") == "gelu");
  CHECK_FALSE(fields.has("none"));
  CHECK_FALSE(fields.has("absent"));
  CHECK(fields.has("i"));
  CHECK_NOTHROW(fields.finish());
}

TEST_CASE("a field that is not what it should be is named with what was found and expected", "[fields]") {
  const Json json =
      parse(R"({"vision_config": {"s": "abc", "x": 2.0, "big": 18446744073709551615, "minus": -1,
                              "b": true, "none": null, "v": [1, "2"], "o": {"k": 1}, "long": [1,2,3,4,5]}})");
  Fields top(json, "config.json");
  Fields fields = top.object("vision_config");
  struct Case {
    std::string name;
    std::function<void(Fields&)> read;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"missing", [](Fields& f) { f.integer("hidden_size", 1, 65536); },
       R"(config.json: "vision_config.hidden_size" is missing, expected an integer from 1 to 65536)"},
      {"null", [](Fields& f) { f.number("none"); }, R"("vision_config.none" is null, expected a number)"},
      {"a string for an integer", [](Fields& f) { f.integer("s", 1, 65536); },
       R"("vision_config.s" is "abc", expected an integer from 1 to 65536)"},
      {"2.0 for an integer", [](Fields& f) { f.integer("x", 1, 9); },
       R"(is 2.0, expected an integer from 1 to 9)"},
      {"true for an integer", [](Fields& f) { f.integer("b", 0, 9); }, "is true, expected an integer"},
      {"an integer beyond int64", [](Fields& f) { f.integer("big", INT64_MIN, INT64_MAX); },
       "is 18446744073709551615, expected an integer"},
      {"an integer below its range", [](Fields& f) { f.integer("minus", 0, 9); },
       "is -1, expected an integer from 0"},
      {"an optional integer out of range", [](Fields& f) { f.integer_or("minus", 4, 0, 9); },
       "is -1, expected"},
      {"true for a number", [](Fields& f) { f.number("b"); }, "is true, expected a number"},
      {"a number for a boolean", [](Fields& f) { f.boolean("minus"); }, "is -1, expected true or false"},
      {"a boolean for a string", [](Fields& f) { f.string("b"); }, "is true, expected a string"},
      {"a string among numbers", [](Fields& f) { f.numbers("v", 2); },
       "is a list of 2, expected a list of 2 numbers"},
      {"too many numbers", [](Fields& f) { f.numbers("long", 3); },
       "is a list of 5, expected a list of 3 numbers"},
      {"a number for numbers", [](Fields& f) { f.numbers("x", 1); }, "is 2.0, expected a list of 1 number"},
      {"a list for an object", [](Fields& f) { f.object("v"); },
       R"("vision_config.v" is a list of 2, expected an object)"},
      {"an object for a string", [](Fields& f) { f.string("o"); },
       "is an object of 1 key, expected a string"},
      {"a value that is missing", [](Fields& f) { f.value("absent"); },
       R"("vision_config.absent" is missing)"},
      {"what the caller refuses", [](Fields& f) { f.refuse("x", "an even patch"); },
       "is 2.0, expected an even patch"},
  };
  for (const Case& c : cases) DYNAMIC_SECTION(c.name) {
      check_throws<DataError>([&] { c.read(fields); }, c.message);
    }
}

TEST_CASE("a document that is no object has no fields", "[fields]") {
  const Json list = parse("[1]");
  check_throws<DataError>([&] { Fields(list, "config.json"); }, "config.json: is [1], expected an object");
}

TEST_CASE("whatever was not read is refused by its full path", "[fields]") {
  const Json json =
      parse(R"({"a": 1, "v": {"rope": 2, "bias": false, "none": null}, "harmless": 3, "other": "x"})");
  Fields fields(json, "config.json");
  fields.integer("a", 0, 9);
  fields.ignore({"harmless", "not there"});
  Fields inner = fields.object("v");
  inner.only("bias", false);
  inner.only("absent", 1);
  check_throws<Unsupported>([&] { inner.finish(); }, R"("v.rope" (2))");
  check_throws<Unsupported>([&] { fields.finish(); }, R"("other" ("x"))");
  try {
    inner.finish();
  } catch (const Unsupported& error) {
    CHECK(std::string(error.what()).find("none") == std::string::npos);
    CHECK(std::string(error.what()).find("bias") == std::string::npos);
  }
}

TEST_CASE("asking whether a field is there does not count as reading it", "[fields]") {
  const Json json = parse(R"({"a": 1})");
  const Fields fields(json, "config.json");
  CHECK(fields.has("a"));
  check_throws<Unsupported>([&] { fields.finish(); }, R"("a" (1))");
}

TEST_CASE("a value other than the only one supported is refused by name", "[fields]") {
  const Json json =
      parse(R"({"attention_dropout": 0.0, "rope_scaling": {"type": "linear"}, "act": "relu6"})");
  Fields fields(json, "config.json");
  CHECK_NOTHROW(fields.only("attention_dropout", 0));
  check_throws<Unsupported>([&] { fields.only("act", "gelu"); },
                            R"("act" is "relu6", supported is only "gelu")");
  check_throws<Unsupported>([&] { fields.only("rope_scaling", Json()); },
                            "is an object of 1 key, supported is only null");
  check_throws<Unsupported>([&] { fields.unsupported("act", "gelu or quick_gelu"); },
                            "supported is gelu or quick_gelu");
}
