#pragma once

#include <unisim/vlm.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "models/decoder.h"
#include "models/prompt.h"
#include "models/vlm_config.h"
#include "models/vlm_vision.h"
#include "vlm_kept.h"

/// Vlm inside: a prompt is planned (pictures cut, ids made, nothing computed), then run.
namespace unisim {

/// A prompt as it will be run.
struct PlannedPrompt {
  PromptParts parts = {};
  EncodedPrompt encoded = {};
  std::vector<const Image*> images = {};
  std::vector<TilePlan> plans = {};
  std::vector<std::string> contents = {};  ///< of each picture: SHA-256 of its pixels and of how it is cut
  PromptKey key = {};
  std::vector<std::vector<int64_t>> answers = {};  ///< ids of each choice
  int64_t fixed = 0;  ///< rows in front that are always a run of their own: see VlmAsked::fixed_turns

  int64_t rows() const { return static_cast<int64_t>(encoded.ids.size()); }
  int64_t longest_answer() const;
};

/// Rows in common with what is kept that are worth it.
inline constexpr int64_t kLeastKept = 16;
/// Or all that can be spared, however little: the last row is always computed.
inline bool is_worth(int64_t kept, const PlannedPrompt& prompt) {
  return kept >= kLeastKept || (kept > 0 && kept == prompt.rows() - 1);
}

/// What is asked: turns whose pictures stand in `images`, in order.
struct VlmAsked {
  std::vector<const Image*> images = {};
  std::vector<PromptTurn> turns = {};
  std::vector<std::string> choices = {};
  std::string template_name = {};
  /// Turns in front that many prompts begin with (examples). Their keys and values are computed by themselves and kept: the
  /// bits of what stands behind them do not depend on what was asked before.
  std::size_t fixed_turns = 0;
};

/// As Vlm's own calls have it.
VlmAsked asked_of(std::span<const Image> images, const VlmWords& prompt, const PromptOptions& options);

/// Log probabilities of the tokens of each choice, one after the other.
using TokenLogs = std::vector<std::vector<double>>;

/// VlmCounts as they are counted.
struct RunningCounts {
  std::atomic<int64_t> tower_tiles = 0, features_found = 0, decoder_rows = 0, prefix_rows = 0;
};

struct Vlm::State {
  std::string name;
  VlmConfig config;
  VlmOptions options;
  int64_t parameters = 0;
  std::unique_ptr<const VlmVision> vision;
  std::unique_ptr<const Decoder> decoder;
  std::string fused_refused;  ///< why the kernels do not run though they were asked for; "": they were not, or do
  std::unique_ptr<const PromptEncoder> prompts;

  mutable std::mutex mutex;  ///< one run at a time: of what follows
  mutable KeptFeatures features{0};
  mutable KeptPrefixes prefixes{0};
  mutable KeptPrefixes turns{0};  ///< fixed ones
  mutable RunningCounts counts;  ///< read without the mutex

  /// Throws std::invalid_argument for what cannot be put to the model, however long it is.
  PlannedPrompt plan(const VlmAsked& asked) const;
  /// The same, which leaves room for the longest answer, and for as many tokens: else std::invalid_argument, which says
  /// how many pictures fit.
  PlannedPrompt plan_to_run(const char* operation, const VlmAsked& asked, int64_t room) const;

  Generated generate(const PlannedPrompt& prompt, const GenerateOptions& asked) const;
  /// Log probabilities of all choices of all prompts, packed into runs. `keep`: behind what is kept of prompts before, and
  /// kept for those that come. progress counts prompts.
  std::vector<TokenLogs> answer_logs(std::span<const PlannedPrompt> prompts, bool keep,
                                     const Progress& progress = {}) const;

  /// Bytes that the keys and values of so many rows take.
  int64_t bytes_of_rows(int64_t rows) const;

  /// What follows is called with the mutex held.

  /// Rows of a picture, computed or found.
  Tensor rows_of(const PlannedPrompt& prompt, std::size_t picture) const;
  /// Rows [from, prompt.rows()) as the decoder takes them: [rows - from, width].
  Tensor embedded(const PlannedPrompt& prompt, int64_t from) const;
  /// Keys and values of a prompt's fixed rows, found or computed.
  KeysValues fixed_rows(const PlannedPrompt& prompt, bool long_factors) const;
};

/// By the rules of Vlm::choose.
Choice choice_of(const PlannedPrompt& prompt, const TokenLogs& logs, const ChooseOptions& options);
/// Throws std::invalid_argument where an option or the choices of a question are not what they should be.
void check_choices(std::span<const std::string> choices, const ChooseOptions& options);

}  // namespace unisim
