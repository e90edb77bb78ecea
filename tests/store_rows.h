#pragma once

#include <unisim/store.h>

#include "hostile.h"
#include "sha256.h"

/// What the tests of the store put into it and find again.
namespace unisim::test {

inline const std::string model = sha256("a model");

inline std::string content(int k) { return sha256("content " + std::to_string(k)); }

/// What is stored for k: which it is can be told from its numbers.
inline std::vector<float> row(int k, std::size_t width = 8) {
  return random_floats(width, static_cast<uint64_t>(k) + 1);
}

inline void fill(Store& store, int first, int last) {
  for (int k = first; k < last; ++k) store.put(model, content(k), row(k));
  store.commit();
}

/// How many of the rows are found; each must be right.
inline int found(const Store& store, int first, int last) {
  int count = 0;
  for (int k = first; k < last; ++k)
    if (const auto there = store.find(model, content(k))) {
      ++count;
      CHECK(*there == row(k));
    }
  return count;
}

inline std::vector<std::filesystem::path> shards_of(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.path().extension() == ".f32") files.push_back(entry.path());
  return files;
}

inline std::vector<std::byte> bytes_of(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  return bytes_from(text);
}

}  // namespace unisim::test
