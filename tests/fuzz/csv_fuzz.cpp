#include <unisim/error.h>

#include <cstdlib>
#include <string>

#include "io/csv.h"

using namespace unisim;

namespace {

std::string written(const std::string& field) {
  std::string text = "\"";
  for (const char c : field) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

std::string written(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += (line.empty() ? "" : ",") + written(field);
  return line + "\r\n";
}

}  // namespace

/// Any bytes are a table or a DataError; what was read is written and read again the same.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  try {
    const Csv csv = parse_csv({reinterpret_cast<const char*>(data), size}, "fuzz.csv");
    std::string text = written(csv.header());
    for (const CsvRow& row : csv.rows()) text += written(row.fields);
    const Csv again = parse_csv(text, "fuzz.csv");
    if (again.header() != csv.header() || again.rows().size() != csv.rows().size()) std::abort();
    for (std::size_t i = 0; i < csv.rows().size(); ++i)
      if (again.rows()[i].fields != csv.rows()[i].fields) std::abort();
  } catch (const DataError&) {
  }
  return 0;
}
