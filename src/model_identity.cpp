#include "model_identity.h"

#include <algorithm>
#include <array>
#include <vector>

#include "sha256.h"

namespace unisim {

std::string folder_identity(const std::filesystem::path& folder) {
  constexpr std::array<std::string_view, 4> endings = {".safetensors", ".json", ".txt", ".model"};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file() && std::ranges::find(endings, entry.path().extension().string()) != endings.end())
      files.push_back(entry.path());
  std::ranges::sort(files);
  std::string identity;
  for (const auto& file : files) identity += file.filename().string() + " " + sha256_of_file(file) + "\n";
  return identity;
}

}  // namespace unisim
