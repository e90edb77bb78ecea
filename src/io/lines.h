#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"

/// Text files read line by line, every message naming file and line: "answers/count.txt:3: ...".
namespace unisim {

inline constexpr int64_t most_text_bytes = int64_t{256} << 20;

/// The line of a file as an error names it. Lines count from 1.
std::filesystem::path at_line(const std::filesystem::path& file, int64_t line);

/// The whole file as text: valid UTF-8 without a NUL, a byte order mark taken off; else DataError naming the
/// line.
std::string read_text(const std::filesystem::path& file, int64_t max_bytes = most_text_bytes);

struct TextLine {
  int64_t number;
  std::string_view text;  ///< refers to the text that was split
};

/// Lines end with LF or CR LF; a CR elsewhere is a DataError, since other readers end a line there. Empty
/// lines at the end are left out.
std::vector<TextLine> lines_of(std::string_view text, const std::filesystem::path& file);

struct JsonRecord {
  std::filesystem::path place;  ///< what an error names: the file and its line, or its item
  Json object;
};

/// The records of a file: JSON Lines, one object a line, or one JSON array of objects, counted as "item 1"
/// on. Empty lines are passed over. DataError for anything else.
std::vector<JsonRecord> read_records(const std::filesystem::path& file, int64_t max_bytes = most_text_bytes);

}  // namespace unisim
