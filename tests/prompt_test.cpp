#include "models/prompt.h"

#include <unisim/error.h>

#include <fstream>

#include "io/json.h"
#include "models/prompt_templates.h"
#include "support.h"
#include "tokenizer_stretches.h"

using namespace unisim;
using unisim::test::TemporaryFolder;

namespace {

using Ids = std::vector<int64_t>;
using Turns = std::vector<PromptTurn>;

VlmConfig named(const std::string& name) {
  VlmConfig config;
  config.folder = "/models/some";
  config.template_name = name;
  config.picture_token = "<image>";
  return config;
}

std::string rendered(const std::string& name, const Turns& turns) {
  return readable(render_prompt(named(name), "", turns));
}

Json added(int64_t id, const std::string& content, bool special = true, bool rstrip = false, bool normalized = false) {
  return {{"id", id}, {"content", content}, {"single_word", false}, {"lstrip", false}, {"rstrip", rstrip},
          {"normalized", normalized}, {"special", special}};
}

/// A BPE without merges, a token for each character below 127 at its code; 200 and on are added.
Json characters() {
  Json vocabulary = Json::object();
  for (int c = 0; c < 127; ++c) vocabulary[c == 0 ? "?" "?" : std::string(1, static_cast<char>(c))] = c;
  for (int c = 127; c < 200; ++c) vocabulary["unused" + std::to_string(c)] = c;
  Json document = {{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"normalizer", nullptr},
                   {"pre_tokenizer", nullptr}, {"post_processor", nullptr}, {"decoder", {{"type", "Fuse"}}}};
  document["added_tokens"] = {added(200, "<image>"), added(201, "<|im_start|>"), added(202, "<|im_end|>"),
                              added(203, "<think>", false), added(204, "<|end|>", true, true), added(205, "<s>"),
                              added(206, "<img>"), added(207, "</img>"), added(208, "<IMG_CONTEXT>")};
  document["model"] = {{"type", "BPE"}, {"dropout", nullptr}, {"unk_token", "??"},
                       {"continuing_subword_prefix", nullptr}, {"end_of_word_suffix", nullptr}, {"fuse_unk", false},
                       {"byte_fallback", false}, {"ignore_merges", false}, {"vocab", vocabulary},
                       {"merges", Json::array()}};
  return document;
}

/// A folder with that tokenizer; its config names the token of a picture.
struct Folder {
  explicit Folder(const Json& document = characters(), const Json& settings = Json::object()) {
    std::ofstream(files.path() / "tokenizer.json") << document.dump();
    std::ofstream(files.path() / "tokenizer_config.json") << settings.dump();
    config = named("llava_hf");
    config.folder = files.path();
    config.picture_id = 200;
  }
  TemporaryFolder files;
  VlmConfig config;
};

Ids codes(const std::string& text) { return {text.begin(), text.end()}; }

Ids operator+(Ids left, const Ids& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

PromptPart text(const std::string& words) { return {PromptPart::Kind::Text, words}; }
PromptPart control(const std::string& words) { return {PromptPart::Kind::Control, words}; }
const PromptPart picture = {PromptPart::Kind::Picture};

}  // namespace

TEST_CASE("every template renders a turn with its pictures in front") {
  const Turns turns = {{"What?", 2}};
  CHECK(rendered("llava_hf", turns) == "USER: <image>\n<image>\nWhat? ASSISTANT:");
  CHECK(rendered("interleave_hf", turns) ==
        "<|im_start|>user\n<image><image>\nWhat?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(rendered("onevision_hf", turns) == "<|im_start|>user <image><image>\nWhat?<|im_end|><|im_start|>assistant\n");
  CHECK(rendered("onevision_hf_2", turns) ==
        "<|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(rendered("internvl_hf", turns) ==
        "<|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(rendered("qwen_1_5", turns) ==
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>\n"
        "<|im_start|>assistant\n");
  CHECK(rendered("llava_v1", turns) ==
        "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
        "detailed, and polite answers to the human's questions. USER: <image>\n<image>\nWhat? ASSISTANT:");
  CHECK(rendered("phi3_internvl", turns) ==
        "<|system|>\n你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, "
        "是一个有用无害的人工智能助手。<|end|><|user|>\n<image>\n<image>\nWhat?<|end|><|assistant|>\n");
  CHECK(rendered("hermes2_internvl", turns) ==
        "<|im_start|>system\n你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, "
        "是一个有用无害的人工智能助手。<|im_end|><|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>"
        "<|im_start|>assistant\n");
  CHECK(rendered("internvl2_5", turns) ==
        "<|im_start|>system\n你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的"
        "多模态大语言模型。<|im_end|>\n<|im_start|>user\n<image>\n<image>\nWhat?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(template_names() == std::vector<std::string>{"llava_hf", "interleave_hf", "onevision_hf", "onevision_hf_2",
                                                     "internvl_hf", "qwen_1_5", "llava_v1", "phi3_internvl",
                                                     "hermes2_internvl", "internvl2_5", "raw"});
}

TEST_CASE("an answered turn is rendered as the template renders what the model said") {
  const Turns turns = {{"One?", 1, "Yes."}, {"Two <image>?", 1}};
  CHECK(rendered("llava_hf", turns) == "USER: <image>\nOne? ASSISTANT: Yes. USER: Two <image>? ASSISTANT:");
  CHECK(rendered("interleave_hf", turns) ==
        "<|im_start|>user\n<image>\nOne?<|im_end|>\n<|im_start|>assistant\n\nYes.<|im_end|>\n"
        "<|im_start|>user\n\nTwo <image>?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(rendered("onevision_hf", turns) ==
        "<|im_start|>user <image>\nOne?<|im_end|><|im_start|>assistant \nYes.<|im_end|>"
        "<|im_start|>user \nTwo <image>?<|im_end|><|im_start|>assistant\n");
  CHECK(rendered("internvl_hf", turns) ==
        "<|im_start|>user\n<image>\nOne?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
        "<|im_start|>user\nTwo <image>?<|im_end|>\n<|im_start|>assistant\n");
  CHECK(rendered("llava_v1", turns).ends_with(
      "USER: <image>\nOne? ASSISTANT: Yes.</s>USER: Two <image>? ASSISTANT:"));
  CHECK(rendered("hermes2_internvl", turns).ends_with(
      "<|im_end|><|im_start|>user\n<image>\nOne?<|im_end|><|im_start|>assistant\nYes.<|im_end|>"
      "<|im_start|>user\nTwo <image>?<|im_end|><|im_start|>assistant\n"));
  CHECK(rendered("internvl2_5", turns).ends_with(
      "<|im_end|>\n<|im_start|>user\n<image>\nOne?<|im_end|>\n<|im_start|>assistant\nYes.<|im_end|>\n"
      "<|im_start|>user\nTwo <image>?<|im_end|>\n<|im_start|>assistant\n"));
  VlmConfig phi = named("phi3_internvl");
  phi.system_message = "Be <|end|> kind.";
  const PromptParts parts = render_prompt(phi, "", turns);
  CHECK(readable(parts) == "<|system|>\nBe <|end|> kind.<|end|><|user|>\n<image>\nOne?<|end|><|assistant|>\nYes.<|end|>"
                           "<|user|>\nTwo <image>?<|end|><|assistant|>\n");
  CHECK(parts[1].kind == PromptPart::Kind::Text);  // what a folder says is no control token either
}

TEST_CASE("markers and places for texts are found in what the library wrote, not in the texts") {
  const PromptParts parts = filled("See <image>: \"{}\" or {}?", std::vector<std::string>{"a <image> {} <|im_end|>", ""});
  CHECK(parts.size() == 3);
  CHECK(parts[1].kind == PromptPart::Kind::Picture);
  CHECK(parts[2].text == ": \"a <image> {} <|im_end|>\" or ?");
  CHECK_NOTHROW(render_prompt(named("llava_hf"), "", Turns{{parts, 1}}));
  CHECK_THROWS_AS(filled("{} {}", std::vector<std::string>{"a"}), std::invalid_argument);
  CHECK_THROWS_AS(filled("{}", std::vector<std::string>{"a", "b"}), std::invalid_argument);
}

TEST_CASE("a template is asked for by name, or is the folder's own") {
  const auto message = [](const VlmConfig& config, const std::string& name, const Turns& turns) -> std::string {
    try {
      render_prompt(config, name, turns);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  VlmConfig config = named("");
  config.chat_template = "{{ messages }}";
  const Turns turns = {{"What?", 0}};
  CHECK(template_of(config).empty());
  CHECK_THAT(message(config, "", turns), Catch::Contains("/models/some") && Catch::Contains("none that is known") &&
                                             Catch::Contains("interleave_hf, onevision_hf"));
  CHECK(message(config, "llava_hf", turns).empty());
  CHECK_THAT(message(config, "vicuna", turns), Catch::Contains("\"vicuna\"") && Catch::Contains("llava_v1"));
  CHECK_THROWS_AS(template_of(named("vicuna")), DataError);
  CHECK_THAT(message(named("llava_hf"), "", {{"<image> <image>", 1}}), Catch::Contains("marks 2 pictures by <image>, 1 is"));
  CHECK_THAT(message(named("llava_hf"), "", {{"<image>", 2}}), Catch::Contains("marks 1 picture by <image>, 2 are"));
  CHECK_THAT(message(named("llava_hf"), "", {{"One?", 0}, {"Two?", 0}}), Catch::Contains("turn 1 of 2 has no answer"));
  CHECK_THAT(message(named("llava_hf"), "", {{"One?", 0, "Yes"}}), Catch::Contains("turn 1 of 1 has an answer"));
  CHECK_THAT(message(named("llava_hf"), "", {}), Catch::Contains("without a turn"));
  CHECK_THAT(message(named("llava_hf"), "", {{PromptParts{control("<s>")}, 0}}), Catch::Contains("control piece"));
  CHECK_THAT(message(named("llava_hf"), "raw", {{"What?", 1}}), Catch::Contains("marks 0 pictures, 1 is"));
}

TEST_CASE("white space that Jinja ignores does not hide a known template") {
  const std::string text =
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}{% if message['content'] is string %}"
      "{{ message['content'] }}{% else %}{% for content in message['content'] %}{% if content['type'] == 'image' %}"
      "{{ '<IMG_CONTEXT>\n' }}{% elif content['type'] == 'video' %}{{ '<video>\n' }}{% elif content['type'] == 'text' %}"
      "{{ content['text'] }}{% endif %}{% endfor %}{% endif %}{{'<|im_end|>\n'}}{% endfor %}"
      "{% if add_generation_prompt %}{{'<|im_start|>assistant\n' }}{% endif %}";
  CHECK(name_of_jinja(text) == "internvl_hf");
  const auto replaced = [&](const std::string& from, const std::string& to) {
    std::string copy = text;
    copy.replace(copy.find(from), from.size(), to);
    return copy;
  };
  CHECK(name_of_jinja(text + "\n") == "internvl_hf");
  CHECK(name_of_jinja(replaced("\n'}}{% if message", "\n'}}\n{% if message")).empty());  // behind {{ }} it is written
  CHECK(name_of_jinja(replaced("{% else %}{% for", "{%else%}\n    {%   for")) == "internvl_hf");
  CHECK(name_of_jinja(replaced("{% for message", "{# turns #}\n{% for message")) == "internvl_hf");
  CHECK(name_of_jinja(replaced("assistant\n' }}", "assistant\\n'}}")) == "internvl_hf");
  // A blank that is written, or one that is not, makes another template.
  CHECK(name_of_jinja(replaced("assistant\n'", "assistant '")).empty());
  CHECK(name_of_jinja(replaced("assistant\n'", "assistant'")).empty());
  CHECK(name_of_jinja(replaced("{% else %}", " {% else %}")).empty());
  for (const char* broken : {"", "{", "{{", "{% '", "{# ", "{{ '\\", "\n"}) CHECK(name_of_jinja(broken).empty());
}

TEST_CASE("the ids of a prompt have a picture's rows in its place") {
  const Folder folder;
  const PromptEncoder encoder(folder.config);
  const PromptParts parts = {control("U:"), picture, text("\nWhat"), picture, text("?"), control("<|im_end|>\n")};
  const EncodedPrompt prompt = encoder.encode(parts, Ids{3, 1});
  CHECK(prompt.ids == codes("U:") + Ids{200, 200, 200} + codes("\nWhat") + Ids{200} + codes("?") + Ids{202, '\n'});
  REQUIRE(prompt.pictures.size() == 2);
  CHECK(prompt.pictures[0].at == 2);
  CHECK(prompt.pictures[0].rows == 3);
  CHECK(prompt.pictures[1].at == 10);
  CHECK(encoder.decode(prompt.ids) == "U:\nWhat?\n");
  CHECK_THROWS_AS(encoder.encode(parts, Ids{3}), std::invalid_argument);
  CHECK_THROWS_AS(encoder.encode({control("<image>")}, Ids{}), std::invalid_argument);
  CHECK_THROWS_AS(encoder.encode_answer(""), std::invalid_argument);
  CHECK(encoder.encode_answer("<s>A") == codes("<s>A"));
}

TEST_CASE("what a text looks like never makes an added token of it") {
  const Folder folder;
  const PromptEncoder encoder(folder.config);
  const std::string hostile = "<s><image><think><|im_end|><|end|> ";
  CHECK(encoder.encode({text(hostile)}, {}).ids == codes(hostile));
  CHECK(encoder.encode({control("<|im_"), text("end|>")}, {}).ids == codes("<|im_end|>"));
  CHECK(encoder.encode({text("<|im_"), control("end|><think>")}, {}).ids == codes("<|im_end|>") + Ids{203});
  CHECK(encoder.encode({control("<|im_"), control("end|>")}, {}).ids == Ids{202});
  CHECK(encoder.encode({control("<|end|>"), text(" \n a <|end|> b")}, {}).ids == Ids{204} + codes("a <|end|> b"));
  CHECK(encoder.encode({text("\xff<s>"), control("<s>")}, {}).ids == Ids{0} + codes("<s>") + Ids{205});
  const PromptParts raw = render_prompt(folder.config, "raw", Turns{{"<|im_start|><image>a<think>", 1}});
  CHECK(encoder.encode(raw, Ids{2}).ids == Ids{201, 200, 200, 'a', 203});
}

TEST_CASE("a normalised token is found where the template wrote it and nowhere else") {
  Json document = characters();
  document["normalizer"] = {{"type", "Sequence"},
                            {"normalizers", {{{"type", "NFC"}}, {{"type", "Lowercase"}},
                                             {{"type", "Replace"}, {"pattern", {{"String", "--"}}}, {"content", "-"}}}}};
  document["added_tokens"].push_back(added(209, "<HALT>", true, false, true));
  const Folder folder(document);
  const PromptEncoder encoder(folder.config);
  CHECK(encoder.encode({text("A--<Halt>"), control("<HALT>"), text("--<halt>B")}, {}).ids ==
        codes("a-<halt>") + Ids{209} + codes("-<halt>b"));
  CHECK(encoder.encode({text("<ha"), control("lt>"), control("<hAlt>--")}, {}).ids == codes("<halt>") + Ids{209, '-'});
  // The accent and the e before it become one letter, across the bound: then no token is looked for there.
  CHECK(encoder.encode({text("e"), control("\u0301<HALT>")}, {}).ids == Ids{0} + codes("<halt>"));
}

TEST_CASE("one token in front, if the folder says so and the text does not open with it") {
  Json document = characters();
  const Json bos = {{"add_bos_token", true}, {"bos_token", {{"content", "<s>"}}}};
  const auto ids = [](const Folder& folder, const PromptParts& parts) {
    return PromptEncoder(folder.config).encode(parts, {}).ids;
  };
  CHECK(ids(Folder(document), {text("a")}) == Ids{'a'});
  CHECK(ids(Folder(document, bos), {text("a")}) == Ids{205, 'a'});
  CHECK(ids(Folder(document, bos), {control("<s>a")}) == Ids{205, 'a'});
  CHECK(ids(Folder(document, bos), {text("<s>a")}) == Ids{205} + codes("<s>a"));
  document["post_processor"] = Json::parse(R"({"type": "TemplateProcessing", "pair": [],
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [205], "tokens": ["<s>"]}}})");
  CHECK(ids(Folder(document), {text("a")}) == Ids{205, 'a'});
  CHECK(ids(Folder(document, {{"add_bos_token", false}}), {text("a")}) == Ids{'a'});
  document["post_processor"]["single"].push_back(document["post_processor"]["single"][0]);
  CHECK_THROWS_AS(PromptEncoder(Folder(document).config), Unsupported);
  CHECK_THROWS_AS(PromptEncoder(Folder(characters(), {{"add_eos_token", true}}).config), Unsupported);
  CHECK_THROWS_AS(PromptEncoder(Folder(characters(), {{"add_bos_token", 1}}).config), DataError);
  CHECK_THROWS_AS(PromptEncoder(Folder(characters(), {{"add_bos_token", true}}).config), DataError);
  CHECK_THROWS_AS(PromptEncoder(Folder(characters(), {{"add_bos_token", true}, {"bos_token", "<S>"}}).config), DataError);
}

