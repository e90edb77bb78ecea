#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lines.h"

/// Comma-separated tables from files we do not trust (RFC 4180), with a header.
namespace unisim {

struct CsvRow {
  int64_t line;  ///< on which it begins
  std::vector<std::string> fields;
};

/// A table whose rows all have as many fields as its header.
class Csv {
 public:
  Csv(std::filesystem::path file, std::vector<std::string> header, std::vector<CsvRow> rows)
      : file_(std::move(file)), header_(std::move(header)), rows_(std::move(rows)) {}

  const std::vector<std::string>& header() const { return header_; }
  const std::vector<CsvRow>& rows() const { return rows_; }
  const std::filesystem::path& file() const { return file_; }
  /// The row as an error names it.
  std::filesystem::path place(const CsvRow& row) const { return at_line(file_, row.line); }

  /// Where a column stands, by its exact name.
  std::optional<std::size_t> find(std::string_view name) const;
  /// The same; DataError naming the header if there is none.
  std::size_t column(std::string_view name) const;

  /// A whole number in [least, most], or a finite number; else DataError naming the line, the column and
  /// both.
  int64_t integer(const CsvRow& row, std::size_t column, int64_t least, int64_t most) const;
  double number(const CsvRow& row, std::size_t column) const;

 private:
  std::filesystem::path file_;
  std::vector<std::string> header_;
  std::vector<CsvRow> rows_;
};

/// Fields are separated by commas, rows by LF or CR LF, the last of which may be missing. A field in double
/// quotes may hold commas, line ends and doubled quotes; a quote elsewhere, or text behind a closing one, is
/// refused, and so are a header name given twice, a row of another length and an empty line before the end.
/// Blanks belong to their field. DataError names file and line.
Csv parse_csv(std::string_view text, const std::filesystem::path& file);
Csv read_csv(const std::filesystem::path& file, int64_t max_bytes = most_text_bytes);

}  // namespace unisim
