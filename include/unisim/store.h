#pragma once

#include <unisim/export.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace unisim {

struct StoreCounts {
  int64_t rows = 0;    ///< committed in the folder, by whomever
  int64_t scores = 0;  ///< the same
  int64_t bytes = 0;   ///< of the folder's files
  // By this Store since it was opened, rows and scores together:
  int64_t found = 0;
  int64_t missed = 0;   ///< the damaged among them
  int64_t written = 0;  ///< committed, and not there already
  int64_t damaged = 0;  ///< known, but with data that are gone or whose checksum is another
};

/// Rows and scores that were computed once, found again by what they were computed from. A key is the SHA-256
/// of that as 64 lower-case hexadecimal digits: the model's identity (weights, settings, preprocessing,
/// place, dtype), the file or text; any other string is std::invalid_argument.
///
/// - What commit() acknowledged is found after a crash, also of the machine: data are on the disk before the
///   index speaks of them. What was not yet committed is lost with the process.
/// - What was damaged since is missing, never wrong: every row and score has a checksum (FNV-1a, 64 bits, of
///   keys and values). It is counted, and the put() that follows mends it.
/// - Threads may share one Store; several processes may use one folder at once. Two that put one key: the
///   first commit stays. Each writer has a shard file of its own. Not for network file systems, which do not
///   lock surely.
/// - A process made by fork() opens its own: another's is std::runtime_error.
///
/// The folder holds index.sqlite and rows-*.f32; delete it whole, or nothing, at any time.
class UNISIM_API Store {
 public:
  /// Makes the folder if it is not there. An index of another version, or of another program, is DataError. A
  /// folder that cannot be written to is read; if it holds no index, filesystem_error.
  explicit Store(const std::filesystem::path& folder);
  ~Store();  ///< commits nothing
  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;

  /// The row as it was put, bit by bit; also one that was put here and is not yet committed.
  std::optional<std::vector<float>> find(const std::string& model, const std::string& content) const;
  /// Remembers a row of 1 to 1,000,000 finite numbers until commit(); beyond 64 MiB of them it commits by
  /// itself. If the key is there already, that row stays. filesystem_error if the folder is read-only.
  void put(const std::string& model, const std::string& content, std::span<const float> row);

  /// The number that a metric gave for x with y, in this order, bit by bit.
  std::optional<double> find_score(const std::string& metric, const std::string& x,
                                   const std::string& y) const;
  /// As put(). Infinite is allowed (psnr of equals), not-a-number is not.
  void put_score(const std::string& metric, const std::string& x, const std::string& y, double score);

  /// All that was put is on the disk when this returns. filesystem_error if it cannot be, the disk is full
  /// for example; then it is remembered still, and commit() may be called again.
  void commit();

  /// Counts what the folder holds: some time for millions.
  StoreCounts counts() const;
  bool read_only() const;
  const std::filesystem::path& folder() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace unisim
