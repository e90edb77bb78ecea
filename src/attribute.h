#pragma once

#include <string>
#include <string_view>

/// What an image-text encoder is asked about an attribute of a picture.
namespace unisim {

/// The prompts of UniSim-Bench (arXiv 2412.10594), letter by letter, full stops and their absence included.
struct AttributePrompts {
  std::string_view attribute;
  std::string_view naive;
  std::string_view more, less;  ///< of mode "clip-iqa"
};

/// Throws std::invalid_argument listing the known attributes.
const AttributePrompts& attribute_prompts(const std::string& attribute);

}  // namespace unisim
