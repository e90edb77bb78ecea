#include "io/file.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <optional>
#include <set>
#include <thread>

#include "hostile.h"

using namespace unisim;
using namespace unisim::test;
namespace fs = std::filesystem;

namespace {

std::string text_in(const fs::path& file) {
  const auto bytes = read_file(file, 1 << 20);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::set<std::string> names_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

/// An environment variable for the length of a scope; null: unset.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

}  // namespace

TEST_CASE("a file is read whole up to the limit", "[file]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "f";
  write_text(file, "12345");
  CHECK(text_in(file) == "12345");
  CHECK(read_file(file, 5).size() == 5);
  check_throws<DataError>([&] { read_file(file, 4); }, "has 5 bytes, expected at most 4");
  write_text(file, "");
  CHECK(text_in(file).empty());
}

TEST_CASE("what is no regular file is a DataError, at once", "[file]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "f";
  const auto read = [&] { read_file(file, 1 << 20); };
  SECTION("a folder") {
    fs::create_directory(file);
    check_throws<DataError>(read, "is a folder, expected a regular file");
  }
  SECTION("a FIFO that nobody writes to") {
    REQUIRE(::mkfifo(file.c_str(), 0600) == 0);
    check_throws<DataError>(read, "is a FIFO, expected a regular file");
  }
  SECTION("a link to /dev/zero, which never ends") {
    fs::create_symlink("/dev/zero", file);
    check_throws<DataError>(read, "is a device, expected a regular file");
  }
  SECTION("/dev/zero itself") {
    check_throws<DataError>([] { read_file("/dev/zero", 1 << 20); }, "is a device, expected a regular file");
  }
  SECTION("a socket") {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(file.string().size() < sizeof address.sun_path);
    std::strcpy(address.sun_path, file.c_str());
    const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    check_throws<DataError>(read, "is a socket or a device, expected a regular file");
    ::close(socket);
  }
}

TEST_CASE("a file that cannot be opened is a filesystem_error with its path and code", "[file]") {
  const TemporaryFolder folder;
  const auto open = [&](const fs::path& file) -> std::errc {
    try {
      read_file(file, 1);
    } catch (const fs::filesystem_error& error) {
      CHECK(error.path1() == file);
      return static_cast<std::errc>(error.code().value());
    }
    return {};
  };
  CHECK(open(folder.path() / "gone") == std::errc::no_such_file_or_directory);
  CHECK(open(folder.path() / std::string(300, 'n')) == std::errc::filename_too_long);
  fs::create_symlink("loop", folder.path() / "loop");
  CHECK(open(folder.path() / "loop") == std::errc::too_many_symbolic_link_levels);
  write_text(folder.path() / "f", "x");
  CHECK(open(folder.path() / "f" / "below") == std::errc::not_a_directory);
}

TEST_CASE("a read at an offset fills its place or says that the file is too short", "[file]") {
  const TemporaryFolder folder;
  write_text(folder.path() / "f", "0123456789");
  const FileReader reader(folder.path() / "f");
  std::array<std::byte, 3> to{};
  reader.read(7, to);
  CHECK(std::string(reinterpret_cast<const char*>(to.data()), 3) == "789");
  reader.read(99, {});
  check_throws<DataError>([&] { reader.read(8, to); }, "ends before byte 11");
}

TEST_CASE("a file is written whole or not at all", "[file]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "out";
  write_text(file, "old");
  SECTION("it replaces the old one, and nothing is left beside it") {
    write_file_whole(file, bytes_from("new"));
    CHECK(text_in(file) == "new");
    CHECK(names_in(folder.path()) == std::set<std::string>{"out"});
  }
  SECTION("a write that fails midway leaves the old file and nothing else") {
    struct rlimit before {};
    ::getrlimit(RLIMIT_FSIZE, &before);
    const struct rlimit small { 1000, before.rlim_max };
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ::setrlimit(RLIMIT_FSIZE, &small);
    std::error_code code;
    try {
      write_file_whole(file, std::vector<std::byte>(100'000));
    } catch (const fs::filesystem_error& error) {
      code = error.code();
    }
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(code == std::errc::file_too_large);
    CHECK(text_in(file) == "old");
    CHECK(names_in(folder.path()) == std::set<std::string>{"out"});
  }
  SECTION("a process that is killed while it writes leaves an old or a new file") {
    const std::vector<std::byte> first(300'000, std::byte{1}), second(300'000, std::byte{2});
    write_bytes(file, first);
    for (const int milliseconds : {0, 1, 3, 10, 30}) {
      const pid_t child = ::fork();
      if (child == 0) {
        for (;;) write_file_whole(file, second), write_file_whole(file, first);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
      const auto bytes = read_file(file, 1 << 24);
      CHECK((bytes == first || bytes == second));
    }
  }
  SECTION("a folder that is not there is an error") {
    CHECK_THROWS_AS(write_file_whole(folder.path() / "no" / "out", {}), fs::filesystem_error);
  }
}

TEST_CASE("many threads that write one file leave one of their texts whole", "[file]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "out";
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 3; ++i) write_file_whole(file, std::vector<std::byte>(10'000 + t, std::byte(t)));
    });
  for (auto& thread : threads) thread.join();
  const auto bytes = read_file(file, 1 << 20);
  CHECK(bytes == std::vector<std::byte>(bytes.size(), bytes.front()));
  CHECK(bytes.size() == 10'000 + std::to_integer<std::size_t>(bytes.front()));
  CHECK(names_in(folder.path()) == std::set<std::string>{"out"});
}

TEST_CASE("writing follows a link and never replaces what is no regular file", "[file]") {
  const TemporaryFolder folder;
  SECTION("a link stays, its target is written") {
    fs::create_directory(folder.path() / "real");
    write_text(folder.path() / "real" / "f", "old");
    fs::create_symlink("real/f", folder.path() / "link");
    write_file_whole(folder.path() / "link", bytes_from("new"));
    CHECK(fs::is_symlink(folder.path() / "link"));
    CHECK(text_in(folder.path() / "real" / "f") == "new");
  }
  SECTION("a FIFO stays") {
    REQUIRE(::mkfifo((folder.path() / "fifo").c_str(), 0600) == 0);
    CHECK_THROWS_AS(write_file_whole(folder.path() / "fifo", {}), fs::filesystem_error);
    CHECK(fs::is_fifo(folder.path() / "fifo"));
  }
  SECTION("a folder stays") { CHECK_THROWS_AS(write_file_whole(folder.path(), {}), fs::filesystem_error); }
  SECTION("/dev/null stays") {
    CHECK_THROWS_AS(write_file_whole("/dev/null", {}), fs::filesystem_error);
    CHECK(fs::is_character_file("/dev/null"));
  }
}

TEST_CASE("a name found in a file leads nowhere but into its folder", "[file]") {
  const TemporaryFolder outside, folder;
  const auto said_by = folder.path() / "config.json";
  write_text(folder.path() / "vocab.json", "in");
  write_text(outside.path() / "secret", "out");
  write_text(folder.path() / "sub" / "deep", "in");
  fs::create_symlink("vocab.json", folder.path() / "alias");
  fs::create_symlink("sub/deep", folder.path() / "below");
  fs::create_symlink(outside.path() / "secret", folder.path() / "absolute");
  fs::create_symlink(fs::relative(outside.path() / "secret", folder.path()), folder.path() / "relative");
  fs::create_symlink("absolute", folder.path() / "chain");
  fs::create_symlink("gone", folder.path() / "broken");
  fs::create_symlink("loop", folder.path() / "loop");
  fs::create_directory_symlink(outside.path(), folder.path() / "parent");
  fs::create_symlink("parent/secret", folder.path() / "through");
  fs::create_symlink("/dev/zero", folder.path() / "zero");
  for (const char* name : {"vocab.json", "alias", "below"}) DYNAMIC_SECTION("allowed: " << name) {
      CHECK(file_inside(folder.path(), name, said_by) == folder.path() / name);
      CHECK(FileReader::open_inside(folder.path(), name, said_by).size() == 2);
    }
  struct Case {
    std::string name, message;
  };
  const std::vector<Case> cases = {
      {"absolute", "neither in the same folder nor in the blobs"},
      {"relative", "neither in the same folder nor in the blobs"},
      {"chain", "neither in the same folder nor in the blobs"},
      {"through", "neither in the same folder nor in the blobs"},
      {"parent", "neither in the same folder nor in the blobs"},
      {"zero", "neither in the same folder nor in the blobs"},
      {"broken", "which is not in"},
      {"gone", "which is not in"},
      {"../secret", "expected a plain file name"},
      {"/etc/passwd", "expected a plain file name"},
      {"sub/deep", "expected a plain file name"},
      {"..", "expected a plain file name"},
      {".", "expected a plain file name"},
      {"", "expected a plain file name"},
      {"a\\b", "expected a plain file name"},
      {"C:vocab.json", "expected a plain file name"},
      {std::string("vocab.json\0.png", 15), R"("vocab.json\x00.png", expected a plain file name)"},
      {std::string(256, 'n'), "expected a plain file name"},
  };
  for (const Case& c : cases) DYNAMIC_SECTION("refused: " << c.name.c_str()) {
      check_throws<DataError>([&] { file_inside(folder.path(), c.name, said_by); }, c.message);
      check_throws<DataError>([&] { FileReader::open_inside(folder.path(), c.name, said_by); }, c.message);
      check_throws<DataError>([&] { file_inside(folder.path(), c.name, said_by); },
                              said_by.string() + ": names");
    }
  SECTION("a loop of links is an error of the file system") {
    CHECK_THROWS_AS(file_inside(folder.path(), "loop", said_by), fs::filesystem_error);
  }
}

TEST_CASE("a snapshot's links lead into the blobs of its own repository alone", "[file]") {
  const TemporaryFolder cache;
  const auto repository = cache.path() / "models--org--name", other = cache.path() / "models--org--other";
  const auto snapshot = repository / "snapshots" / "c0ffee";
  write_text(repository / "blobs" / "aa", "mine");
  write_text(other / "blobs" / "bb", "theirs");
  write_text(repository / "refs" / "main", "c0ffee");
  fs::create_directories(snapshot / "sub");
  fs::create_symlink("../../blobs/aa", snapshot / "weights");
  fs::create_symlink("../../../blobs/aa", snapshot / "sub" / "weights");
  fs::create_symlink("../../../models--org--other/blobs/bb", snapshot / "theirs");
  fs::create_symlink("../../refs/main", snapshot / "refs");
  CHECK(FileReader::open_inside(snapshot, "weights", snapshot).size() == 4);
  CHECK(FileReader::open_inside(snapshot / "sub", "weights", snapshot).size() == 4);
  check_throws<DataError>([&] { file_inside(snapshot, "theirs", snapshot); }, "nor in the blobs of the same");
  check_throws<DataError>([&] { file_inside(snapshot, "refs", snapshot); }, "nor in the blobs of the same");
  SECTION("a snapshot reached through a link is the same snapshot") {
    fs::create_directory_symlink(snapshot, cache.path() / "alias");
    CHECK(FileReader::open_inside(cache.path() / "alias", "weights", snapshot).size() == 4);
  }
  SECTION("a blobs folder that is itself a link is not followed") {
    fs::rename(repository / "blobs", cache.path() / "elsewhere");
    fs::create_directory_symlink(cache.path() / "elsewhere", repository / "blobs");
    check_throws<DataError>([&] { file_inside(snapshot, "weights", snapshot); },
                            "nor in the blobs of the same");
  }
  SECTION("a folder of another shape has no blobs") {
    const auto plain = cache.path() / "repo" / "snapshots" / "c";
    write_text(cache.path() / "repo" / "blobs" / "aa", "x");
    fs::create_directories(plain);
    fs::create_symlink("../../blobs/aa", plain / "weights");
    check_throws<DataError>([&] { file_inside(plain, "weights", plain); }, "nor in the blobs of the same");
  }
}

TEST_CASE("a model is found where its name says", "[find_model]") {
  const TemporaryFolder root;
  const std::string home = root.path() / "home", own = root.path() / "own", hub = root.path() / "hub";
  const Environment e1("HOME", home.c_str()), e2("XDG_CACHE_HOME", nullptr), e3("UNISIM_CACHE", own.c_str());
  const Environment e4("HF_HUB_CACHE", hub.c_str()), e5("HF_HOME", nullptr);
  const auto snapshot = fs::path(hub) / "models--org--name" / "snapshots" / "c0ffee";
  fs::create_directories(snapshot);
  write_text(fs::path(hub) / "models--org--name" / "refs" / "main", "c0ffee\n");
  fs::create_directories(fs::path(own) / "models" / "lpips-alex");
  const std::string folder = root.path();

  SECTION("a path") { CHECK(find_model(folder) == root.path()); }
  SECTION("a path marked as one") { CHECK(find_model("local-dir:" + folder) == root.path()); }
  SECTION("an installed name") { CHECK(find_model("lpips-alex") == fs::path(own) / "models" / "lpips-alex"); }
  SECTION("a repository") { CHECK(find_model("org/name") == snapshot); }
  SECTION("a repository marked as one") { CHECK(find_model("hf-hub:org/name") == snapshot); }
  SECTION("a revision by its branch") { CHECK(find_model("org/name@main") == snapshot); }
  SECTION("a revision by its commit") { CHECK(find_model("org/name@c0ffee") == snapshot); }
  SECTION("$HF_HOME") {
    const Environment none("HF_HUB_CACHE", nullptr), here("HF_HOME", folder.c_str());
    CHECK(find_model("org/name") == snapshot);
  }
  SECTION("$XDG_CACHE_HOME/huggingface") {
    const Environment none("HF_HUB_CACHE", nullptr), here("XDG_CACHE_HOME", folder.c_str());
    fs::create_directory(root.path() / "huggingface");
    fs::rename(hub, root.path() / "huggingface" / "hub");
    CHECK(find_model("org/name").parent_path().filename() == "snapshots");
  }
  SECTION("~/.cache/huggingface") {
    const Environment none("HF_HUB_CACHE", nullptr);
    fs::create_directories(fs::path(home) / ".cache" / "huggingface");
    fs::rename(hub, fs::path(home) / ".cache" / "huggingface" / "hub");
    CHECK(find_model("org/name").parent_path().filename() == "snapshots");
  }
  SECTION("the first cache that is set is the only one, as in huggingface_hub") {
    const Environment other("HF_HUB_CACHE", "/nowhere"), here("HF_HOME", folder.c_str());
    check_throws<DataError>([] { find_model("org/name"); }, "/nowhere/models--org--name/refs/main");
  }
}

TEST_CASE("a model that is not there is an error naming every place looked at", "[find_model]") {
  const TemporaryFolder root;
  const std::string own = root.path() / "own", hub = root.path() / "hub", folder = root.path();
  const Environment e1("UNISIM_CACHE", own.c_str()), e2("HF_HUB_CACHE", hub.c_str());
  write_text(root.path() / "file", "x");
  write_text(fs::path(hub) / "models--org--gone" / "refs" / "main", "c0ffee");
  write_text(fs::path(hub) / "models--org--evil" / "refs" / "main", "../../../own");
  write_text(fs::path(hub) / "models--org--long" / "refs" / "main", std::string(1000, 'a'));
  struct Case {
    std::string name, message;
  };
  const std::vector<Case> cases = {
      {"no-such", "looked at: no-such, " + own + "/models/no-such"},
      {"org/none", "org/none, " + hub + "/models--org--none/refs/main"},
      {"org/gone", hub + "/models--org--gone/snapshots/c0ffee"},
      {"org/evil", R"(is "../../../own", expected the name of a commit)"},
      {"org/long", "has 1000 bytes, expected at most 256"},
      {"org/name@../..", "looked at: org/name@../.."},
      {"hf-hub:../x", "expected hf-hub:ORG/REPO"},
      {"hf-hub:org", "expected hf-hub:ORG/REPO"},
      {"../no-such", "looked at: ../no-such. "},
      {"/no/such/folder", "looked at: /no/such/folder. "},
      {"a/b/c", "looked at: a/b/c. "},
      {std::string(5000, 'n'), "no such model"},
      {"local-dir:/no/such", "looked at: /no/such. "},
  };
  for (const Case& c : cases) DYNAMIC_SECTION(c.name.substr(0, 40)) {
      check_throws<DataError>([&] { find_model(c.name); }, c.message);
    }
  SECTION("a file") {
    check_throws<DataError>([&] { find_model(folder + "/file"); },
                            "is no folder, expected the folder of a model");
  }
  SECTION("no name at all") {
    check_throws<std::invalid_argument>([] { find_model(""); }, "is empty");
  }
  SECTION("a name with a NUL") {
    check_throws<std::invalid_argument>([] { find_model(std::string("a\0b", 3)); }, R"("a\x00b")");
  }
}

TEST_CASE("the cache folder is the first that is set", "[find_model]") {
  const Environment e1("UNISIM_CACHE", "/u"), e2("XDG_CACHE_HOME", "/x"), e3("HOME", "/h");
  CHECK(cache_folder() == "/u");
  const Environment tilde("UNISIM_CACHE", "~/models");
  CHECK(cache_folder() == "/h/models");
  const Environment empty("UNISIM_CACHE", "");
  CHECK(cache_folder() == "/x/unisim");
  const Environment relative("XDG_CACHE_HOME", "x");  // the specification has it ignored
  CHECK(cache_folder() == "/h/.cache/unisim");
}
