#include <unisim/tokenizer.h>

#include <mutex>

#include "io/file.h"
#include "io/json.h"
#include "io/tokenizer_added.h"
#include "io/tokenizer_bytes.h"
#include "io/tokenizer_decode.h"
#include "io/tokenizer_model.h"
#include "io/tokenizer_normalize.h"
#include "io/tokenizer_post.h"
#include "io/tokenizer_pretokenize.h"
#include "tokenizer_stretches.h"

namespace unisim {
namespace {

constexpr std::size_t longest_text = std::size_t{1} << 20;

const Vocabulary& vocabulary_of(const Model& model) {
  return std::visit([](const auto& m) -> const Vocabulary& { return m.vocabulary(); }, model);
}

void require_short(std::size_t bytes) {
  require(bytes <= longest_text, "[tokenizer] a text of ", bytes, " bytes, expected at most ", longest_text);
}

const Json& section(const Json& document, const char* name) {
  static const Json none;
  const auto found = document.find(name);
  return found == document.end() ? none : *found;
}

}  // namespace

struct Tokenizer::State {
  State(const Json& document, const std::filesystem::path& file, bool own_lengths);

  /// Of valid text, without the post-processor; added tokens count in the ranges.
  std::vector<int64_t> encode(std::string_view text, std::span<const ByteRange> ranges) const;
  void words(Workspace& work, std::vector<int64_t>& ids) const;
  void encode_word(std::string_view word, Workspace& work, std::vector<int64_t>& ids) const;
  bool has(int64_t id) const { return added.find(id) != nullptr || vocabulary_of(model).has(id); }

  /// A workspace of this thread's own until it is put back: so no lock is held while text is encoded.
  std::unique_ptr<Workspace> take_workspace() const;
  void put_back(std::unique_ptr<Workspace> work) const;

  Model model;
  Normalizer normalizer;
  AddedTokens added;
  PreTokenizer pre_tokenizer;
  PostProcessor post_processor;
  Decoder decoder;
  int64_t size = 0;

 private:
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Workspace>> idle_;
};

Tokenizer::State::State(const Json& document, const std::filesystem::path& file, bool own_lengths)
    : model(read_model(section(document, "model"), {file, "model"})),
      normalizer(section(document, "normalizer"), {file, "normalizer"}),
      added(section(document, "added_tokens"), {file, "added_tokens"}, vocabulary_of(model), normalizer),
      pre_tokenizer(section(document, "pre_tokenizer"), {file, "pre_tokenizer"}),
      post_processor(section(document, "post_processor"), section(document, own_lengths ? "truncation" : ""),
                     section(document, own_lengths ? "padding" : ""), file,
                     [this](int64_t id) { return has(id); }),
      decoder(section(document, "decoder"), {file, "decoder"}) {
  size = static_cast<int64_t>(vocabulary_of(model).size());
  for (const auto& [id, token] : added.by_id())
    if (vocabulary_of(model).find(token.content) < 0) ++size;
}

std::unique_ptr<Workspace> Tokenizer::State::take_workspace() const {
  const std::lock_guard lock(mutex_);
  if (idle_.empty()) return std::make_unique<Workspace>();
  auto work = std::move(idle_.back());
  idle_.pop_back();
  return work;
}

void Tokenizer::State::put_back(std::unique_ptr<Workspace> work) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(work));
}

void Tokenizer::State::encode_word(std::string_view word, Workspace& work, std::vector<int64_t>& ids) const {
  std::span<const uint32_t> known;
  if (!work.cache.find(word, known)) {
    work.ids.clear();
    if (const auto* bpe = std::get_if<Bpe>(&model))
      bpe->encode(word, pre_tokenizer.bytes_at_end(), work);
    else if (pre_tokenizer.bytes_at_end())
      std::get<Unigram>(model).encode(bytes_as_characters(word), work);
    else
      std::get<Unigram>(model).encode(word, work);
    work.cache.keep(word, work.ids);
    known = work.ids;
  }
  ids.insert(ids.end(), known.begin(), known.end());
}

