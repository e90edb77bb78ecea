#pragma once

#include <unisim/image.h>
#include <unisim/tensor.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace unisim {

struct EncoderOptions {
  Device device = Device("cpu");
  DType dtype = DType::Float32;
  std::string executor = "fused";  ///< "fused" or "aten"; Encoder::executor() tells which runs
  bool batch_invariant = false;    ///< rows that do not depend on the batch; always so in fp32 on the CPU
};

/// What stands for the picture instead of the model's own output: a row of a hidden layer, after the final norm.
enum class Pool { Cls, Mean };

struct EmbedOptions {
  int64_t batch_size = 0;          ///< images between two calls of progress; 0: the library chooses
  bool normalize = true;           ///< rows of length one
  std::optional<int64_t> layer = {};  ///< hidden layer 0..layers (0: the embeddings) with the final norm, pooled by `pool`
  std::optional<Pool> pool = {};      ///< Cls: the class token; Mean: over patch tokens. Default with a layer: Cls
  Progress progress = {};
};

/// Rows of the files that could be read, in order, with the index of each; and those that could not.
struct FileRows {
  Tensor rows;  ///< [n, dim] float32
  std::vector<int64_t> index;
  std::vector<Failure> failures;
};

/// An image encoder, with its text tower where the model has one: CLIP, SigLIP, DINOv2, ViT.
///
/// Preprocessing, activation, pooling, epsilon and tokenizer come from the model folder's own files; something
/// missing is a DataError that names it, a field we do not honour is Unsupported. Safe to share between threads.
class UNISIM_API Encoder {
 public:
  /// A folder in the layout of Hugging Face, OpenCLIP or timm, or the name of one: what `unisim get` installed, or
  /// ORG/REPO in the Hugging Face cache. Never opens a network connection.
  static Encoder load(const std::string& path_or_name, const EncoderOptions& options = {});

  std::string name() const;       ///< the last part of the folder's path, or ORG/REPO
  std::filesystem::path folder() const;
  std::string family() const;     ///< "clip", "siglip", "dinov2", "vit"
  std::string executor() const;   ///< "aten" or "fused"
  Device device() const;
  DType dtype() const;
  int64_t dim() const;            ///< width of an embedding
  int64_t image_size() const;     ///< height of the square that preprocess makes
  int64_t layers() const;
  int64_t parameters() const;     ///< floating point numbers in the weights, of all towers
  bool has_text() const;
  std::vector<std::pair<std::string, std::string>> facts() const;  ///< preprocessing, activation, ... for people

  Tensor preprocess(std::span<const Image> images) const;  ///< [n, 3, H, W] float32: what the tower sees
  Tensor embed_images(std::span<const Image> images, const EmbedOptions& options = {}) const;  ///< [n, dim]
  Tensor embed_pixels(const Tensor& pixels, const EmbedOptions& options = {}) const;           ///< [n, dim]
  /// Files decoded on threads while the tower runs; a bad file is a failure, never the end of the run.
  FileRows embed_files(std::span<const std::filesystem::path> files, const EmbedOptions& options = {},
                       const ReadOptions& reading = {}) const;

  Tensor tokenize(std::span<const std::string> texts) const;  ///< [n, context] int64, padded and cut as the model's
  Tensor embed_texts(std::span<const std::string> texts, const EmbedOptions& options = {}) const;  ///< [n, dim]
  Tensor embed_tokens(const Tensor& ids, const EmbedOptions& options = {}) const;                  ///< [n, dim]

  /// [n, patches, width]: without class and register tokens. layer k: Hugging Face's hidden_states[k] as it stands;
  /// none: the last, with the final norm.
  Tensor patch_tokens(std::span<const Image> images, std::optional<int64_t> layer = {}) const;
  Tensor patch_tokens(const Tensor& pixels, std::optional<int64_t> layer = {}) const;

  struct State;
  explicit Encoder(std::shared_ptr<const State> state) : state_(std::move(state)) {}

 private:
  std::shared_ptr<const State> state_;
};

}  // namespace unisim
