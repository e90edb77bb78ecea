#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cstring>
#include <limits>
#include <thread>

#include "store_rows.h"

using namespace unisim;
using namespace unisim::test;
namespace fs = std::filesystem;

namespace {

/// Nobody may write into the folder, this process neither: root becomes somebody else for the scope.
class ReadOnly {
 public:
  explicit ReadOnly(fs::path folder) : folder_(std::move(folder)) {
    for (const auto& entry : fs::directory_iterator(folder_)) ::chmod(entry.path().c_str(), 0444);
    ::chmod(folder_.c_str(), 0555);
    if (user_ == 0) REQUIRE(::seteuid(65534) == 0);
  }
  ~ReadOnly() {
    if (user_ == 0) (void)!::seteuid(0);
    ::chmod(folder_.c_str(), 0755);
    for (const auto& entry : fs::directory_iterator(folder_)) ::chmod(entry.path().c_str(), 0644);
  }
  ReadOnly(const ReadOnly&) = delete;
  ReadOnly& operator=(const ReadOnly&) = delete;

 private:
  fs::path folder_;
  uid_t user_ = ::geteuid();
};

/// Runs f in a child; its exit status.
template <class F>
int in_child(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 99;
    try {
      code = f();
    } catch (...) {
    }
    ::_exit(code);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

TEST_CASE("a row is found again bit by bit, before and after its commit, and by another store", "[store]") {
  const TemporaryFolder folder;
  const std::size_t width = GENERATE(1, 2, 767, 768, 1'000'000);
  std::vector<float> put = row(3, width);
  put[0] = -0.0f;
  Store store(folder.path() / "not" / "yet" / "there");
  CHECK_FALSE(store.find(model, content(3)));
  store.put(model, content(3), put);
  const auto same = [&](const std::optional<std::vector<float>>& got) {
    return got && got->size() == width && std::memcmp(got->data(), put.data(), width * sizeof(float)) == 0;
  };
  CHECK(same(store.find(model, content(3))));
  CHECK_FALSE(Store(store.folder()).find(model, content(3)));  // not yet committed
  store.commit();
  CHECK(same(store.find(model, content(3))));
  CHECK(same(Store(store.folder()).find(model, content(3))));
  CHECK_FALSE(store.find(content(3), model));
}

TEST_CASE("a score is found again bit by bit, in its order alone", "[store]") {
  const TemporaryFolder folder;
  const double infinity = std::numeric_limits<double>::infinity();
  const double score = GENERATE_COPY(0.1, -0.0, 3.0, infinity, -infinity, 5e-324, 1.7976931348623157e308);
  {
    Store store(folder.path());
    store.put_score(model, content(1), content(2), score);
    CHECK(std::bit_cast<int64_t>(*store.find_score(model, content(1), content(2))) ==
          std::bit_cast<int64_t>(score));
    store.commit();
  }
  const Store store(folder.path());
  const auto got = store.find_score(model, content(1), content(2));
  REQUIRE(got);
  CHECK(std::bit_cast<int64_t>(*got) == std::bit_cast<int64_t>(score));
  CHECK_FALSE(store.find_score(model, content(2), content(1)));
  CHECK(store.counts().scores == 1);
}

TEST_CASE("what was put and not committed goes with the store", "[store]") {
  const TemporaryFolder folder;
  {
    Store store(folder.path());
    fill(store, 0, 5);
    store.put(model, content(5), row(5));
  }
  CHECK(found(Store(folder.path()), 0, 6) == 5);
}

TEST_CASE("many rows commit by themselves", "[store]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const std::vector<float> wide(1'000'000, 0.5f);
  for (int k = 0; k < 17; ++k) store.put(model, content(k), wide);  // 4 MB each
  CHECK(Store(folder.path()).counts().rows == 17);
}

TEST_CASE("counts tell the folder's and this store's", "[store]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  fill(store, 0, 7);
  store.put_score(model, content(1), content(2), 0.5);
  store.commit();
  store.commit();  // nothing to do
  CHECK(found(store, 0, 9) == 7);
  CHECK(store.find_score(model, content(1), content(2)) == 0.5);
  const StoreCounts counts = store.counts();
  CHECK(counts.rows == 7);
  CHECK(counts.scores == 1);
  CHECK(counts.written == 8);
  CHECK(counts.found == 8);
  CHECK(counts.missed == 2);
  CHECK(counts.damaged == 0);
  CHECK(counts.bytes > 7 * 8 * 4);
}

TEST_CASE("keys that are no SHA-256 are refused", "[store]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  for (std::string bad :
       {std::string(), std::string("abc"), model.substr(1), model + "0", std::string(64, 'G'),
        std::string(64, 'A'), "../" + model.substr(3), model.substr(1) + '\0'}) {
    check_throws<std::invalid_argument>([&] { store.find(model, bad); }, "expected a SHA-256: 64 lower-case");
    check_throws<std::invalid_argument>([&] { store.put(bad, model, row(1)); }, "[store] the model is \"");
    check_throws<std::invalid_argument>([&] { store.find_score(model, bad, model); }, "expected a SHA-256");
    check_throws<std::invalid_argument>([&] { store.put_score(model, model, bad, 1); }, "expected a SHA-256");
  }
  CHECK(store.counts().rows == 0);
}

TEST_CASE("rows that are empty, too wide or not finite are refused", "[store]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  const auto put = [&](const std::vector<float>& values) { store.put(model, content(0), values); };
  check_throws<std::invalid_argument>([&] { put({}); }, "a row has 0 numbers, expected 1 to 1000000");
  check_throws<std::invalid_argument>([&] { put(std::vector<float>(1'000'001)); }, "has 1000001 numbers");
  check_throws<std::invalid_argument>([&] { put({1, NAN}); }, "number 1 of the row is nan");
  check_throws<std::invalid_argument>([&] { put({-INFINITY, 1}); }, "number 0 of the row is -inf");
  check_throws<std::invalid_argument>([&] { store.put_score(model, model, model, NAN); }, "is not a number");
}

TEST_CASE("of two stores that put one key the first commit stays, and the index has it once", "[store]") {
  const TemporaryFolder folder;
  Store a(folder.path()), b(folder.path());
  a.put(model, content(1), row(1));
  b.put(model, content(1), row(2));
  a.put_score(model, model, model, 1);
  b.put_score(model, model, model, 2);
  b.commit();
  a.commit();
  CHECK(a.find(model, content(1)) == row(2));
  CHECK(b.find(model, content(1)) == row(2));
  CHECK(a.find_score(model, model, model) == 2);
  CHECK(a.counts().rows == 1);
  CHECK(a.counts().scores == 1);
  CHECK(a.counts().written == 0);
  CHECK(b.counts().written == 2);
  CHECK(shards_of(folder.path()).size() == 2);  // each has its own
}

TEST_CASE("a read-only folder is read, and refuses to be put into", "[store]") {
  const TemporaryFolder folder;
  const fs::path where = folder.path() / "a folder? #1%20";
  fill(*std::make_unique<Store>(where), 0, 5);
  const std::vector<std::byte> before = bytes_of(where / "index.sqlite");
  {
    const ReadOnly scope(where);
    Store store(where);
    CHECK(store.read_only());
    CHECK(found(store, 0, 6) == 5);
    CHECK(store.counts().rows == 5);
    check_throws<fs::filesystem_error>([&] { store.put(model, content(6), row(6)); },
                                       "Read-only file system");
    check_throws<fs::filesystem_error>([&] { store.put_score(model, model, model, 1); },
                                       "[store] cannot put");
    store.commit();  // of nothing
  }
  CHECK(bytes_of(where / "index.sqlite") == before);
  CHECK_FALSE(Store(where).read_only());
}

TEST_CASE("a read-only folder is read beside a writer, or after one that was killed", "[store]") {
  const TemporaryFolder folder;
  SECTION("a writer that has it open") {
    Store writer(folder.path());
    fill(writer, 0, 5);
    const ReadOnly scope(folder.path());
    CHECK(found(Store(folder.path()), 0, 5) == 5);
  }
  SECTION("the log of a killed one") {
    REQUIRE(in_child([&] {
              auto* never_closed = new Store(folder.path());
              fill(*never_closed, 0, 5);
              return 0;
            }) == 0);
    REQUIRE(fs::file_size(folder.path() / "index.sqlite-wal") > 0);
    const ReadOnly scope(folder.path());
    CHECK(found(Store(folder.path()), 0, 5) == 5);
  }
  SECTION("the log of a killed one without its shared memory: what the log has may be missing") {
    fill(*std::make_unique<Store>(folder.path()), 0, 3);
    REQUIRE(in_child([&] {
              auto* never_closed = new Store(folder.path());
              fill(*never_closed, 3, 5);
              return 0;
            }) == 0);
    fs::remove(folder.path() / "index.sqlite-shm");
    const ReadOnly scope(folder.path());
    CHECK(found(Store(folder.path()), 0, 5) >= 3);
  }
}

TEST_CASE("a folder that is read-only and holds no store is a filesystem_error", "[store]") {
  const TemporaryFolder folder;
  const ReadOnly scope(folder.path());
  check_throws<fs::filesystem_error>([&] { Store store(folder.path()); }, "holds no store");
  check_throws<fs::filesystem_error>([&] { Store store(folder.path() / "below"); }, "Permission denied");
}

TEST_CASE("a disk that is full is an error, and what was put is remembered", "[store]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  for (int k = 0; k < 3; ++k) store.put(model, content(k), row(k));
  {
    const ReadOnly scope(folder.path());  // no new shard can be made
    CHECK_THROWS_AS(store.commit(), fs::filesystem_error);
    CHECK(found(store, 0, 3) == 3);
  }
  CHECK(Store(folder.path()).counts().rows == 0);
  store.commit();
  CHECK(found(Store(folder.path()), 0, 3) == 3);
}

TEST_CASE("threads share one store", "[store]") {
  const TemporaryFolder folder;
  Store store(folder.path());
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int k = 0; k < 200; ++k) {
        const int mine = (k * 7 + t * 31) % 200;
        if (const auto there = store.find(model, content(mine)); there && *there != row(mine)) ++wrong;
        store.put(model, content(mine), row(mine));
        if (k % 50 == 49) store.commit();
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(wrong == 0);
  CHECK(found(Store(folder.path()), 0, 200) == 200);
  CHECK(store.counts().rows == 200);
}

TEST_CASE("a store opened before a fork is refused in the child and goes on in the parent", "[store]") {
  const TemporaryFolder folder;
  auto store = std::make_unique<Store>(folder.path());
  fill(*store, 0, 3);
  CHECK(in_child([&] {
          try {
            store->find(model, content(0));
          } catch (const std::runtime_error& error) {
            const bool said = std::string(error.what()).find("before a fork") != std::string::npos;
            store.reset();  // closes nothing of the parent's
            return said && found(Store(folder.path()), 0, 3) == 3 ? 7 : 1;
          }
          return 2;
        }) == 7);
  fill(*store, 3, 6);
  CHECK(found(*store, 0, 6) == 6);
}

TEST_CASE("more shards than may be open are read", "[store]") {
  const TemporaryFolder folder;
  for (int k = 0; k < 40; ++k) fill(*std::make_unique<Store>(folder.path()), k, k + 1);
  CHECK(shards_of(folder.path()).size() == 40);
  CHECK(in_child([&] {
          const rlimit few{40, 40};
          return ::setrlimit(RLIMIT_NOFILE, &few) == 0 ? found(Store(folder.path()), 0, 40) : 0;
        }) == 40);
}
