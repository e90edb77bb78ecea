#pragma once

#include <unisim/export.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>

/// Three kinds of error, told apart because callers act on them.
///
/// - The caller's: std::invalid_argument (ValueError), thrown by require().
/// - The data's: DataError (ValueError), Unsupported (NotImplementedError); a file that cannot be read at all
///   is std::filesystem::filesystem_error (OSError with its filename).
/// - The world's: std::runtime_error (RuntimeError; of one item alone NotFinite, NotFiniteError), std::bad_alloc (MemoryError).
///
/// Messages open with the operation in brackets and name both sides: "[cosine] widths differ: 384 and 768".
namespace unisim {

/// A file, or bytes in place of one, that is not what it should be. The message names the file, the tensor or
/// key, what was found and what was expected.
class UNISIM_API DataError : public std::runtime_error {
 public:
  DataError(std::filesystem::path file, const std::string& message);
  ~DataError() override;

  /// The file at fault; for data handed over in memory, the name the caller gave it.
  const std::filesystem::path& file() const noexcept { return file_; }

 private:
  std::filesystem::path file_;
};

/// A format, or a field of one, that we know and refuse.
class UNISIM_API Unsupported : public DataError {
 public:
  using DataError::DataError;
  ~Unsupported() override;
};

/// Called as progress(done, total), between batches or files; may throw, Cancelled for example, to end the
/// run.
using Progress = std::function<void(int64_t done, int64_t total)>;

/// Thrown by a progress callback to end a run; nothing is half-written.
class UNISIM_API Cancelled : public std::runtime_error {
 public:
  Cancelled() : std::runtime_error("cancelled") {}
  ~Cancelled() override;
};

/// The parts, each as operator<< writes it, in one string.
template <class... Parts>
std::string text_of(const Parts&... parts) {
  std::ostringstream out;
  out.imbue(std::locale::classic());
  (out << ... << parts);
  return out.str();
}

/// Throws std::invalid_argument with the parts as message unless the condition holds.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) throw std::invalid_argument(text_of(parts...));
}

/// Throws DataError, "FILE: parts", unless the condition holds.
template <class... Parts>
void require_data(bool condition, const std::filesystem::path& file, const Parts&... parts) {
  if (!condition) throw DataError(file, text_of(parts...));
}

}  // namespace unisim
