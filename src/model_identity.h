#pragma once

#include <filesystem>
#include <string>

namespace unisim {

/// What decides the results of a model folder: a line for each of its weights and settings (*.safetensors, *.json, *.txt,
/// *.model), sorted by name, with its SHA-256. Reads every one of them.
std::string folder_identity(const std::filesystem::path& folder);

}  // namespace unisim
