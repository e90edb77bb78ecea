#include <unisim/error.h>
#include <unisim/tokenizer.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using namespace unisim;

/// A document, a NUL, a text: the document is a tokenizer or a DataError; the text has ids of the vocabulary,
/// and they decode to something.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(input.find('\0'), input.size());
  static const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("unisim-fuzz-" + std::to_string(getpid()) + ".json");
  std::ofstream(file, std::ios::binary) << input.substr(0, end);
  try {
    const Tokenizer tokenizer = Tokenizer::load(file);
    const auto ids = tokenizer.encode(end < input.size() ? input.substr(end + 1) : "a b<s> 12");
    for (const int64_t id : ids)
      if (!tokenizer.token(id)) std::abort();
    tokenizer.decode(ids);
    tokenizer.decode(ids, false);
  } catch (const DataError&) {
  }
  return 0;
}
