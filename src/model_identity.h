#pragma once

#include <unisim/encoder.h>

#include <filesystem>
#include <functional>
#include <string>

namespace unisim {

/// What decides the results of a model folder: a line for each of its weights and settings (*.safetensors, *.json, *.jinja,
/// *.txt, *.model), sorted by name, with its SHA-256. Reads every one of them.
std::string folder_identity(const std::filesystem::path& folder);

/// The same of an encoder, with what was read besides its folder (a tokenizer from elsewhere, by its contents) and how it
/// computes. Where things lie does not count.
std::string encoder_identity(const Encoder& encoder);

/// `identity`, asked once: a model once loaded is not looked for in its files again.
std::function<std::string()> said_once(std::function<std::string()> identity);

}  // namespace unisim
