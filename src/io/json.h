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
  int64_t max_values = int64_t{16} << 20;  ///< bounds memory: a value of one byte takes up to 50
  int64_t first_byte = 0;                  ///< where the text begins in the file, for the offsets in messages
};

/// Throws DataError naming the file and the byte offset (syntax, depth, size, duplicate key, invalid UTF-8, a number
/// beyond double). Keys keep their order; to look one up is linear, so a vocabulary is walked, not searched.
Json parse_json(std::span<const std::byte> bytes, const std::filesystem::path& file, const JsonLimits& limits = {});
Json read_json(const std::filesystem::path& file, const JsonLimits& limits = {});

/// A JSON object whose every key must be accounted for: read, declared harmless, or else refused by name when
/// finish() is called. So a field that changes the arithmetic is honoured or refused, never passed over. It refers to
/// the document, which must outlive it.
class Fields {
 public:
  /// `where` names the place inside the file, "vision_config" say; empty at the top.
  Fields(const Json& object, std::filesystem::path file, std::string where = "");
  Fields(Json&&, std::filesystem::path, std::string = "") = delete;

  bool has(std::string_view key) const;  ///< present and not null
  /// Required: throws DataError naming the key, what was found, what was expected. Integers are range-checked.
  int64_t integer(std::string_view key, int64_t least, int64_t most);
  double number(std::string_view key);   ///< finite
  bool boolean(std::string_view key);
  std::string string(std::string_view key);
  std::vector<double> numbers(std::string_view key, std::size_t count);  ///< exactly `count` of them
  const Json& value(std::string_view key);                               ///< any type, present and not null
  /// An object inside this one, by its own full path; whoever takes it calls its finish().
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
  /// Throws Unsupported naming every key that is not null and was neither read nor ignored.
  void finish() const;

  /// For what the readers above cannot say: DataError "KEY is VALUE, expected ...", Unsupported "..., supported is ...".
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;
  [[noreturn]] void unsupported(std::string_view key, std::string_view supported) const;

  const std::filesystem::path& file() const { return file_; }
  std::string path_of(std::string_view key) const;  ///< "vision_config.hidden_size"

 private:
  const Json* find(std::string_view key) const;  ///< null where absent or null
  bool has_null(std::string_view key) const;
  const Json* optional(std::string_view key);    ///< the same, and marks it as read
  const Json& required(std::string_view key, std::string_view expected);

  const Json* object_;
  std::filesystem::path file_;
  std::string where_;
  std::set<std::string, std::less<>> seen_;
};

}  // namespace unisim
