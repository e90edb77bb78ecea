#pragma once

#include <unisim/error.h>

#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <typeinfo>

#include "support.h"

/// What the tests of the readers share: bytes from text, and an error that must be of one kind and say one
/// thing.
namespace unisim::test {

inline std::vector<std::byte> bytes_from(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

/// Writes a file for a test. (write_file_whole waits for the disk, which a test's own file need not.)
inline void write_bytes(const std::filesystem::path& file, std::span<const std::byte> bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

inline void write_text(const std::filesystem::path& file, std::string_view text) {
  write_bytes(file, bytes_from(text));
}

/// Calls f, which must throw exactly an Error whose message holds `part`.
template <class Error, class F>
void check_throws(F&& f, const std::string& part) {
  try {
    f();
    FAIL_CHECK("nothing was thrown, expected \"" << part << '"');
  } catch (const std::exception& error) {
    INFO("thrown: " << error.what());
    CHECK(typeid(error) == typeid(Error));
    CHECK_THAT(error.what(), Catch::Contains(part));
  }
}

/// Calls f with every truncation of the bytes and with all 255 other values of each byte. It must return or
/// throw a DataError (Unsupported is one); returns how often it returned.
template <class F>
std::size_t survive_every_mutation(const std::vector<std::byte>& good, F&& f) {
  std::size_t accepted = 0;
  const auto attempt = [&](const std::vector<std::byte>& bytes, const std::string& what) {
    try {
      f(bytes);
      ++accepted;
    } catch (const DataError&) {
    } catch (const std::exception& error) {
      FAIL_CHECK(what << ": " << error.what());
    }
  };
  for (std::size_t length = 0; length < good.size(); ++length)
    attempt({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)},
            "cut at " + std::to_string(length));
  std::vector<std::byte> changed = good;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int other = 1; other < 256; ++other) {
      changed[at] = good[at] ^ static_cast<std::byte>(other);
      attempt(changed, "byte " + std::to_string(at) + " xor " + std::to_string(other));
    }
    changed[at] = good[at];
  }
  return accepted;
}

}  // namespace unisim::test
