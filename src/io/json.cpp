#include "json.h"

#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <utility>

#include "file.h"
#include "quote.h"

namespace unisim {
namespace {

using Path = std::filesystem::path;

/// Walks over the bytes and leaves its place where the builder can see it: nlohmann's events do not tell it.
class Walker {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Walker() = default;
  Walker(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Walker& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  Walker operator++(int) {
    Walker before = *this;
    ++*this;
    return before;
  }
  bool operator==(const Walker& other) const { return at_ == other.at_; }
  bool operator!=(const Walker& other) const { return at_ != other.at_; }

 private:
  const char* at_ = nullptr;
  const char** seen_ = nullptr;
};

/// Builds the document from nlohmann's events, every limit checked before anything is stored.
///
/// The values of open arrays and objects lie on one stack and move into their container when it closes, at
/// its exact size: ordered_json's own insertion searches all earlier keys and copies them whenever it grows.
class Builder {
 public:
  Builder(const Path& file, const JsonLimits& limits) : file_(file), limits_(limits) {}

  bool null() { return push(Json(nullptr)); }
  bool boolean(bool value) { return push(Json(value)); }
  bool number_integer(int64_t value) { return push(Json(value)); }
  bool number_unsigned(uint64_t value) { return push(Json(value)); }
  bool number_float(double value, const std::string&) {
    if (!std::isfinite(value)) fail("a number that is not finite");
    return push(Json(value));
  }
  bool string(std::string& value) { return push(Json(std::move(value))); }
  bool binary(Json::binary_t&) { fail("binary data"); }

  bool start_object(std::size_t) { return open(); }
  bool start_array(std::size_t) { return open(); }

  bool key(std::string& name) {
    keys_.push_back({std::move(name), offset()});
    return true;
  }

  bool end_object() {
    const Open start = close();
    refuse_duplicates(start.keys);
    Json::object_t object;
    object.reserve(values_.size() - start.values);
    for (std::size_t i = start.values, k = start.keys; i < values_.size(); ++i, ++k)
      object.emplace_back(std::move(keys_[k].name), std::move(values_[i]));
    values_.resize(start.values);
    keys_.resize(start.keys);
    return push(Json(std::move(object)));
  }

  bool end_array() {
    const Open start = close();
    const auto first = values_.begin() + static_cast<std::ptrdiff_t>(start.values);
    Json::array_t array(std::make_move_iterator(first), std::make_move_iterator(values_.end()));
    values_.erase(first, values_.end());
    return push(Json(std::move(array)));
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error ..."
    std::string_view text = error.what();
    for (const std::string_view before : {"] ", ": "})
      if (const auto found = text.find(before); found != text.npos) text.remove_prefix(found + before.size());
    fail(printable(text));
  }

  /// Where the reader stands, and from where it began.
  const char** seen() { return &seen_; }
  void begin_at(const char* begin) { begin_ = seen_ = begin; }
  Json result() { return std::move(values_.front()); }

 private:
  struct Key {
    std::string name;
    std::size_t end;  ///< byte behind its closing quote
  };
  struct Open {
    std::size_t values, keys;
  };

  std::size_t offset() const { return static_cast<std::size_t>(seen_ - begin_); }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw DataError(file_, text_of("JSON, byte ", offset() + limits_.first_byte, ": ", parts...));
  }

  bool push(Json&& value) {
    if (static_cast<int64_t>(++count_) > limits_.max_values)
      fail("more than ", limits_.max_values, " values, expected at most so many");
    values_.push_back(std::move(value));
    return true;
  }

  bool open() {
    if (static_cast<int>(open_.size()) >= limits_.max_depth)
      fail("nested deeper than ", limits_.max_depth, " levels");
    open_.push_back({values_.size(), keys_.size()});
    return true;
  }

  Open close() {
    const Open start = open_.back();
    open_.pop_back();
    return start;
  }

  /// By sorting: no choice of keys makes it slow, as it could with hashing.
  void refuse_duplicates(std::size_t first_key) const {
    std::vector<const Key*> sorted;
    sorted.reserve(keys_.size() - first_key);
    for (std::size_t i = first_key; i < keys_.size(); ++i) sorted.push_back(&keys_[i]);
    std::sort(sorted.begin(), sorted.end(), [](const Key* a, const Key* b) {
      const int order = a->name.compare(b->name);
      return order != 0 ? order < 0 : a->end < b->end;
    });
    const auto same = [](const Key* a, const Key* b) { return a->name == b->name; };
    const auto found = std::adjacent_find(sorted.begin(), sorted.end(), same);
    if (found == sorted.end()) return;
    const Key& second = **std::next(found);
    throw DataError(file_, text_of("JSON, byte ", second.end + limits_.first_byte, ": the key ",
                                   in_quotes(second.name), " is there twice"));
  }

  const Path& file_;
  const JsonLimits& limits_;
  const char* begin_ = nullptr;
  const char* seen_ = nullptr;
  std::size_t count_ = 0;
  std::vector<Json> values_;
  std::vector<Key> keys_;
  std::vector<Open> open_;
};

}  // namespace

Json parse_json(std::span<const std::byte> bytes, const Path& file, const JsonLimits& limits) {
  const auto size = static_cast<int64_t>(bytes.size());
  require_data(size <= limits.max_bytes, file, "JSON of ", size, " bytes, expected at most ",
               limits.max_bytes);
  const char* const begin = reinterpret_cast<const char*>(bytes.data());
  // nlohmann takes a NUL for the end of the text and would pass over whatever lies behind it.
  if (const void* nul = size > 0 ? std::memchr(begin, 0, bytes.size()) : nullptr)
    throw DataError(file, text_of("JSON, byte ", static_cast<const char*>(nul) - begin + limits.first_byte,
                                  ": a NUL, expected text"));
  Builder builder(file, limits);
  builder.begin_at(begin);
  Json::sax_parse(Walker(begin, builder.seen()), Walker(begin + size, builder.seen()), &builder);
  return builder.result();
}

Json read_json(const Path& file, const JsonLimits& limits) {
  return parse_json(read_file(file, limits.max_bytes), file, limits);
}

}  // namespace unisim
