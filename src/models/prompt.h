#pragma once

#include <unisim/tokenizer.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "vlm_config.h"

/// Prompts as parts, never as one formatted string: what a caller writes stays text, whatever it looks like. No
/// LibTorch here.
namespace unisim {

/// Text is tokenised with no added token recognised in it; Control is one piece of the template, whose added tokens
/// count; Picture stands for the next picture.
struct PromptPart {
  enum class Kind { Text, Picture, Control };
  Kind kind = Kind::Text;
  std::string text = {};
};
using PromptParts = std::vector<PromptPart>;

/// What a caller wrote: every "<image>" is a picture, all else text.
PromptParts marked(std::string_view prompt);
/// The same of a prompt that the library wrote, with captions in it: each "{}" takes the next of `texts`, which stays
/// text even if it holds "<image>". Throws std::invalid_argument for another number of them.
PromptParts filled(std::string_view prompt, std::span<const std::string> texts);
/// As people read it: "<image>" where pictures stand.
std::string readable(const PromptParts& parts);

/// A turn of a conversation: its pictures are all marked, in order, or none is; then they stand in front. An answer
/// belongs to every turn but the last.
struct PromptTurn {
  PromptTurn() = default;
  PromptTurn(std::string_view written, int64_t count, std::optional<std::string> said = {})
      : prompt(marked(written)), pictures(count), answer(std::move(said)) {}
  PromptTurn(PromptParts parts, int64_t count, std::optional<std::string> said = {})
      : prompt(std::move(parts)), pictures(count), answer(std::move(said)) {}

  PromptParts prompt = {};  ///< Text and Picture
  int64_t pictures = 0;
  std::optional<std::string> answer = {};  ///< may be empty: the model said nothing
};

/// The templates' names, "raw" last: there the prompt is already rendered, so that its control tokens and markers
/// (<image>, or the folder's own picture token, one for each picture) count.
std::vector<std::string> template_names();
/// The name of a folder's template; empty where its Jinja text is none that is known. Throws DataError for an unknown
/// name in the folder.
std::string template_of(const VlmConfig& config);

/// A conversation up to where the model answers the last turn. `template_name` empty: the folder's own. Throws
/// std::invalid_argument for another number of markers than pictures, a turn without its answer, an unknown template,
/// or none where the folder's own is not known (lists the known).
PromptParts render_prompt(const VlmConfig& config, const std::string& template_name, std::span<const PromptTurn> turns);

/// Ids of a prompt, pictures spread out.
struct EncodedPrompt {
  struct Slot {
    int64_t at = 0;    ///< of its first id
    int64_t rows = 0;
  };
  std::vector<int64_t> ids;
  std::vector<Slot> pictures;
};

/// Ids are those of the `transformers` tokenizer on the rendered string, as long as no text holds an added token. What
/// a text looks like never matters: no added token, special or not (<think>, <tool_call>), comes from it.
class PromptEncoder {
 public:
  /// Throws DataError where the folder's tokenizer and config.json do not agree on the picture's token, Unsupported
  /// where the tokenizer puts more around a text than one token in front.
  explicit PromptEncoder(const VlmConfig& config);

  /// `rows` of each picture, in order. What frames a picture in the ids (InternVL's <img>, </img>) is put around it.
  EncodedPrompt encode(const PromptParts& parts, std::span<const int64_t> rows) const;
  /// Ids of an answer as it would follow a prompt: tokenised alone, without special tokens (a Llama answer so opens
  /// with the word mark, as its own answers do). Throws std::invalid_argument if it has none.
  std::vector<int64_t> encode_answer(std::string_view answer) const;
  std::string decode(std::span<const int64_t> ids) const;
  /// Ids that end an answer: the folder's, and what closes an answer in any template, if it is an added token.
  const std::vector<int64_t>& stop_ids() const { return stop_ids_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }

 private:
  std::vector<int64_t> before_pictures_are_spread(const PromptParts& parts) const;

  Tokenizer tokenizer_;
  std::filesystem::path file_;  ///< tokenizer.json
  std::vector<int64_t> stop_ids_;
  std::string picture_text_;  ///< one row of a picture with what frames it
  int64_t picture_id_ = 0;
  std::optional<int64_t> bos_;
  bool pieces_alone_ = false;
};

}  // namespace unisim
