#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "store_shard.h"

struct sqlite3;
struct sqlite3_stmt;

/// The index of a store, an SQLite database in WAL mode: where rows are, and the scores themselves. This is
/// the one place that speaks SQLite. For one thread at a time.
namespace unisim {

/// Where a row lies, as the index says; nothing of it is checked.
struct RowPlace {
  std::string shard;  // "" if the index does not know that shard
  int64_t shard_id = 0;
  int64_t offset = 0;  // bytes
  int64_t width = 0;   // floats
  int64_t checksum = 0;
};

struct RowEntry {
  StoreKey model, content;
  int64_t offset = 0;
  int64_t width = 0;
  int64_t checksum = 0;
  std::optional<RowPlace> instead_of = {};  // a place whose data are damaged, if the index still names it
};

struct StoredScore {
  int64_t bits = 0;  // of the double: SQLite makes -0.0 a 0.0
  int64_t checksum = 0;
};

struct ScoreEntry {
  StoreKey metric, x, y;
  StoredScore score = {};
  bool instead = false;  // what the index has is damaged
};

class StoreIndex {
 public:
  /// See Store::Store. The folder is there.
  explicit StoreIndex(const std::filesystem::path& folder);
  ~StoreIndex();
  StoreIndex(const StoreIndex&) = delete;
  StoreIndex& operator=(const StoreIndex&) = delete;

  bool read_only() const { return read_only_; }
  std::optional<RowPlace> row(const StoreKey& model, const StoreKey& content);
  std::optional<StoredScore> score(const StoreKey& metric, const StoreKey& x, const StoreKey& y);
  /// All or nothing, durable; the shard's data must be so already. How many were not there.
  int64_t commit(const std::string& shard, std::span<const RowEntry> rows,
                 std::span<const ScoreEntry> scores);
  int64_t count_rows();
  int64_t count_scores();
  /// In a child made by fork: closing would be felt by the parent.
  void abandon();

 private:
  class Statement;
  struct Statements;

  void open_database(const char* name, int flags);
  void set_up();
  void read_or_take_as_it_is();
  void check_version();
  void run(const std::string& sql);
  int64_t number(const char* sql);
  [[noreturn]] void fail(int code) const;

  std::filesystem::path file_;
  bool read_only_ = false;
  sqlite3* database_ = nullptr;
  std::unique_ptr<Statements> statements_;
};

}  // namespace unisim