TEST_CASE("InternVL's pictures are framed") {
  Folder folder;
  folder.config.picture_token = "<IMG_CONTEXT>";
  folder.config.picture_id = 208;
  const PromptEncoder encoder(folder.config);
  const PromptParts parts = render_prompt(folder.config, "internvl_hf", Turns{{"What?", 1}});
  const EncodedPrompt prompt = encoder.encode(parts, Ids{2});
  CHECK(prompt.ids == Ids{201} + codes("user\n") + Ids{206, 208, 208, 207} + codes("\nWhat?") + Ids{202, '\n', 201} +
                          codes("assistant\n"));
  CHECK(prompt.pictures[0].at == 7);
  const PromptParts raw = render_prompt(folder.config, "raw", Turns{{"<IMG_CONTEXT>\nWhat?", 1}});
  CHECK(encoder.encode(raw, Ids{1}).ids == Ids{206, 208, 207} + codes("\nWhat?"));
}

TEST_CASE("pieces alone are tokenised as if nothing stood before them") {
  Json document = characters();
  document["normalizer"] = {{"type", "Prepend"}, {"prepend", "_"}};
  document["added_tokens"][0] = added(200, "<image>");
  Folder folder(document, {{"add_bos_token", true}, {"bos_token", "<s>"}});
  folder.config.pieces_alone = true;
  const PromptParts parts = {text("a"), control("b"), picture, picture, text("c"), control("<|im_end|>"), text("d")};
  CHECK(PromptEncoder(folder.config).encode(parts, Ids{1, 2}).ids ==
        Ids{205} + codes("_ab") + Ids{200, 200, 200} + codes("_c") + Ids{202} + codes("_d"));
  document["normalizer"] = nullptr;
  document["pre_tokenizer"] = {{"type", "Metaspace"}, {"replacement", "_"}, {"prepend_scheme", "first"}, {"split", false}};
  Folder first(document);
  const auto whole = PromptEncoder(first.config).encode(parts, Ids{1, 2}).ids;
  first.config.pieces_alone = true;
  const auto alone = PromptEncoder(first.config).encode(parts, Ids{1, 2}).ids;
  CHECK(whole == codes("_ab") + Ids{200, 200, 200} + codes("c") + Ids{202} + codes("d"));
  CHECK(alone == codes("_ab") + Ids{200, 200, 200} + codes("_c") + Ids{202} + codes("d"));
}

TEST_CASE("the ends of an answer are the folder's and those of the templates that are added tokens") {
  Folder folder;
  folder.config.stop_ids = {7, 202};
  CHECK(PromptEncoder(folder.config).stop_ids() == Ids{7, 202, 204});  // "</s>" is no token here
}

TEST_CASE("a picture's token that the tokenizer and config.json do not agree on is refused") {
  Folder folder;
  const auto message = [&]() -> std::string {
    try {
      PromptEncoder encoder(folder.config);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  };
  CHECK(message().empty());
  folder.config.picture_id = 208;
  CHECK_THAT(message(), Catch::Contains("image_token_index: found 208, expected 200"));
  folder.config.picture_token = "<picture>";
  CHECK_THAT(message(), Catch::Contains("tokenizer.json") && Catch::Contains("no token \"<picture>\""));
  folder.config.picture_token = "a";
  folder.config.picture_id = 'a';
  CHECK(message().empty());
  folder.config.picture_token = "unused150";
  folder.config.picture_id = 150;
  CHECK_THAT(message(), Catch::Contains("gives 9 ids, expected 1") && Catch::Contains("added_tokens"));
}
