#include "prompt_templates.h"

#include <algorithm>
#include <iterator>

#include "sha256.h"

namespace unisim {
namespace {

/// LLaVA-1.5's first turn, as its authors wrote it (Vicuna's).
constexpr std::string_view vicuna =
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, "
    "detailed, and polite answers to the human's questions. ";

/// InternVL2's system message, where the folder has none.
constexpr std::string_view internvl_says =
    "你是由上海人工智能实验室联合商汤科技开发的书生多模态大模型，英文名叫InternVL, 是一个有用无害的人工智能助手。";
/// InternVL2.5's.
constexpr std::string_view internvl2_5_says =
    "你是书生·万象，英文名是InternVL，是由上海人工智能实验室、清华大学及多家合作单位联合开发的多模态大语言模型。";

/// The first five as the folders' Jinja texts render them, the others as the authors' own code writes them.
constexpr PromptTemplate table[] = {
    {.name = "llava_hf",
     .user = "USER: ", .per_picture = "\n", .user_end = " ",
     .asks = "ASSISTANT:", .answer = "ASSISTANT: ", .answer_end = " ", .stop = "</s>"},
    {.name = "interleave_hf",
     .user = "<|im_start|>user\n", .before_text = "\n", .user_end = "<|im_end|>\n",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant\n\n", .answer_end = "<|im_end|>\n",
     .stop = "<|im_end|>"},
    {.name = "onevision_hf",
     .user = "<|im_start|>user ", .before_text = "\n", .user_end = "<|im_end|>",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant \n", .answer_end = "<|im_end|>",
     .stop = "<|im_end|>"},
    {.name = "onevision_hf_2",
     .user = "<|im_start|>user\n", .per_picture = "\n", .user_end = "<|im_end|>\n",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant\n", .answer_end = "<|im_end|>\n",
     .stop = "<|im_end|>"},
    {.name = "internvl_hf",
     .user = "<|im_start|>user\n", .per_picture = "\n", .user_end = "<|im_end|>\n",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant\n", .answer_end = "<|im_end|>\n",
     .stop = "<|im_end|>"},
    {.name = "qwen_1_5", .opening = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n",
     .user = "<|im_start|>user\n", .per_picture = "\n", .user_end = "<|im_end|>\n",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant\n", .answer_end = "<|im_end|>\n",
     .stop = "<|im_end|>"},
    {.name = "llava_v1", .opening = vicuna,
     .user = "USER: ", .per_picture = "\n", .user_end = " ",
     .asks = "ASSISTANT:", .answer = "ASSISTANT: ", .answer_end = "</s>", .stop = "</s>"},
    {.name = "phi3_internvl", .opening = "<|system|>\n", .system = internvl_says, .system_end = "<|end|>",
     .user = "<|user|>\n", .per_picture = "\n", .user_end = "<|end|>",
     .asks = "<|assistant|>\n", .answer = "<|assistant|>\n", .answer_end = "<|end|>", .stop = "<|end|>"},
    {.name = "hermes2_internvl", .opening = "<|im_start|>system\n", .system = internvl_says, .system_end = "<|im_end|>",
     .user = "<|im_start|>user\n", .per_picture = "\n", .user_end = "<|im_end|>",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant\n", .answer_end = "<|im_end|>",
     .stop = "<|im_end|>"},
    {.name = "internvl2_5", .opening = "<|im_start|>system\n", .system = internvl2_5_says,
     .system_end = "<|im_end|>\n",
     .user = "<|im_start|>user\n", .per_picture = "\n", .user_end = "<|im_end|>\n",
     .asks = "<|im_start|>assistant\n", .answer = "<|im_start|>assistant\n", .answer_end = "<|im_end|>\n",
     .stop = "<|im_end|>"},
};

/// SHA-256 of bare_jinja() of the texts that folders carry, with and without the marks of what the model said
/// (`generation`), or with another marker. python/tests/chat_templates.py has them in words.
struct KnownJinja {
  std::string_view name, digest;
};
constexpr KnownJinja known[] = {
    {"llava_hf", "19a8f55284b8d7469ebbf822a120f01b83e82ab5220ca90dc0423e6318e734e1"},
    {"llava_hf", "f743677a293acc6d51108c4825e1ea26ca73621be042bdd55703678bec21b1b0"},
    {"interleave_hf", "2c2d0c41ae5e921fe5caeed8881b3358379faad91e7f98ee90ad98b76277980a"},
    {"interleave_hf", "c0001696e4dae26e6de8fa64bc3391d25bbdacdea7094bc3b09a3b6addb5ea42"},
    {"onevision_hf", "4c924ed74ec0af9d866cf6b85a8945834e493911439a3cfc0cbd31503c34dbf2"},
    {"onevision_hf", "71a5e241dd24523e915f049396572f473da82be65c021b734a5693240874f7bd"},
    {"onevision_hf_2", "4b6eee3d6c73a4051d7d5a3bbcd3bb8248a4ba61cc3ca56225d46ca0ad3d3cc9"},
    {"onevision_hf_2", "e7ce12dfe50bb24d78456ac04bc94412f2d8507defe3194cdb61902cd7d58127"},
    {"internvl_hf", "805aece16893a4ce34e2450a714a1d7aaa12a7e86aa0b5dca457978977c96640"},
    {"internvl_hf", "24d063405df3c51708c30673c59b88ff2803ebfac6906536e2d5b5e0302d718f"},
};

bool is_white(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/// Copies the tag that begins at `at` ("{{" or "{%") without what does not count; returns where it ends.
std::size_t copy_tag(std::string_view text, std::size_t at, std::string& to) {
  const std::string_view close = text[at + 1] == '%' ? "%}" : "}}";
  to += text.substr(at, 2);
  char quote = 0;
  for (at += 2; at < text.size(); ++at) {
    const char c = text[at];
    if (quote != 0) {
      const bool escaped = c == '\\' && at + 1 < text.size();
      if (escaped && text[at + 1] == 'n')
        to += '\n';
      else
        to += text.substr(at, escaped ? 2 : 1);
      if (escaped) ++at;
      if (c == quote) quote = 0;
    } else if (text.substr(at, 2) == close) {
      to += close;
      return at + 2;
    } else if (!is_white(c)) {
      if (c == '\'' || c == '"') quote = c;
      to += c;
    }
  }
  return text.size();
}

/// Blanks in front of the tag at `at`, already copied, if nothing else is before it on its line.
void drop_indentation(std::string_view text, std::size_t at, std::string& copied) {
  std::size_t begin = at;
  while (begin > 0 && (text[begin - 1] == ' ' || text[begin - 1] == '\t')) --begin;
  if (begin == 0 || text[begin - 1] == '\n') copied.resize(copied.size() - (at - begin));
}

}  // namespace

std::span<const PromptTemplate> prompt_templates() { return table; }

std::string bare_jinja(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  std::string bare;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view mark = text.substr(at, 2);
    if (mark == "{{") {
      at = copy_tag(text, at, bare);
      continue;
    }
    if (mark != "{%" && mark != "{#") {
      bare += text[at++];
      continue;
    }
    drop_indentation(text, at, bare);
    if (mark == "{%") {
      at = copy_tag(text, at, bare);
    } else {
      const std::size_t end = text.find("#}", at + 2);
      at = end == std::string_view::npos ? text.size() : end + 2;
    }
    if (at < text.size() && text[at] == '\n') ++at;
  }
  return bare;
}

std::string_view name_of_jinja(std::string_view text) {
  const std::string digest = sha256(bare_jinja(text));
  const auto found = std::find_if(std::begin(known), std::end(known),
                                  [&](const KnownJinja& jinja) { return jinja.digest == digest; });
  return found == std::end(known) ? std::string_view() : found->name;
}

}  // namespace unisim
