#include "store_index.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unisim/error.h>
#include <unistd.h>

#include <chrono>
#include <new>
#include <thread>
#include <utility>

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr int patience_ms = 60'000;
constexpr int64_t schema_version = 1;
constexpr int64_t application_id = 0x756e6973;  // "unis", in the header of the file

// Keys are the 32 bytes of a SHA-256. The primary keys order the tables: no row number, no second index.
constexpr const char* tables = R"(
CREATE TABLE shards(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE rows(model BLOB NOT NULL, content BLOB NOT NULL, shard INTEGER NOT NULL, at INTEGER NOT NULL,
                  width INTEGER NOT NULL, checksum INTEGER NOT NULL, PRIMARY KEY(model, content)) WITHOUT ROWID;
CREATE TABLE scores(metric BLOB NOT NULL, x BLOB NOT NULL, y BLOB NOT NULL, bits INTEGER NOT NULL,
                    checksum INTEGER NOT NULL, PRIMARY KEY(metric, x, y)) WITHOUT ROWID;
)";

/// Another process has the index for longer than we wait.
class Busy : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Whether a file can be made or written, by the rights that count now.
bool writable(const fs::path& path, int rights) {
  return ::faccessat(AT_FDCWD, path.c_str(), rights, AT_EACCESS) == 0;
}

/// A path in a "file:" name, every byte that may mean something there as %NN.
std::string uri_of(const fs::path& file, const char* query) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string uri = "file:";
  for (const char c : fs::absolute(file).string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/';
    uri += plain ? std::string{c} : std::string{'%', digits[byte >> 4], digits[byte & 15]};
  }
  return uri + query;
}

}  // namespace

/// A prepared statement for the life of the connection.
class StoreIndex::Statement {
 public:
  Statement(const StoreIndex& index, const char* sql) : index_(index) {
    const int code = sqlite3_prepare_v2(index.database_, sql, -1, &statement_, nullptr);
    if (code != SQLITE_OK) index.fail(code);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  /// The values live until the statement is reset.
  template <class... Values>
  Statement& with(const Values&... values) {
    reset();
    int at = 0;
    (check(bind(++at, values)), ...);
    return *this;
  }
  /// Whether there is a row to be read.
  bool step() {
    const int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    reset();
    if (code != SQLITE_DONE) index_.fail(code);
    return false;
  }
  /// Ends the reading: until then the write-ahead log cannot be shortened.
  void reset() { sqlite3_reset(statement_); }

  int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string text(int column) const {
    const unsigned char* text = sqlite3_column_text(statement_, column);
    const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    return text ? std::string(reinterpret_cast<const char*>(text), size) : std::string{};
  }

 private:
  int bind(int at, int64_t value) { return sqlite3_bind_int64(statement_, at, value); }
  int bind(int at, const StoreKey& key) {
    return sqlite3_bind_blob(statement_, at, key.data(), static_cast<int>(key.size()), SQLITE_STATIC);
  }
  int bind(int at, const std::string& text) {
    return sqlite3_bind_text(statement_, at, text.c_str(), static_cast<int>(text.size()), SQLITE_STATIC);
  }
  void check(int code) const {
    if (code != SQLITE_OK) index_.fail(code);
  }

  const StoreIndex& index_;
  sqlite3_stmt* statement_ = nullptr;
};

struct StoreIndex::Statements {
  explicit Statements(const StoreIndex& index)
      : row(index,
            "SELECT shards.name, shard, at, width, checksum FROM rows LEFT JOIN shards ON shards.id = shard "
            "WHERE model = ? AND content = ?"),
        score(index, "SELECT bits, checksum FROM scores WHERE metric = ? AND x = ? AND y = ?"),
        add_shard(index, "INSERT OR IGNORE INTO shards(name) VALUES(?)"),
        shard(index, "SELECT id FROM shards WHERE name = ?"),
        add_row(index, "INSERT OR IGNORE INTO rows VALUES(?, ?, ?, ?, ?, ?)"),
        drop_row(index,
                 "DELETE FROM rows WHERE model = ? AND content = ? AND shard = ? AND at = ? AND width = ? "
                 "AND checksum = ?"),
        add_score(index, "INSERT OR IGNORE INTO scores VALUES(?, ?, ?, ?, ?)"),
        replace_score(index, "INSERT OR REPLACE INTO scores VALUES(?, ?, ?, ?, ?)") {}

