#include "lines.h"

#include <unisim/error.h>

#include <algorithm>
#include <span>

#include "file.h"
#include "unicode.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr int64_t longest_record = int64_t{16} << 20;

int64_t line_of(std::string_view text, std::size_t at) {
  return 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t") == text.npos; }

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

JsonRecord record(Json&& object, const fs::path& place) {
  require_data(object.is_object(), place, "is ", object.type_name(), ", expected an object");
  return {place, std::move(object)};
}

}  // namespace

fs::path at_line(const fs::path& file, int64_t line) {
  return fs::path(file).concat(":" + std::to_string(line));
}

std::string read_text(const fs::path& file, int64_t max_bytes) {
  const std::vector<std::byte> bytes = read_file(file, max_bytes);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (const std::size_t nul = text.find('\0'); nul != text.npos)
    throw DataError(at_line(file, line_of(text, nul)), "has a NUL, expected text");
  if (!is_utf8(text)) {  // the first line that is not; a line end is part of no longer character
    int64_t line = 1;
    for (std::size_t at = 0; is_utf8(text.substr(at, text.find('\n', at) - at)); ++line)
      at = text.find('\n', at) + 1;
    throw DataError(at_line(file, line), "is not UTF-8");
  }
  return std::string(text);
}

std::vector<TextLine> lines_of(std::string_view text, const fs::path& file) {
  std::vector<TextLine> lines;
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    require_data(line.find('\r') == line.npos, at_line(file, number),
                 "has a carriage return inside, expected it at the line's end alone");
    lines.push_back({number, line});
  }
  while (!lines.empty() && lines.back().text.empty()) lines.pop_back();
  return lines;
}

std::vector<JsonRecord> read_records(const fs::path& file, int64_t max_bytes) {
  const std::string text = read_text(file, max_bytes);
  std::vector<JsonRecord> records;
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first != text.npos && text[first] == '[') {
    Json all = parse_json(bytes_of(text), file, {.max_bytes = max_bytes});
    for (std::size_t i = 0; i < all.size(); ++i)
      records.push_back(record(std::move(all[i]), fs::path(file).concat(", item " + std::to_string(i + 1))));
    return records;
  }
  for (const TextLine& line : lines_of(text, file)) {
    if (is_blank(line.text)) continue;
    const fs::path place = at_line(file, line.number);
    records.push_back(record(parse_json(bytes_of(line.text), place, {.max_bytes = longest_record}), place));
  }
  return records;
}

}  // namespace unisim
