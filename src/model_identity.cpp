#include "model_identity.h"

#include <algorithm>
#include <array>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "sha256.h"

namespace unisim {

std::string folder_identity(const std::filesystem::path& folder) {
  constexpr std::array<std::string_view, 5> endings = {".safetensors", ".json", ".jinja", ".txt", ".model"};
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    if (entry.is_regular_file() && std::ranges::find(endings, entry.path().extension().string()) != endings.end())
      files.push_back(entry.path());
  std::ranges::sort(files);
  std::string identity;
  for (const auto& file : files) identity += file.filename().string() + " " + sha256_of_file(file) + "\n";
  return identity;
}

std::string encoder_identity(const Encoder& encoder) {
  std::string identity = folder_identity(encoder.folder());
  for (const auto& [name, value] : encoder.facts()) {
    if (name == "device" || name == "executor") continue;
    if (name != "tokenizer")
      identity += name + "=" + value + "\n";
    else if (std::filesystem::is_regular_file(value))
      identity += "tokenizer " + sha256_of_file(value) + "\n";
  }
  return identity + "executor " + encoder.executor() + "\ndtype " + name_of(encoder.dtype()) + "\ndevice " +
         (encoder.device().is_cpu() ? "cpu" : "cuda") + "\n";
}

std::function<std::string()> said_once(std::function<std::string()> identity) {
  struct Once {
    std::once_flag flag;
    std::string said;
  };
  return [once = std::make_shared<Once>(), identity = std::move(identity)] {
    std::call_once(once->flag, [&] { once->said = identity(); });
    return once->said;
  };
}

}  // namespace unisim
