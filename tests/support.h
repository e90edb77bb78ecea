#pragma once

// The one place that knows Catch2, so that a move to version 3 is a change of one file.
#define CATCH_CONFIG_ENABLE_BENCHMARKING_OFF
#include <catch2/catch.hpp>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

namespace unisim::test {

/// Normally distributed floats, the same on every machine for one seed.
inline std::vector<float> random_floats(std::size_t count, uint64_t seed) {
  std::mt19937_64 bits(seed);
  const auto uniform = [&] { return (static_cast<double>(bits() >> 11) + 0.5) * 0x1p-53; };
  std::vector<float> values(count);
  for (float& value : values)
    value = static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(6.283185307179586 * uniform()));
  return values;
}

/// The folder of real weights, photographs and tokenizers, or empty where this machine has none: then the
/// test says aloud that it is skipped. UNISIM_TEST_DATA, else ../shared/data beside the source tree.
inline std::filesystem::path test_data(const std::string& what) {
  const char* given = std::getenv("UNISIM_TEST_DATA");
  const std::filesystem::path root = given ? given : UNISIM_SOURCE_DIR "/../shared/data";
  if (std::filesystem::exists(root / what)) return root / what;
  WARN("skipped: no test data " << what << " (set UNISIM_TEST_DATA)");
  return {};
}

/// A folder of this process's own, removed at the end of the scope.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    static std::mt19937_64 names(std::random_device{}());
    path_ = std::filesystem::temp_directory_path() / ("unisim-test-" + std::to_string(names()));
    std::filesystem::create_directories(path_);
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace unisim::test
