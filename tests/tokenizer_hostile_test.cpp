#include <unisim/error.h>
#include <unisim/tokenizer.h>

#include <fstream>
#include <functional>

#include "io/json.h"
#include "support.h"

using namespace unisim;
using unisim::test::TemporaryFolder;

namespace {

Json document_of(const char* model) {
  Json document = Json::parse(R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [
    {"id": 4, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
     "special": true}], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null})");
  document["model"] = Json::parse(model);
  return document;
}

Json bpe() {
  return document_of(R"({"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "?": 3}, "merges": ["a b"]})");
}
Json unigram() {
  return document_of(
      R"({"type": "Unigram", "unk_id": 0, "vocab": [["?", 0], ["a", -1], ["b", -2], ["ab", -3]]})");
}

Json added(int64_t id, const char* content, bool normalized = false) {
  Json token = bpe()["added_tokens"][0];
  token["id"] = id;
  token["content"] = content;
  token["normalized"] = normalized;
  return token;
}

struct Case {
  const char* name;
  Json document;
  const char* said;  ///< in the message
  bool unsupported = false;
};

Case changed(const char* name, Json document, const std::function<void(Json&)>& change, const char* said,
             bool unsupported = false) {
  change(document);
  return {name, std::move(document), said, unsupported};
}

void add_cases_of_the_model(std::vector<Case>& cases) {
  const auto model = [&](const char* name, Json document, const std::function<void(Json&)>& change,
                         const char* said, bool unsupported = false) {
    cases.push_back(changed(
        name, std::move(document), [&](Json& d) { change(d["model"]); }, said, unsupported));
  };
  cases.push_back(changed(
      "no model", bpe(), [](Json& d) { d.erase("model"); }, "model"));
  cases.push_back(changed(
      "a model that is a list", bpe(), [](Json& d) { d["model"] = Json::array(); }, "model"));
  model(
      "an unknown model", bpe(), [](Json& m) { m["type"] = "Oracle"; }, "\"Oracle\"", true);
  model(
      "WordPiece", bpe(), [](Json& m) { m["type"] = "WordPiece"; }, "\"WordPiece\"", true);
  model(
      "an unknown field of the model", bpe(), [](Json& m) { m["twist"] = 1; }, "model.twist", true);
  model(
      "dropout", bpe(), [](Json& m) { m["dropout"] = 0.5; }, "model.dropout", true);
  model(
      "a vocabulary that is a list", bpe(), [](Json& m) { m["vocab"] = Json::array(); }, "model.vocab");
  model(
      "no vocabulary", bpe(), [](Json& m) { m.erase("vocab"); }, "model.vocab");
  model(
      "no merges", bpe(), [](Json& m) { m.erase("merges"); }, "model.merges");
  model(
      "an id that two tokens have", bpe(), [](Json& m) { m["vocab"]["b"] = 0; }, "model.vocab.b");
  model(
      "a negative id", bpe(), [](Json& m) { m["vocab"]["b"] = -1; }, "model.vocab.b");
  model(
      "an id beyond every vocabulary", bpe(), [](Json& m) { m["vocab"]["b"] = 4294967296; }, "model.vocab.b");
  model(
      "an id that is a fraction", bpe(), [](Json& m) { m["vocab"]["b"] = 1.5; }, "model.vocab.b");
  model(
      "an id that is a string", bpe(), [](Json& m) { m["vocab"]["b"] = "1"; }, "model.vocab.b");
  model(
      "a merge of an unknown token", bpe(), [](Json& m) { m["merges"][0] = "a c"; }, "model.merges[0]");
  model(
      "a merge whose result is unknown", bpe(), [](Json& m) { m["merges"][0] = "b a"; }, "\"ba\"");
  model(
      "a merge of three", bpe(), [](Json& m) { m["merges"][0] = "a b a"; }, "model.merges[0]");
  model(
      "a merge of one", bpe(), [](Json& m) { m["merges"][0] = "ab"; }, "model.merges[0]");
  model(
      "a merge that is a number", bpe(), [](Json& m) { m["merges"][0] = 7; }, "model.merges[0]");
  model(
      "a merge list with a number", bpe(),
      [](Json& m) {
        m["merges"][0] = {"a", 1};
      },
      "model.merges[0]");
  model(
      "a merge shorter than the prefix", bpe(), [](Json& m) { m["continuing_subword_prefix"] = "##"; },
      "model.merges[0]");
  model(
      "Unigram: unk_id beyond the vocabulary", unigram(), [](Json& m) { m["unk_id"] = 4; }, "model.unk_id");
  model(
      "Unigram: a negative unk_id", unigram(), [](Json& m) { m["unk_id"] = -1; }, "model.unk_id");
  model(
      "Unigram: no tokens", unigram(), [](Json& m) { m["vocab"] = Json::array(); }, "model.unk_id");
  model(
      "Unigram: a token without a score", unigram(), [](Json& m) { m["vocab"][1] = {"a"}; },
      "model.vocab[1]");
  model(
      "Unigram: a score that is a string", unigram(),
      [](Json& m) {
        m["vocab"][1] = {"a", "b"};
      },
      "model.vocab[1]");
}

