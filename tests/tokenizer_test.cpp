#include <unisim/error.h>
#include <unisim/tokenizer.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <limits>
#include <map>
#include <random>
#include <thread>

#include "io/json.h"
#include "support.h"

using namespace unisim;
using unisim::test::TemporaryFolder;

namespace {

using Ids = std::vector<int64_t>;

Tokenizer load(const std::string& document) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "tokenizer.json") << document;
  return Tokenizer::load(folder.path());
}
Tokenizer load(const Json& document) { return load(document.dump()); }

/// A byte-fallback BPE over a, b, c with three merges, an added token and a template.
Json small_bpe() {
  return Json::parse(R"({
    "version": "1.0", "truncation": null, "padding": null,
    "added_tokens": [{"id": 7, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                      "normalized": false, "special": true}],
    "normalizer": {"type": "Lowercase"},
    "pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": false},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
      "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [7], "tokens": ["<s>"]}}},
    "decoder": null,
    "model": {"type": "BPE", "dropout": null, "unk_token": "?", "continuing_subword_prefix": null,
      "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
      "vocab": {"?": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "abc": 6},
      "merges": ["b c", ["a", "b"], "a bc"]}})");
}

Json small_unigram() {
  Json document = small_bpe();
  document["added_tokens"] = Json::array();
  document["post_processor"] = nullptr;
  document["normalizer"] = nullptr;
  document["model"] = Json::parse(R"({"type": "Unigram", "unk_id": 0, "byte_fallback": false,
    "vocab": [["<unk>", 0], ["a", -2.5], ["b", -2.25], ["ab", -4.5], ["ba", -3.125], ["aba", -6.0]]})");
  return document;
}

/// Pairs merged one at a time, the lowest rank first and the leftmost of equal ones: the definition.
std::vector<std::string> merged(std::vector<std::string> symbols,
                                const std::map<std::pair<std::string, std::string>, int>& ranks) {
  while (true) {
    int best = std::numeric_limits<int>::max();
    std::size_t where = 0;
    for (std::size_t i = 0; i + 1 < symbols.size(); ++i) {
      const auto found = ranks.find({symbols[i], symbols[i + 1]});
      if (found != ranks.end() && found->second < best) {
        best = found->second;
        where = i;
      }
    }
    if (best == std::numeric_limits<int>::max()) return symbols;
    symbols[where] += symbols[where + 1];
    symbols.erase(symbols.begin() + where + 1);
  }
}

}  // namespace

TEST_CASE("pairs are merged by rank, the leftmost of equal ones first", "[tokenizer]") {
  std::mt19937 random(5);
  // Runs of one letter, where the leftmost pair takes a letter from the next.
  std::vector<std::string> vocabulary = {"a", "b", "c", "aa"};
  std::map<std::pair<std::string, std::string>, int> ranks = {{{"a", "a"}, 0}};
  Json merges = Json::array({Json::array({"a", "a"})});
  while (ranks.size() < 60) {
    const std::string left = vocabulary[random() % vocabulary.size()],
                      right = vocabulary[random() % vocabulary.size()];
    if (left.size() + right.size() > 9 || !ranks.try_emplace({left, right}, ranks.size()).second) continue;
    merges.push_back(Json::array({left, right}));
    if (std::find(vocabulary.begin(), vocabulary.end(), left + right) == vocabulary.end())
      vocabulary.push_back(left + right);
  }
  Json document = small_bpe();
  document["added_tokens"] = Json::array();
  document["post_processor"] = nullptr;
  document["model"]["unk_token"] = nullptr;
  document["model"]["merges"] = merges;
  document["model"]["vocab"] = Json::object();
  for (std::size_t i = 0; i < vocabulary.size(); ++i) document["model"]["vocab"][vocabulary[i]] = i;
  const Tokenizer tokenizer = load(document);
  for (int trial = 0; trial < 400; ++trial) {
    const std::size_t length =
        trial % 4 == 0 ? 49 + random() % 200 : 1 + random() % 48;  // by heap and by scan
    std::vector<std::string> symbols;
    std::string word;
    for (std::size_t i = 0; i < length; ++i) {
      symbols.emplace_back(1, "aaabc"[random() % 5]);
      word += symbols.back();
    }
    std::vector<std::string> found;
    for (const int64_t id : tokenizer.encode(word)) found.push_back(*tokenizer.token(id));
    REQUIRE(found == merged(symbols, ranks));
  }
}

TEST_CASE("Unigram finds the best of all ways to cut a word", "[tokenizer]") {
  const Tokenizer tokenizer = load(small_unigram());
  const std::map<std::string, double> scores = {
      {"a", -2.5}, {"b", -2.25}, {"ab", -4.5}, {"ba", -3.125}, {"aba", -6.0}};
  const std::function<double(const std::string&)> best = [&](const std::string& rest) {
    if (rest.empty()) return 0.0;
    double found = -std::numeric_limits<double>::infinity();
    for (const auto& [token, score] : scores)
      if (rest.compare(0, token.size(), token) == 0)
        found = std::max(found, score + best(rest.substr(token.size())));
    return found;
  };
  for (int bits = 0; bits < 1 << 10; ++bits) {
    std::string word;
    for (int i = 0; i < 10; ++i) word += (bits >> i & 1) != 0 ? 'a' : 'b';
    double total = 0;
    std::string text;
    for (const int64_t id : tokenizer.encode(word)) {
      text += *tokenizer.token(id);
      total += scores.at(*tokenizer.token(id));
    }
    REQUIRE(text == word);
    REQUIRE(total == best(word));  // sums of few binary fractions: exact
  }
}

