#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config.h"

namespace unisim {

/// What a person wants to know of a model: how pictures are prepared, what the towers compute.
std::vector<std::pair<std::string, std::string>> facts_of(const ModelConfig& config);

}  // namespace unisim