void add_cases_of_the_text(std::vector<Case>& cases) {
  const auto part = [&](const char* name, const char* section, const char* json, const char* said,
                        bool unsupported = false) {
    cases.push_back(changed(
        name, bpe(), [&](Json& d) { d[section] = Json::parse(json); }, said, unsupported));
  };
  part("an unknown normalizer", "normalizer", R"({"type": "Shout"})", "\"Shout\"", true);
  part("an unknown normalizer in a sequence", "normalizer",
       R"({"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Shout"}]})",
       "normalizer.normalizers[1]", true);
  part("a normalizer that is a number", "normalizer", "5", "normalizer");
  part("a normalizer without a type", "normalizer", "{}", "normalizer");
  part("an unknown field of a normalizer", "normalizer", R"({"type": "NFC", "twist": 1})", "normalizer.twist",
       true);
  part("an unknown regular expression", "pre_tokenizer",
       R"({"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": false})",
       "(a+)+$", true);
  part("an empty pattern", "pre_tokenizer",
       R"({"type": "Split", "pattern": {"String": ""}, "behavior": "Isolated", "invert": false})", "pattern",
       true);
  part("a pattern that matches nothing", "normalizer",
       R"({"type": "Replace", "pattern": {"Regex": " {0,2}"}, "content": ""})", " {0,2}", true);
  part("an unknown behavior", "pre_tokenizer",
       R"({"type": "Split", "pattern": {"String": "a"}, "behavior": "Lost", "invert": false})", "\"Lost\"",
       true);
  part("a replacement of two characters", "pre_tokenizer", R"({"type": "Metaspace", "replacement": "ab"})",
       "pre_tokenizer.replacement");
  part("an unknown prepend scheme", "pre_tokenizer",
       R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "twice"})", "\"twice\"", true);
  part("a prefix space denied and demanded", "pre_tokenizer",
       R"({"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "add_prefix_space": false})",
       "add_prefix_space");
  part("an unknown decoder", "decoder", R"({"type": "CTC"})", "\"CTC\"", true);
  part("no base64", "normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "AA*="})",
       "precompiled_charsmap");
  part("base64 cut off", "normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "AAA"})",
       "precompiled_charsmap");
  part("an empty character map", "normalizer", R"({"type": "Precompiled", "precompiled_charsmap": ""})",
       "precompiled_charsmap");
  part("a character map cut off in its trie", "normalizer",
       R"({"type": "Precompiled", "precompiled_charsmap": "AAEAAAAAAAA="})", "precompiled_charsmap");
  part("a trie of three bytes", "normalizer",
       R"({"type": "Precompiled", "precompiled_charsmap": "AwAAAAAAAAA="})", "precompiled_charsmap");
  part("replacements that are no text", "normalizer",
       R"({"type": "Precompiled", "precompiled_charsmap": "BAAAAAAAAAD/"})", "precompiled_charsmap");
}