TEST_CASE("unknown characters of Unigram are fused, those of BPE only if asked", "[tokenizer]") {
  CHECK(load(small_unigram()).encode("xyza") == Ids{0, 1});
  Json document = small_bpe();
  CHECK(load(document).encode("xya", false) == Ids{0, 0, 1});
  document["model"]["fuse_unk"] = true;
  CHECK(load(document).encode("xya", false) == Ids{0, 1});
  document["model"]["unk_token"] = nullptr;
  CHECK(load(document).encode("xya", false) == Ids{1});
}

TEST_CASE("special tokens are cut out of the text and added by the template", "[tokenizer]") {
  const Tokenizer tokenizer = load(small_bpe());
  CHECK(tokenizer.encode("ABC <s>ab") == Ids{7, 6, 7, 4});
  CHECK(tokenizer.encode("ABC <s>ab", false) == Ids{6, 7, 4});
  CHECK(tokenizer.encode("") == Ids{7});
  CHECK(tokenizer.decode(Ids{7, 6, 99, -1, 4}) == "abc ab");
  CHECK(tokenizer.decode(Ids{7, 6, 4}, false) == "<s> abc ab");
  CHECK(tokenizer.vocab_size() == 8);
  CHECK(tokenizer.token_id("<s>") == 7);
  CHECK(tokenizer.token_id("x") == std::nullopt);
  CHECK(tokenizer.token(8) == std::nullopt);
}

TEST_CASE("bytes that are no UTF-8 become U+FFFD by maximal parts", "[tokenizer]") {
  Json document = small_bpe();
  document["model"]["vocab"]["\uFFFD"] = 8;
  document["added_tokens"][0]["id"] = 9;
  document["model"]["vocab"]["z"] = 7;
  document["post_processor"] = nullptr;
  const Tokenizer tokenizer = load(document);
  const std::vector<std::pair<std::string, int>> cases = {{"\x80", 1},
                                                          {"\xC0\x80", 2},
                                                          {"\xE2\x82", 1},
                                                          {"\xE0\x80\x80", 3},
                                                          {"\xED\xA0\x80", 3},
                                                          {"\xF0\x9F\x98", 1},
                                                          {"\xF4\x90\x80", 3},
                                                          {"\xF5", 1},
                                                          {"\xC3", 1},
                                                          {"\xE2\x28\xA1", 2},
                                                          {"\xF0\x9F", 1},
                                                          {"\xFF\xFE", 2},
                                                          {"\xF0\x9F\x98\xF0", 2},
                                                          {"\xE2\xE2\x82", 2}};
  for (const auto& [bytes, count] : cases) {
    const Ids ids = tokenizer.encode(bytes);
    CAPTURE(bytes);
    CHECK(std::count(ids.begin(), ids.end(), 8) == count);
  }
}

TEST_CASE("a text over one MiB is refused", "[tokenizer]") {
  const Tokenizer tokenizer = load(small_bpe());
  CHECK(tokenizer.encode(std::string(1 << 20, 'a')).size() == (1 << 20) + 1);
  CHECK_THROWS_AS(tokenizer.encode(std::string((1 << 20) + 1, 'a')), std::invalid_argument);
}

TEST_CASE("threads that share a tokenizer get the ids that one gets", "[tokenizer]") {
  const Tokenizer tokenizer = load(small_bpe());
  std::vector<std::string> texts;
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    texts.emplace_back();
    for (int k = 0; k < 40; ++k) texts.back() += "abc xB"[random() % 6];
  }
  const auto expected = tokenizer.encode_batch(texts);
  std::vector<std::vector<Ids>> found(4);
  std::vector<std::thread> threads;
  for (auto& mine : found) threads.emplace_back([&] { mine = tokenizer.encode_batch(texts); });
  for (auto& thread : threads) thread.join();
  for (const auto& mine : found) CHECK(mine == expected);
}

TEST_CASE("a batch is padded to its longest text where the file asks for it", "[tokenizer]") {
  Json document = small_bpe();
  document["padding"] =
      Json::parse(R"({"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": null,
    "pad_id": 0, "pad_type_id": 0, "pad_token": "?"})");
  document["truncation"] = Json::parse(R"({"direction": "Right", "max_length": 3, "strategy": "LongestFirst",
    "stride": 0})");
  const std::vector<std::string> texts = {"a", "abc abc abc", ""};
  CHECK(load(document).encode_batch(texts) == std::vector<Ids>{{7, 1, 0}, {7, 6, 6}, {7, 0, 0}});
}
