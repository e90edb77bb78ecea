#include <unisim/error.h>
#include <unisim/store.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>
#include <unordered_map>

#include "io/quote.h"
#include "store_index.h"
#include "store_shard.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr int64_t most_floats = 1'000'000;
constexpr std::size_t most_pending_bytes = std::size_t{64} << 20;

StoreKey key_from(const char* what, const std::string& text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  StoreKey key;
  bool good = text.size() == 2 * key.size();
  for (std::size_t i = 0; good && i < key.size(); ++i) {
    const int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    good = high >= 0 && low >= 0;
    key[i] = static_cast<std::byte>(high * 16 + low);
  }
  require(good, "[store] the ", what, " is ", in_quotes(text),
          ", expected a SHA-256: 64 lower-case hexadecimal digits");
  return key;
}

/// Two keys or three, one after another.
template <std::size_t Count>
struct Keys {
  std::array<StoreKey, Count> keys;
  bool operator==(const Keys&) const = default;

  struct Hash {
    std::size_t operator()(const Keys& of) const {
      std::size_t hash = 0;
      for (const StoreKey& key : of.keys) {  // any eight bytes of a SHA-256 are a hash
        std::size_t part = 0;
        std::memcpy(&part, key.data(), sizeof part);
        hash = hash * 31 + part;
      }
      return hash;
    }
  };
  template <class Value>
  using Map = std::unordered_map<Keys, Value, Hash>;
};
using RowKey = Keys<2>;    // model, content
using ScoreKey = Keys<3>;  // metric, x, y

template <std::size_t Count>
int64_t checksum_of(const Keys<Count>& of, std::span<const std::byte> values) {
  Checksum sum;
  for (const StoreKey& key : of.keys) sum.add(key);
  return sum.add(values).value();
}

int64_t score_checksum(const ScoreKey& key, int64_t bits) {
  return checksum_of(key, std::as_bytes(std::span(&bits, 1)));
}

/// What was put and is not committed.
struct Pending {
  std::vector<RowEntry> rows;  // offsets are within `values` here
  std::vector<std::byte> values;
  std::vector<ScoreEntry> scores;
  RowKey::Map<std::size_t> row_of;
  ScoreKey::Map<std::size_t> score_of;
};

/// Makes it, and what it lies in, where they are not there; their names are on the disk.
void make_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (fs::is_directory(status)) return;
  if (fs::exists(status))
    throw fs::filesystem_error("cannot make the folder", folder,
                               std::make_error_code(std::errc::not_a_directory));
  const fs::path parent = folder.parent_path();
  if (parent != folder) make_folder(parent);
  fs::create_directory(folder);  // no error if another process was first
  make_folder_durable(parent);
}

}  // namespace

struct Store::State {
  explicit State(const fs::path& where) : folder(fs::absolute(where)) {
    make_folder(folder);
    index = std::make_unique<StoreIndex>(folder);
  }
  ~State() {
    if (::getpid() != process) index->abandon();
  }

  /// The lock that every use holds.
  std::unique_lock<std::mutex> enter() {
    if (::getpid() != process)
      throw std::runtime_error("[store] was opened before a fork: the child must open its own");
    return std::unique_lock(mutex);
  }
  void check_writable() const {
    if (index->read_only())
      throw fs::filesystem_error("[store] cannot put", folder,
                                 std::make_error_code(std::errc::read_only_file_system));
  }
  std::optional<std::vector<float>> read(const RowKey& key, const RowPlace& place,
                                         std::unique_lock<std::mutex>& lock);
  void commit();
  /// Counts an answer.
  template <class Answer>
  Answer answered(Answer answer) {
    ++(answer ? counts.found : counts.missed);
    return answer;
  }

  fs::path folder;
  pid_t process = ::getpid();
  std::mutex mutex;
  std::unique_ptr<StoreIndex> index;
  ShardReaders readers;
  std::unique_ptr<ShardWriter> shard;
  bool names_are_durable = false;  // the shard's, and those of the index: SQLite has made them by now
  Pending pending;
  RowKey::Map<RowPlace> damaged_rows;  // until they are put again
  ScoreKey::Map<bool> damaged_scores;
  StoreCounts counts;
};

/// The row at a place, or nothing if it is not what was put. The lock is open while the file is read.
std::optional<std::vector<float>> Store::State::read(const RowKey& key, const RowPlace& place,
                                                     std::unique_lock<std::mutex>& lock) {
  if (place.width < 1 || place.width > most_floats || place.offset < 0 ||
      place.offset > std::numeric_limits<int64_t>::max() / 2)
    return std::nullopt;
  try {
    const std::shared_ptr<const FileReader> file = readers.open(folder, place.shard);
    lock.unlock();
    std::vector<float> row(static_cast<std::size_t>(place.width));
    file->read(place.offset, std::as_writable_bytes(std::span(row)));
    const bool right = checksum_of(key, std::as_bytes(std::span(row))) == place.checksum;
    lock.lock();
    if (right) return row;
  } catch (const DataError&) {  // gone, cut off, no regular file
    if (!lock) lock.lock();
  } catch (const fs::filesystem_error&) {  // unreadable
    if (!lock) lock.lock();
  }
  return std::nullopt;
}

