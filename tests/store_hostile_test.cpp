#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <bit>

#include "store_rows.h"

using namespace unisim;
using namespace unisim::test;
namespace fs = std::filesystem;

namespace {

void flip(const fs::path& file, std::size_t at, unsigned mask = 1) {
  std::vector<std::byte> bytes = bytes_of(file);
  bytes.at(at) ^= static_cast<std::byte>(mask);
  write_bytes(file, bytes);
}

/// Writes a number into the header of an SQLite file, which has them big-endian.
void write_header(const fs::path& file, std::size_t at, uint32_t value) {
  std::vector<std::byte> bytes = bytes_of(file);
  for (std::size_t i = 0; i < 4; ++i) bytes.at(at + i) = static_cast<std::byte>(value >> (24 - 8 * i));
  write_bytes(file, bytes);
}

}  // namespace

TEST_CASE("a byte changed in a shard makes its row missing, and a new put mends it", "[store]") {
  const TemporaryFolder folder;
  fill(*std::make_unique<Store>(folder.path()), 0, 10);
  const auto shards = shards_of(folder.path());
  REQUIRE(shards.size() == 1);
  REQUIRE(fs::file_size(shards[0]) == 10 * 32);
  const std::size_t at = GENERATE(4 * 32, 4 * 32 + 17, 5 * 32 - 1);
  flip(shards[0], at, GENERATE(1u, 0x80u, 0xffu));
  {
    Store store(folder.path());
    CHECK_FALSE(store.find(model, content(4)));
    CHECK(found(store, 0, 10) == 9);
    CHECK(store.counts().damaged == 2);
    CHECK(store.counts().missed == 2);
    CHECK(store.counts().rows == 10);
    fill(store, 4, 5);
    CHECK(store.counts().written == 1);
    CHECK(found(store, 0, 10) == 10);
  }
  const Store store(folder.path());
  CHECK(found(store, 0, 10) == 10);
  CHECK(store.counts().damaged == 0);
  CHECK(store.counts().rows == 10);
}

TEST_CASE("rows that a shard lost at its end are missing, those before are found", "[store]") {
  const TemporaryFolder folder;
  fill(*std::make_unique<Store>(folder.path()), 0, 10);
  const int length = GENERATE(0, 1, 31, 32, 33, 5 * 32, 10 * 32 - 1);
  fs::resize_file(shards_of(folder.path()).at(0), static_cast<uintmax_t>(length));
  Store store(folder.path());
  CHECK(found(store, 0, 10) == length / 32);
  CHECK(store.counts().damaged == 10 - length / 32);
  fill(store, 0, 10);
  CHECK(found(Store(folder.path()), 0, 10) == 10);
}

TEST_CASE("rows whose shard is gone, or is something else, are missing", "[store]") {
  const TemporaryFolder folder;
  fill(*std::make_unique<Store>(folder.path()), 0, 3);
  const fs::path shard = shards_of(folder.path()).at(0);
  const std::vector<std::byte> bytes = bytes_of(shard);
  fs::remove(shard);
  SECTION("gone") {}
  SECTION("a folder") { fs::create_directory(shard); }
  SECTION("a FIFO") { REQUIRE(::mkfifo(shard.c_str(), 0600) == 0); }
  SECTION("a link out of the folder, even to the same bytes") {
    const TemporaryFolder elsewhere;
    write_bytes(elsewhere.path() / "rows", bytes);
    fs::create_symlink(elsewhere.path() / "rows", shard);
    Store store(folder.path());
    CHECK(found(store, 0, 3) == 0);
  }
  Store store(folder.path());
  CHECK(found(store, 0, 3) == 0);
  CHECK(store.counts().damaged == 3);
  fill(store, 0, 3);
  CHECK(found(Store(folder.path()), 0, 3) == 3);
}

