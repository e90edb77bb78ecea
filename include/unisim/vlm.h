#pragma once

#include <unisim/image.h>
#include <unisim/tensor.h>
#include <unisim/vlm_prompt.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace unisim {

struct VlmOptions {
  Device device = Device("cpu");
  DType dtype = DType::Float32;
  std::string executor = "auto";                    ///< of the decoder: "aten" (LibTorch's operations), "fused" (the
                                                    ///< library's kernels, on the CPU), "auto": the faster of them, which
                                                    ///< is "aten" so far. Vlm::executor() tells which runs
  int64_t feature_bytes = int64_t{256} << 20;       ///< rows of pictures seen before, kept by content
  int64_t prefix_bytes = int64_t{512} << 20;        ///< keys and values of prompts seen before; as many of
                                                    ///< solved examples (by_asking with shots)
};

struct ChooseOptions {
  PromptOptions prompt = {};
  std::string length = "sum";      ///< "mean": the log probability of a choice over its number of tokens
  bool kept_prefixes = true;       ///< behind rows of prompts before, where they begin alike: then the last bits of a score
                                   ///< may depend on what was asked before
  bool first_token = false;        ///< by the first token of each choice alone; std::invalid_argument if two share one
};

/// What a model says of the choices it was given. With l_c the sum (or mean) of log p of the tokens of choice c behind the
/// prompt and the tokens before: probability_c = exp(l_c) / sum over choices of exp(l).
struct Choice {
  std::vector<double> probabilities;      ///< over the choices, sum 1
  std::vector<double> log_probabilities;  ///< l_c, of the whole vocabulary
  int64_t best = 0;                       ///< the first of the most probable
  double coverage = 0;                    ///< sum of exp of the summed log p: the probability that the model says any of
                                          ///< them, were nothing else asked; low: it wanted to say something else
};

struct VlmItem {
  std::vector<Image> images;
  VlmWords prompt;
  std::vector<std::string> choices;
};

struct GenerateOptions {
  PromptOptions prompt = {};
  int64_t max_new_tokens = 64;
  bool kept_prefixes = true;           ///< as ChooseOptions has it
  std::vector<std::string> stop = {};  ///< texts that end the answer; they are not part of it
  Progress progress = {};
};

struct Generated {
  std::string text;
  std::vector<int64_t> ids;  ///< the stop token left out
  bool stopped = false;      ///< by a stop token or text; false: max_new_tokens were reached
};

/// What was computed and what was found again, since the model was loaded.
struct VlmCounts {
  int64_t tower_tiles = 0;    ///< tiles that a tower was run on
  int64_t features_found = 0; ///< pictures whose rows were kept
  int64_t decoder_rows = 0;   ///< rows that the decoder computed
  int64_t prefix_rows = 0;    ///< rows that a kept prefix spared
};

/// A vision-language model that is asked: LLaVA, LLaVA-OneVision, InternVL, with Llama, Qwen2, Qwen3 or Phi-3 behind it,
/// or two mixed towers (I-MoF, A-MoF).
///
/// The folder's own files say everything; what is missing is a DataError that names it, a field that is not honoured
/// Unsupported. A prompt marks pictures (VlmWords); one without marks has the pictures first. Everything else in it stays
/// text, whatever it looks like. Safe to share between threads, which wait for each other.
class UNISIM_API Vlm {
 public:
  /// A folder in the layout of Hugging Face, or what `unisim convert` made. Never opens a network connection.
  static Vlm load(const std::filesystem::path& folder, const VlmOptions& options = {});

  std::string name() const;      ///< the last part of the folder's path
  std::filesystem::path folder() const;
  std::string family() const;    ///< "llava", "llava_onevision", "internvl", "llava_mof"
  std::string executor() const;  ///< "aten" or "fused"
  Device device() const;
  DType dtype() const;
  int64_t parameters() const;    ///< floating point numbers in the weights
  int64_t context() const;       ///< the longest sequence
  std::vector<std::pair<std::string, std::string>> facts() const;  ///< for people
  VlmCounts counts() const;

  /// One prefill; the choices' own tokens stand packed behind it. Throws std::invalid_argument for an empty or doubled
  /// choice, a prompt too long (says how many pictures fit), another number of markers than pictures.
  Choice choose(std::span<const Image> images, const VlmWords& prompt, std::span<const std::string> choices,
                const ChooseOptions& options = {}) const;
  /// Many at once, packed by their number of rows. progress counts items.
  std::vector<Choice> choose_many(std::span<const VlmItem> items, const ChooseOptions& options = {},
                                  const Progress& progress = {}) const;
  /// Greedy.
  Generated generate(std::span<const Image> images, const VlmWords& prompt, const GenerateOptions& options = {}) const;

  VlmPrompt encode(std::span<const Image> images, const VlmWords& prompt, const PromptOptions& options = {}) const;
  /// [tiles, 3, height, width] float32 of each image: what the tower sees.
  std::vector<Tensor> preprocess(std::span<const Image> images) const;
  /// [rows, width] of each image: what stands for it in the prompt.
  std::vector<Tensor> image_features(std::span<const Image> images) const;
  /// [vocabulary] float32: of the token behind the prompt.
  Tensor logits(std::span<const Image> images, const VlmWords& prompt, const PromptOptions& options = {}) const;

  struct State;
  explicit Vlm(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  const State& state() const { return *state_; }  ///< what the library's own code asks

 private:
  std::shared_ptr<const State> state_;
};

/// The templates that a prompt may be put in, "raw" last.
UNISIM_API std::vector<std::string> vlm_templates();

}  // namespace unisim