void Store::State::commit() {
  if (pending.rows.empty() && pending.scores.empty()) return;
  std::vector<RowEntry> rows = pending.rows;
  try {  // data and names first, then the index speaks of them
    if (!rows.empty()) {
      if (!shard) {
        names_are_durable = false;
        shard = std::make_unique<ShardWriter>(folder);
      }
      for (RowEntry& row : rows) row.offset += shard->size();
      shard->append(pending.values);
      shard->make_durable();
    }
    if (!names_are_durable) make_folder_durable(folder);
    names_are_durable = true;
  } catch (...) {
    shard.reset();
    throw;
  }
  counts.written += index->commit(shard ? shard->name() : "", rows, pending.scores);
  for (const auto& [key, k] : pending.row_of) damaged_rows.erase(key);
  for (const auto& [key, k] : pending.score_of) damaged_scores.erase(key);
  pending = {};
}

Store::Store(const fs::path& folder) : state_(std::make_unique<State>(folder)) {}
Store::~Store() = default;
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;

std::optional<std::vector<float>> Store::find(const std::string& model, const std::string& content) const {
  const RowKey key{{key_from("model", model), key_from("content", content)}};
  auto lock = state_->enter();
  if (const auto found = state_->pending.row_of.find(key); found != state_->pending.row_of.end()) {
    const RowEntry& entry = state_->pending.rows[found->second];
    std::vector<float> row(static_cast<std::size_t>(entry.width));
    std::memcpy(row.data(), state_->pending.values.data() + entry.offset, row.size() * sizeof(float));
    return state_->answered(std::optional(std::move(row)));
  }
  const std::optional<RowPlace> place = state_->index->row(key.keys[0], key.keys[1]);
  if (!place) return state_->answered(std::optional<std::vector<float>>{});
  std::optional<std::vector<float>> row = state_->read(key, *place, lock);
  if (!row) {
    ++state_->counts.damaged;
    state_->damaged_rows.insert_or_assign(key, *place);
  }
  return state_->answered(std::move(row));
}

void Store::put(const std::string& model, const std::string& content, std::span<const float> row) {
  const RowKey key{{key_from("model", model), key_from("content", content)}};
  const auto width = static_cast<int64_t>(row.size());
  require(width >= 1 && width <= most_floats, "[store] a row has ", width, " numbers, expected 1 to ",
          most_floats);
  for (std::size_t k = 0; k < row.size(); ++k)
    require(std::isfinite(row[k]), "[store] number ", k, " of the row is ", row[k],
            ", expected a finite one");
  const auto lock = state_->enter();
  state_->check_writable();
  Pending& pending = state_->pending;
  if (!pending.row_of.try_emplace(key, pending.rows.size()).second) return;
  const auto bytes = std::as_bytes(row);
  RowEntry entry{.model = key.keys[0],
                 .content = key.keys[1],
                 .offset = static_cast<int64_t>(pending.values.size()),
                 .width = width,
                 .checksum = checksum_of(key, bytes)};
  if (const auto damaged = state_->damaged_rows.find(key); damaged != state_->damaged_rows.end())
    entry.instead_of = damaged->second;
  pending.rows.push_back(std::move(entry));
  pending.values.insert(pending.values.end(), bytes.begin(), bytes.end());
  if (pending.values.size() > most_pending_bytes) state_->commit();
}

std::optional<double> Store::find_score(const std::string& metric, const std::string& x,
                                        const std::string& y) const {
  const ScoreKey key{{key_from("metric", metric), key_from("content", x), key_from("content", y)}};
  const auto lock = state_->enter();
  if (const auto found = state_->pending.score_of.find(key); found != state_->pending.score_of.end())
    return state_->answered(
        std::optional(std::bit_cast<double>(state_->pending.scores[found->second].score.bits)));
  const std::optional<StoredScore> stored = state_->index->score(key.keys[0], key.keys[1], key.keys[2]);
  if (!stored) return state_->answered(std::optional<double>{});
  if (score_checksum(key, stored->bits) != stored->checksum) {
    ++state_->counts.damaged;
    state_->damaged_scores.insert_or_assign(key, true);
    return state_->answered(std::optional<double>{});
  }
  return state_->answered(std::optional(std::bit_cast<double>(stored->bits)));
}

void Store::put_score(const std::string& metric, const std::string& x, const std::string& y, double score) {
  const ScoreKey key{{key_from("metric", metric), key_from("content", x), key_from("content", y)}};
  require(!std::isnan(score), "[store] the score is not a number");
  const auto lock = state_->enter();
  state_->check_writable();
  Pending& pending = state_->pending;
  if (!pending.score_of.try_emplace(key, pending.scores.size()).second) return;
  const auto bits = std::bit_cast<int64_t>(score);
  pending.scores.push_back({.metric = key.keys[0],
                            .x = key.keys[1],
                            .y = key.keys[2],
                            .score = {bits, score_checksum(key, bits)},
                            .instead = state_->damaged_scores.contains(key)});
}

void Store::commit() {
  const auto lock = state_->enter();
  state_->commit();
}

StoreCounts Store::counts() const {
  const auto lock = state_->enter();
  StoreCounts counts = state_->counts;
  counts.rows = state_->index->count_rows();
  counts.scores = state_->index->count_scores();
  std::error_code gone;  // SQLite's own files come and go
  for (const auto& entry : fs::directory_iterator(state_->folder)) {
    const auto size = static_cast<int64_t>(entry.file_size(gone));
    if (!gone) counts.bytes += size;
  }
  return counts;
}

bool Store::read_only() const { return state_->index->read_only(); }
const fs::path& Store::folder() const { return state_->folder; }

}  // namespace unisim