void add_cases_of_the_tokens(std::vector<Case>& cases) {
  const auto tokens = [&](const char* name, Json list, const char* said) {
    cases.push_back(changed(
        name, bpe(), [&](Json& d) { d["added_tokens"] = list; }, said));
  };
  tokens("an added token with the id of another", Json::array({added(1, "<s>")}), "added_tokens[0].id");
  tokens("an added token beyond the next free id", Json::array({added(9, "<s>")}), "added_tokens[0].id");
  tokens("an added token with a negative id", Json::array({added(-1, "<s>")}), "added_tokens[0].id");
  tokens("an added token with a huge id", Json::array({added(int64_t{1} << 40, "<s>")}),
         "added_tokens[0].id");
  tokens("an added token twice, with two ids", Json::array({added(4, "<s>"), added(5, "<s>")}),
         "added_tokens[1].id");
  tokens("added tokens that are an object", Json::object(), "added_tokens");
  Json same = bpe();
  same["normalizer"] = Json::parse(R"({"type": "Lowercase"})");
  same["added_tokens"] = Json::array({added(4, "<S>", true), added(5, "<s>", true)});
  cases.push_back({"added tokens that are one once normalised", same, "once normalised"});
  same["normalizer"] = Json::parse(R"({"type": "Replace", "pattern": {"String": "<s>"}, "content": ""})");
  same["added_tokens"] = Json::array({added(4, "<s>", true)});
  cases.push_back({"an added token that is nothing once normalised", same, "once normalised"});
}

void add_cases_of_the_ids(std::vector<Case>& cases) {
  const auto part = [&](const char* name, const char* section, const char* json, const char* said,
                        bool unsupported = false) {
    cases.push_back(changed(
        name, bpe(), [&](Json& d) { d[section] = Json::parse(json); }, said, unsupported));
  };
  part("an unknown post-processor", "post_processor", R"({"type": "Wrap"})", "\"Wrap\"", true);
  part("a template that names an unknown token", "post_processor",
       R"({"type": "TemplateProcessing", "pair": [],
    "single": [{"SpecialToken": {"id": "<x>", "type_id": 0}}], "special_tokens": {}})",
       "post_processor.single[0]");
  part("a template with a token that is not in the vocabulary", "post_processor",
       R"({"type": "TemplateProcessing",
    "pair": [], "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [99], "tokens": ["<s>"]}}})",
       "post_processor.special_tokens");
  part("a template with more names than ids", "post_processor", R"({"type": "TemplateProcessing", "pair": [],
    "single": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["a", "b"]}}})",
       "special_tokens.<s>");
  part("a template that asks for a second text", "post_processor",
       R"({"type": "TemplateProcessing", "pair": [],
    "single": [{"Sequence": {"id": "B", "type_id": 0}}], "special_tokens": {}})",
       "post_processor.single[0]");
  part("a template that repeats the text", "post_processor", R"({"type": "TemplateProcessing", "pair": [],
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {}})",
       "post_processor.single");
  part("a closing token with a negative id", "post_processor",
       R"({"type": "BertProcessing", "sep": ["b", -1], "cls": ["a", 0]})", "post_processor.sep[1]");
  part("a closing token without an id", "post_processor",
       R"({"type": "BertProcessing", "sep": ["b"], "cls": ["a", 0]})", "post_processor.sep");
  part("truncation below the special tokens", "truncation",
       R"({"max_length": -1, "strategy": "LongestFirst", "stride": 0})", "truncation.max_length");
  part("a stride as long as the text", "truncation",
       R"({"max_length": 4, "strategy": "LongestFirst", "stride": 4})", "truncation.stride");
  part("truncation of a second text", "truncation",
       R"({"max_length": 4, "strategy": "OnlySecond", "stride": 0})", "\"OnlySecond\"", true);
  part("padding to a length beyond memory", "padding",
       R"({"strategy": {"Fixed": 1099511627776}, "direction": "Left",
    "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "a"})",
       "padding.strategy.Fixed");
  part("padding with an id that is not there", "padding", R"({"strategy": {"Fixed": 4}, "direction": "Left",
    "pad_to_multiple_of": null, "pad_id": 77, "pad_type_id": 0, "pad_token": "a"})",
       "padding.pad_id");
  cases.push_back(changed(
      "an unknown version", bpe(), [](Json& d) { d["version"] = "2.0"; }, "version", true));
  cases.push_back(changed(
      "an unknown section", bpe(), [](Json& d) { d["oracle"] = 1; }, "oracle", true));
}

}  // namespace

