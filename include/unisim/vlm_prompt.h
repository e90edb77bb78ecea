#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

/// What is said to a vision-language model, and what the model sees of it.
namespace unisim {

/// A picture, or a text in which nothing marks one.
struct VlmPart {
  bool picture = false;
  std::string text = {};
};

/// A string, whose every "<image>" marks a picture; or parts, so that the texts of others can stand in a prompt: there
/// the parts alone say where pictures are. Neither has a control token in it, whatever it looks like.
using VlmWords = std::variant<std::string, std::vector<VlmPart>>;

/// An earlier turn of a conversation: an example, say.
struct VlmTurn {
  VlmWords prompt;
  int64_t pictures = 0;  ///< how many of the images are its own; they stand before those of later turns
  std::string answer;
};

/// How a prompt is put to the model.
struct PromptOptions {
  std::string template_name = {};  ///< of docs/generative.md; empty: the folder's own; "raw": already rendered, one string
  std::vector<VlmTurn> before = {};
};

/// Token ids of a prompt as the model sees it: a picture's rows are `picture_id`.
struct VlmPrompt {
  std::vector<int64_t> ids = {};
  std::vector<std::pair<int64_t, int64_t>> pictures = {};  ///< first id and number of rows of each
  std::string text = {};                                   ///< as people read it: markers where pictures stand
};

}  // namespace unisim
