#pragma once

#include <span>
#include <string>
#include <string_view>

namespace unisim {

/// What a template puts around what is said. Every piece is written as it is, once for each turn but `opening`.
struct PromptTemplate {
  std::string_view name = {};
  std::string_view opening = {};      ///< in front of all
  std::string_view system = {};       ///< a system turn's words, which a folder may replace; empty: no such turn
  std::string_view system_end = {};
  std::string_view user = {};
  std::string_view per_picture = {};  ///< behind each picture in front of the text
  std::string_view before_text = {};  ///< between those pictures and the text, even if there are none
  std::string_view user_end = {};
  std::string_view asks = {};         ///< last of all: the model goes on from here
  std::string_view answer = {};       ///< in front of an answer that has been given
  std::string_view answer_end = {};
  std::string_view stop = {};         ///< the token that ends the model's answer
};

std::span<const PromptTemplate> prompt_templates();

/// The name of a Jinja text, white space that does not count ignored; empty where it is not known.
std::string_view name_of_jinja(std::string_view text);

/// A Jinja text without what Jinja, as transformers sets it up, makes nothing of: comments, white space in tags outside
/// of strings, the line end behind a tag, indentation before one. In strings \n is written as a line end.
std::string bare_jinja(std::string_view text);

}  // namespace unisim