TEST_CASE("a hostile tokenizer.json is refused, naming the file and the key", "[tokenizer]") {
  std::vector<Case> cases;
  add_cases_of_the_model(cases);
  add_cases_of_the_text(cases);
  add_cases_of_the_tokens(cases);
  add_cases_of_the_ids(cases);
  CHECK(cases.size() >= 60);
  const TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  for (const Case& c : cases) {
    DYNAMIC_SECTION(c.name) {
      std::ofstream(file) << c.document.dump();
      try {
        Tokenizer::load(file);
        FAIL("it was read");
      } catch (const DataError& error) {
        const std::string message = error.what();
        CAPTURE(message);
        CHECK(error.file() == file);
        CHECK(message.find(c.said) != message.npos);
        CHECK((dynamic_cast<const Unsupported*>(&error) != nullptr) == c.unsupported);
      }
    }
  }
}

TEST_CASE("the plain documents that the hostile ones are made of are read", "[tokenizer]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  for (const Json& document : {bpe(), unigram()}) {
    std::ofstream(file) << document.dump();
    CHECK(Tokenizer::load(file).encode("<s>ab").size() >= 2);
  }
}

TEST_CASE("sequences nested without end are refused", "[tokenizer]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::string nested;
  for (int i = 0; i < 5000; ++i) nested += R"({"type":"Sequence","normalizers":[)";
  std::ofstream(file) << R"({"normalizer":)" << nested;
  CHECK_THROWS_AS(Tokenizer::load(file), DataError);
}

TEST_CASE("a character map whose trie leads astray is an error or no match, never a read outside it",
          "[tokenizer]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "tokenizer.json";
  std::mt19937 random(17);
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int trial = 0; trial < 300; ++trial) {
    std::string bytes = {64, 0, 0, 0};
    for (int i = 0; i < 16; ++i) {
      // Small offsets, so that many paths stay inside.
      const uint32_t unit = (random() % 128) << 10 | (random() & 0x1FF) % 0x180;
      for (int k = 0; k < 4; ++k) bytes.push_back(static_cast<char>(unit >> 8 * k));
    }
    bytes += std::string("x\0\xC3\xA9\0", 5);
    while (bytes.size() % 3 != 0) bytes.push_back('\0');
    std::string base64;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
      uint32_t bits = 0;
      for (std::size_t k = 0; k < 3; ++k) bits = bits << 8 | static_cast<unsigned char>(bytes[i + k]);
      for (int shift = 18; shift >= 0; shift -= 6) base64 += digits[bits >> shift & 63];
    }
    Json document = bpe();
    document["normalizer"] = {{"type", "Precompiled"}, {"precompiled_charsmap", base64}};
    std::ofstream(file) << document.dump();
    try {
      const Tokenizer tokenizer = Tokenizer::load(file);
      std::string text;
      for (int i = 1; i < 256; ++i) text += static_cast<char>(i);
      tokenizer.encode(text);
    } catch (const DataError&) {
    }
  }
}
