#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "tokenizer_part.h"

namespace unisim {

/// The post-processor, truncation and padding of a tokenizer.json, for one sequence.
class PostProcessor {
 public:
  using IsToken = std::function<bool(int64_t)>;

  PostProcessor() = default;
  /// Special tokens must be ids of the vocabulary, as `is_token` tells.
  PostProcessor(const Json& processor, const Json& truncation, const Json& padding,
                const std::filesystem::path& file, const IsToken& is_token);

  void apply(std::vector<int64_t>& ids, bool add_special_tokens) const;
  /// Pads to the longest where the file asks for that; a fixed length is padded by apply().
  void pad(std::vector<std::vector<int64_t>>& batch) const;

 private:
  /// One processor: the ids before and after each sequence A, which occurs at least once or not at all.
  struct Template {
    static constexpr int64_t sequence = -1;
    std::vector<int64_t> pieces;  ///< ids, or `sequence`
  };

  void read_template(const Link& link, const IsToken& is_token);
  void read_cls_sep(const Link& link, const IsToken& is_token);
  void read_truncation(const Json& json, const Place& place);
  void read_padding(const Json& json, const Place& place, const IsToken& is_token);
  void pad_to(std::vector<int64_t>& ids, int64_t length) const;
  int64_t padded_length(int64_t length) const;

  std::vector<Template> templates_;
  int64_t added_ = 0;        // special tokens that one sequence gets
  int64_t max_length_ = -1;  // -1: no truncation
  bool truncate_left_ = false;
  bool pads_ = false, pad_left_ = false;
  int64_t pad_fixed_ = -1, pad_multiple_ = 0, pad_id_ = 0;
};

}  // namespace unisim
