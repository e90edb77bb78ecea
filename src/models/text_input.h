#pragma once

#include <unisim/tokenizer.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config.h"

namespace unisim {

/// Texts to rows of ids, as the model's own library makes them: cleaned, tokenised, cut so that the special
/// tokens stay, padded to the context.
class TextInput {
 public:
  /// Throws DataError where no tokenizer is at hand, or where it has an id that the model has no row for.
  /// `said_by` is the model's folder, `vocabulary` the rows of its embedding.
  TextInput(TextInputConfig config, const std::filesystem::path& said_by, int64_t vocabulary);

  int64_t context() const { return config_.context; }
  /// Exactly context() ids. An id outside the vocabulary is a DataError naming it.
  std::vector<int64_t> row(std::string_view text) const;

 private:
  TextInputConfig config_;
  Tokenizer tokenizer_;
  int64_t vocabulary_;
  std::vector<int64_t> before_, after_;  ///< what the post-processor puts around a text
  int64_t pad_ = 0;
  int64_t end_ = -1;
};

/// The text as `cleaning` leaves it. Invalid UTF-8 is repaired first.
std::string cleaned(std::string_view text, TextCleaning cleaning);

}  // namespace unisim