void Tokenizer::State::words(Workspace& work, std::vector<int64_t>& ids) const {
  for (const Piece& piece : work.pieces.list) {
    if (piece.token >= 0)
      ids.push_back(piece.token);
    else
      encode_word(std::string_view(work.pieces.text).substr(piece.begin, piece.end - piece.begin), work, ids);
  }
}

Tokenizer Tokenizer::load(const std::filesystem::path& folder_or_file, bool own_lengths) {
  const auto file =
      std::filesystem::is_directory(folder_or_file) ? folder_or_file / "tokenizer.json" : folder_or_file;
  const Json document = read_json(file, {.max_bytes = int64_t{256} << 20});
  Fields fields(document, file);
  fields.only("version", "1.0");
  fields.ignore(
      {"truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor", "decoder"});
  fields.value("model");
  fields.finish();
  return Tokenizer(std::make_shared<const State>(document, file, own_lengths));
}

std::vector<int64_t> Tokenizer::State::encode(std::string_view text, std::span<const ByteRange> ranges) const {
  std::vector<int64_t> ids;
  auto work = take_workspace();
  added.extract(text, ranges, normalizer, work->pieces);
  pre_tokenizer.apply(work->pieces);
  words(*work, ids);
  put_back(std::move(work));
  return ids;
}

std::vector<int64_t> Tokenizer::encode(std::string_view text, bool add_special_tokens) const {
  require_short(text.size());
  std::string repaired;
  if (!is_utf8(text)) {
    repaired = repaired_utf8(text);
    text = repaired;
  }
  const ByteRange whole{0, size32(text)};
  std::vector<int64_t> ids = state_->encode(text, {&whole, 1});
  state_->post_processor.apply(ids, add_special_tokens);
  return ids;
}

std::vector<int64_t> encode_stretches(const Tokenizer& tokenizer, std::span<const TextStretch> stretches) {
  std::string text;
  std::vector<ByteRange> ranges;
  for (const TextStretch& stretch : stretches) {
    require_short(text.size() + stretch.text.size());
    const uint32_t begin = size32(text);
    if (is_utf8(stretch.text))
      text += stretch.text;
    else
      text += repaired_utf8(stretch.text);
    if (!stretch.tokens || begin == text.size()) continue;
    if (!ranges.empty() && ranges.back().end == begin)
      ranges.back().end = size32(text);
    else
      ranges.push_back({begin, size32(text)});
  }
  return tokenizer.state().encode(text, ranges);
}

std::vector<std::vector<int64_t>> Tokenizer::encode_batch(std::span<const std::string> texts,
                                                          bool add_special_tokens) const {
  std::vector<std::vector<int64_t>> batch;
  batch.reserve(texts.size());
  for (const std::string& text : texts) batch.push_back(encode(text, add_special_tokens));
  state_->post_processor.pad(batch);
  return batch;
}

std::string Tokenizer::decode(std::span<const int64_t> ids, bool skip_special_tokens) const {
  std::vector<std::string> tokens;
  tokens.reserve(ids.size());
  for (const int64_t id : ids) {
    const AddedToken* added = state_->added.find(id);
    if (!added && !vocabulary_of(state_->model).has(id)) continue;
    std::string token(added ? std::string_view(added->pattern) : vocabulary_of(state_->model).token(id));
    if (!skip_special_tokens || !state_->added.is_special(token)) tokens.push_back(std::move(token));
  }
  return state_->decoder.apply(std::move(tokens));
}

int64_t Tokenizer::vocab_size() const { return state_->size; }

std::optional<int64_t> Tokenizer::token_id(std::string_view token) const {
  int32_t id = state_->added.find(token);
  if (id < 0) id = vocabulary_of(state_->model).find(token);
  return id < 0 ? std::nullopt : std::optional<int64_t>(id);
}

std::optional<std::string> Tokenizer::token(int64_t id) const {
  if (const AddedToken* added = state_->added.find(id)) return added->pattern;
  if (!vocabulary_of(state_->model).has(id)) return std::nullopt;
  return std::string(vocabulary_of(state_->model).token(id));
}

}  // namespace unisim
