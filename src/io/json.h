#pragma once

#include <nlohmann/json.hpp>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// JSON from files we do not trust: size and depth limits, duplicate keys refused, numbers finite.
namespace unisim {

using Json = nlohmann::ordered_json;

struct JsonLimits {
  int64_t max_bytes = int64_t{1} << 20;  ///< config 1 MiB; shard index 64 MiB; tokenizer 256 MiB
  int max_depth = 64;
};

/// Throws DataError naming the file and the byte offset (syntax, depth, size, duplicate key, invalid UTF-8).
Json parse_json(std::span<const std::byte> bytes, const std::filesystem::path& file, const JsonLimits& limits = {});
Json read_json(const std::filesystem::path& file, const JsonLimits& limits = {});

/// A JSON object whose every key must be accounted for: read, declared harmless, or else refused by name when
/// finish() is called. So a field that changes the arithmetic is honoured or refused, never passed over.
class Fields {
 public:
  /// `where` names the place inside the file, "vision_config" say; empty at the top.
  Fields(const Json& object, std::filesystem::path file, std::string where = "");

  bool has(std::string_view key) const;  ///< present and not null
  /// Required: throws DataError naming the key, what was found, what was expected. Integers are range-checked.
  int64_t integer(std::string_view key, int64_t least, int64_t most);
  double number(std::string_view key);   ///< finite
  bool boolean(std::string_view key);
  std::string string(std::string_view key);
  std::vector<double> numbers(std::string_view key, std::size_t count);  ///< exactly `count` of them
  const Json& value(std::string_view key);                               ///< any type, present and not null
  Fields object(std::string_view key);

  /// Optional: the default where the key is absent or null. The default must be the one that the format's own
  /// library documents.
  int64_t integer_or(std::string_view key, int64_t otherwise, int64_t least, int64_t most);
  double number_or(std::string_view key, double otherwise);
  bool boolean_or(std::string_view key, bool otherwise);
  std::string string_or(std::string_view key, std::string otherwise);

  /// Keys that do not change the arithmetic.
  void ignore(std::initializer_list<std::string_view> keys);
  /// The key, if present and not null, must equal this value; else Unsupported naming both.
  void only(std::string_view key, const Json& value);
  /// Throws Unsupported naming every key that was neither read nor ignored.
  void finish() const;

  const std::filesystem::path& file() const { return file_; }
  std::string path_of(std::string_view key) const;  ///< "vision_config.hidden_size"

 private:
  const Json* object_;
  std::filesystem::path file_;
  std::string where_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace unisim
