#include "attribute.h"

#include <unisim/error.h>

#include <array>

namespace unisim {
namespace {

constexpr std::array<AttributePrompts, 5> known = {{
    {"quality", "A high-quality photo.", "Good photo.", "Bad photo."},
    {"brightness", "A bright photo.", "Bright photo.", "Dark photo."},
    {"colorfulness", "A very colorful photo.", "Colorful photo.", "Dull photo"},
    {"contrast", "A high contrast photo.", "High contrast photo.", "Low contrast photo."},
    {"sharpness", "A very sharp photo", "Sharp photo.", "Blurry photo."},
}};

}  // namespace

const AttributePrompts& attribute_prompts(const std::string& attribute) {
  std::string names;
  for (const AttributePrompts& prompts : known) {
    if (prompts.attribute == attribute) return prompts;
    names += text_of(names.empty() ? "" : ", ", prompts.attribute);
  }
  throw std::invalid_argument(text_of("[attribute] \"", attribute, "\" is not one of ", names));
}

}  // namespace unisim
