#include "text_input.h"

#include <unisim/error.h>

#include <algorithm>
#include <utility>

namespace unisim {
namespace {

Tokenizer tokenizer_of(const TextInputConfig& config, const std::filesystem::path& said_by) {
  require_data(!config.tokenizer.empty(), said_by, config.missing);
  return Tokenizer::load(config.tokenizer, false);
}

int64_t id_of(const Tokenizer& tokenizer, const TextInputConfig& config, const std::string& piece,
              const char* what) {
  const auto id = tokenizer.token_id(piece);
  require_data(id.has_value(), config.tokenizer, "has no token \"", piece, "\", the model's ", what,
               " token");
  return *id;
}

}  // namespace

TextInput::TextInput(TextInputConfig config, const std::filesystem::path& said_by, int64_t vocabulary)
    : config_(std::move(config)), tokenizer_(tokenizer_of(config_, said_by)), vocabulary_(vocabulary) {
  // What stands around a text with the special tokens and not without them.
  const auto plain = tokenizer_.encode("a", false), whole = tokenizer_.encode("a", true);
  const auto found = std::search(whole.begin(), whole.end(), plain.begin(), plain.end());
  require_data(!plain.empty() && found != whole.end(), config_.tokenizer,
               "its post-processor changes more than the ends of a text");
  before_.assign(whole.begin(), found);
  after_.assign(found + static_cast<std::ptrdiff_t>(plain.size()), whole.end());
  pad_ = config_.pad_piece.empty() ? config_.pad_token
                                   : id_of(tokenizer_, config_, config_.pad_piece, "padding");
  if (!config_.end_piece.empty() && after_.empty())
    after_.push_back(id_of(tokenizer_, config_, config_.end_piece, "end"));
  require_data(static_cast<int64_t>(before_.size() + after_.size()) <= config_.context, said_by,
               "a context of ", config_.context, " has no room for the ", before_.size() + after_.size(),
               " special tokens");
}

std::vector<int64_t> TextInput::row(std::string_view text) const {
  const auto context = static_cast<std::size_t>(config_.context);
  std::vector<int64_t> body = tokenizer_.encode(cleaned(text, config_.cleaning), false);
  body.resize(std::min(body.size(), context - before_.size() - after_.size()));
  std::vector<int64_t> ids = before_;
  ids.insert(ids.end(), body.begin(), body.end());
  ids.insert(ids.end(), after_.begin(), after_.end());
  ids.insert(config_.pad_left ? ids.begin() : ids.end(), context - ids.size(), pad_);
  for (const int64_t id : ids)
    require_data(id >= 0 && id < vocabulary_, config_.tokenizer, "gives the id ", id,
                 ", and the model has rows for ", vocabulary_, " ids");
  return ids;
}

}  // namespace unisim