TEST_CASE("two rows exchanged in a shard are both missing", "[store]") {
  const TemporaryFolder folder;
  fill(*std::make_unique<Store>(folder.path()), 0, 2);
  const fs::path shard = shards_of(folder.path()).at(0);
  std::vector<std::byte> bytes = bytes_of(shard);
  std::rotate(bytes.begin(), bytes.begin() + 32, bytes.end());
  write_bytes(shard, bytes);
  CHECK(found(Store(folder.path()), 0, 2) == 0);
}

TEST_CASE("any byte of the index changed: right numbers, missing ones or a DataError", "[store]") {
  const TemporaryFolder folder;
  {
    Store store(folder.path());
    for (int k = 0; k < 20; ++k) store.put_score(model, content(k), content(k + 1), k + 0.25);
    fill(store, 0, 20);
  }
  const fs::path index = folder.path() / "index.sqlite";
  const std::vector<std::byte> good = bytes_of(index);
  int refused = 0, damaged = 0, whole = 0;
  // A prime step, so that every part of a page is met; the low and the high bit by turns.
  for (std::size_t at = 0; at < good.size(); at += 61) {
    std::vector<std::byte> changed = good;
    changed[at] ^= static_cast<std::byte>(at % 2 ? 0x01 : 0x80);
    write_bytes(index, changed);
    try {
      const Store store(folder.path());
      const int there = found(store, 0, 20);
      for (int k = 0; k < 20; ++k)
        if (const auto score = store.find_score(model, content(k), content(k + 1))) CHECK(*score == k + 0.25);
      (there == 20 ? whole : damaged) += 1;
    } catch (const DataError&) {
      ++refused;
    } catch (const fs::filesystem_error&) {  // a version of the format that only newer programs write
      ++refused;
    }
    for (const char* beside : {"index.sqlite-wal", "index.sqlite-shm"}) fs::remove(folder.path() / beside);
  }
  CHECK(refused > 0);
  CHECK(damaged > 0);
  CHECK(whole > 0);
}

TEST_CASE("a damaged score is missing, counted, and mended by the next put", "[store]") {
  const TemporaryFolder folder;
  {
    Store store(folder.path());
    store.put_score(model, content(1), content(2), 0.123456789);
    store.commit();
  }
  const fs::path index = folder.path() / "index.sqlite";
  const auto bits = std::bit_cast<std::array<std::byte, 8>>(0.123456789);
  std::vector<std::byte> bytes = bytes_of(index);
  const auto at = std::search(bytes.begin(), bytes.end(), bits.rbegin(), bits.rend());  // big-endian there
  REQUIRE(at != bytes.end());
  flip(index, static_cast<std::size_t>(at - bytes.begin()) + 6);
  Store store(folder.path());
  CHECK_FALSE(store.find_score(model, content(1), content(2)));
  CHECK(store.counts().damaged == 1);
  store.put_score(model, content(1), content(2), 0.123456789);
  store.commit();
  CHECK(Store(folder.path()).find_score(model, content(1), content(2)) == 0.123456789);
  CHECK(store.counts().scores == 1);
}

TEST_CASE("an index of another version or program is refused and left as it is", "[store]") {
  const TemporaryFolder folder;
  fill(*std::make_unique<Store>(folder.path()), 0, 3);
  const fs::path index = folder.path() / "index.sqlite";
  const auto refused = [&](const std::string& message) {
    const std::vector<std::byte> before = bytes_of(index);
    check_throws<DataError>([&] { Store store(folder.path()); }, message);
    CHECK(bytes_of(index) == before);
  };
  SECTION("a later version") {
    write_header(index, 60, 2);
    refused("index.sqlite: is an index of version 2, expected version 1");
  }
  SECTION("another program's database") {
    write_header(index, 68, 7);
    refused("is a database of another program");
  }
  SECTION("no database at all") {
    write_text(index, std::string(5000, 'x'));
    refused("is damaged or no store's index");
  }
  SECTION("the folder is a file") {
    check_throws<fs::filesystem_error>([&] { Store store(index); }, "cannot make the folder");
  }
}