  Statement row, score, add_shard, shard, add_row, drop_row, add_score, replace_score;
};

StoreIndex::StoreIndex(const fs::path& folder) : file_(folder / "index.sqlite") {
  const bool there = fs::exists(file_);
  read_only_ = !writable(folder, W_OK | X_OK) || (there && !writable(file_, R_OK | W_OK));
  if (read_only_ && !there)
    throw fs::filesystem_error("holds no store, and none can be made", folder,
                               std::make_error_code(std::errc::permission_denied));
  try {
    if (read_only_) {
      read_or_take_as_it_is();
    } else {
      open_database(file_.c_str(), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
      set_up();
    }
    check_version();
    statements_ = std::make_unique<Statements>(*this);
  } catch (...) {
    sqlite3_close(database_);
    throw;
  }
}

StoreIndex::~StoreIndex() {
  statements_.reset();
  sqlite3_close(database_);
}

void StoreIndex::abandon() {
  (void)statements_.release();
  database_ = nullptr;
}

void StoreIndex::open_database(const char* name, int flags) {
  sqlite3_close(std::exchange(database_, nullptr));
  const int code = sqlite3_open_v2(name, &database_, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  if (code != SQLITE_OK) fail(code);
  sqlite3_busy_timeout(database_, patience_ms);
}

/// A write-ahead log cannot be read without its shared memory, which a read-only folder may lack. Then the
/// file is taken as it is: what only the log has is missing, and checksums guard the rest.
void StoreIndex::read_or_take_as_it_is() {
  open_database(file_.c_str(), SQLITE_OPEN_READONLY);
  const int code = sqlite3_exec(database_, "SELECT 1 FROM sqlite_master", nullptr, nullptr, nullptr);
  if ((code & 0xff) == SQLITE_CANTOPEN || (code & 0xff) == SQLITE_READONLY)
    open_database(uri_of(file_, "?immutable=1").c_str(), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI);
}

/// Makes the tables in a new file. What is not new is left as it is until its version is known.
void StoreIndex::set_up() {
  const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(patience_ms);
  for (;;) {
    try {
      if (number("SELECT count(*) FROM sqlite_master") == 0) {
        run("PRAGMA journal_mode = WAL");
        run("BEGIN IMMEDIATE");
        if (number("SELECT count(*) FROM sqlite_master") == 0)
          run(text_of(tables, "PRAGMA application_id = ", application_id,
                      "; PRAGMA user_version = ", schema_version));
        run("COMMIT");
      }
      // Each commit is on the disk, not only in order.
      run("PRAGMA synchronous = FULL");
      return;
    } catch (const Busy&) {  // the change to WAL does not wait for others by itself
      if (!sqlite3_get_autocommit(database_)) run("ROLLBACK");
      if (std::chrono::steady_clock::now() > until) throw;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
}

void StoreIndex::check_version() {
  const int64_t made_by = number("PRAGMA application_id"), version = number("PRAGMA user_version");
  require_data(made_by == application_id, file_,
               "is a database of another program, expected a store's index");
  require_data(version == schema_version, file_, "is an index of version ", version, ", expected version ",
               schema_version, "; delete the folder to begin anew");
}

std::optional<RowPlace> StoreIndex::row(const StoreKey& model, const StoreKey& content) {
  Statement& row = statements_->row;
  if (!row.with(model, content).step()) return std::nullopt;
  RowPlace place{row.text(0), row.integer(1), row.integer(2), row.integer(3), row.integer(4)};
  row.reset();
  return place;
}

std::optional<StoredScore> StoreIndex::score(const StoreKey& metric, const StoreKey& x, const StoreKey& y) {
  Statement& score = statements_->score;
  if (!score.with(metric, x, y).step()) return std::nullopt;
  const StoredScore found{score.integer(0), score.integer(1)};
  score.reset();
  return found;
}

int64_t StoreIndex::commit(const std::string& shard, std::span<const RowEntry> rows,
                           std::span<const ScoreEntry> scores) {
  int64_t written = 0;
  run("BEGIN IMMEDIATE");
  try {
    int64_t id = 0;
    if (!rows.empty()) {
      statements_->add_shard.with(shard).step();
      if (statements_->shard.with(shard).step()) id = statements_->shard.integer(0);
      statements_->shard.reset();
    }
    for (const RowEntry& row : rows) {
      if (const auto& old = row.instead_of)
        statements_->drop_row
            .with(row.model, row.content, old->shard_id, old->offset, old->width, old->checksum)
            .step();
      statements_->add_row.with(row.model, row.content, id, row.offset, row.width, row.checksum).step();
      written += sqlite3_changes(database_);
    }
    for (const ScoreEntry& score : scores) {
      Statement& add = score.instead ? statements_->replace_score : statements_->add_score;
      add.with(score.metric, score.x, score.y, score.score.bits, score.score.checksum).step();
      written += sqlite3_changes(database_);
    }
    run("COMMIT");
  } catch (...) {
    if (!sqlite3_get_autocommit(database_)) sqlite3_exec(database_, "ROLLBACK", nullptr, nullptr, nullptr);
    throw;
  }
  return written;
}

int64_t StoreIndex::count_rows() { return number("SELECT count(*) FROM rows"); }
int64_t StoreIndex::count_scores() { return number("SELECT count(*) FROM scores"); }

void StoreIndex::run(const std::string& sql) {
  const int code = sqlite3_exec(database_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

int64_t StoreIndex::number(const char* sql) {
  Statement statement(*this, sql);
  return statement.step() ? statement.integer(0) : 0;
}

void StoreIndex::fail(int code) const {
  const std::string said = database_ ? sqlite3_errmsg(database_) : sqlite3_errstr(code);
  const int system = database_ ? sqlite3_system_errno(database_) : 0;
  const auto file_error = [&](std::errc otherwise) {
    return fs::filesystem_error(
        "[store] " + said, file_,
        system ? std::error_code(system, std::generic_category()) : std::make_error_code(otherwise));
  };
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_ERROR:  // our SQL is fixed: what it speaks of is not there
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
      throw DataError(file_,
                      "is damaged or no store's index (" + said + "); delete the folder to begin anew");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Busy(text_of("[store] ", file_.string(), ": ", said));
    case SQLITE_NOMEM:
      throw std::bad_alloc();
    case SQLITE_FULL:
      throw file_error(std::errc::no_space_on_device);
    case SQLITE_READONLY:
      throw file_error(std::errc::read_only_file_system);
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN:
      throw file_error(std::errc::permission_denied);
    case SQLITE_IOERR:
      throw file_error(std::errc::io_error);
    default:
      throw std::runtime_error(text_of("[store] ", file_.string(), ": ", said));
  }
}

}  // namespace unisim
