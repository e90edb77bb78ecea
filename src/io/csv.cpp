#include "csv.h"

#include <unisim/error.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

/// Takes a table apart, row by row, and counts lines: those inside quotes too.
class Reader {
 public:
  Reader(std::string_view text, const fs::path& file) : text_(text), file_(file) {}

  bool ended() const { return at_ == text_.size(); }

  CsvRow row() {
    CsvRow row{line_, {}};
    do row.fields.push_back(field());
    while (take(','));
    if (!ended()) end_line();
    return row;
  }

 private:
  bool take(char expected) {
    if (ended() || text_[at_] != expected) return false;
    ++at_;
    return true;
  }

  void end_line() {
    take('\r');
    require_data(take('\n'), at_line(file_, line_),
                 "has a carriage return inside, expected it at the line's end alone");
    ++line_;
  }

  std::string field() { return take('"') ? quoted() : plain(); }

  std::string plain() {
    const std::size_t end = std::min(text_.find_first_of(",\r\n", at_), text_.size());
    const std::string_view field = text_.substr(at_, end - at_);
    require_data(field.find('"') == field.npos, at_line(file_, line_), "has a quote inside the field ",
                 in_quotes(field), ", expected the whole field in quotes and the quote doubled");
    at_ = end;
    return std::string(field);
  }

  std::string quoted() {
    const int64_t opened = line_;
    std::string field;
    for (;;) {
      const std::size_t end = text_.find('"', at_);
      require_data(end != text_.npos, at_line(file_, opened), "opens a quote that is never closed");
      const std::string_view part = text_.substr(at_, end - at_);
      line_ += std::count(part.begin(), part.end(), '\n');
      field += part;
      at_ = end + 1;
      if (!take('"')) break;
      field += '"';
    }
    require_data(ended() || std::string_view(",\r\n").find(text_[at_]) != std::string_view::npos,
                 at_line(file_, line_), "has text behind the closing quote of ", in_quotes(field),
                 ", expected a comma or the line's end");
    return field;
  }

  std::string_view text_;
  const fs::path& file_;
  std::size_t at_ = 0;
  int64_t line_ = 1;
};

std::string_view without_empty_end(std::string_view text) {
  while (text.ends_with("\n\n") || text.ends_with("\n\r\n"))
    text.remove_suffix(text.ends_with("\n\n") ? 1 : 2);
  return text;
}

void check_header(const std::vector<std::string>& header, const fs::path& file) {
  std::vector<std::string> names = header;
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  require_data(twice == names.end(), at_line(file, 1), "names the column ",
               twice == names.end() ? "" : in_quotes(*twice), " twice");
}

/// "a,b,c" as a message shows a header.
std::string joined(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ",") + name;
  return in_quotes(all);
}

}  // namespace

std::optional<std::size_t> Csv::find(std::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found == header_.end()) return std::nullopt;
  return static_cast<std::size_t>(found - header_.begin());
}

std::size_t Csv::column(std::string_view name) const {
  const auto found = find(name);
  require_data(found.has_value(), at_line(file_, 1), "has no column ", in_quotes(name), ", its header is ",
               joined(header_));
  return *found;
}

int64_t Csv::integer(const CsvRow& row, std::size_t column, int64_t least, int64_t most) const {
  const std::string& text = row.fields[column];
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require_data(error == std::errc() && end == text.data() + text.size() && value >= least && value <= most,
               place(row), header_[column], " is ", in_quotes(text), ", expected a whole number from ", least,
               " to ", most);
  return value;
}

double Csv::number(const CsvRow& row, std::size_t column) const {
  const std::string& text = row.fields[column];
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  require_data(error == std::errc() && end == text.data() + text.size() && std::isfinite(value), place(row),
               header_[column], " is ", in_quotes(text), ", expected a finite number");
  return value;
}

Csv parse_csv(std::string_view text, const fs::path& file) {
  text = without_empty_end(text);
  require_data(!text.empty(), file, "is empty, expected a table with a header");
  Reader reader(text, file);
  std::vector<std::string> header = reader.row().fields;
  check_header(header, file);
  std::vector<CsvRow> rows;
  while (!reader.ended()) {
    rows.push_back(reader.row());
    const CsvRow& row = rows.back();
    require_data(row.fields.size() == header.size(), at_line(file, row.line), "has ", row.fields.size(),
                 row.fields.size() == 1 ? " field" : " fields", ", the header ", joined(header), " has ",
                 header.size());
  }
  return {file, std::move(header), std::move(rows)};
}

Csv read_csv(const fs::path& file, int64_t max_bytes) { return parse_csv(read_text(file, max_bytes), file); }

}  // namespace unisim
