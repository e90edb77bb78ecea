#include <unisim/error.h>

#include <algorithm>
#include <memory>

#include "metric_state.h"
#include "sha256.h"

namespace unisim {
namespace {

// Hessel, Holtzman, Forbes, Le Bras, Choi 2021, section 3.
constexpr double weight = 2.5;
constexpr std::string_view prefix = "A photo depicts ";

void require_image_and_text(const std::string& name, const Item& x, const Item& y) {
  const Text* a = std::get_if<Text>(&x);
  const Text* b = std::get_if<Text>(&y);
  require(a || b, "[", name, "] rates an image with a text, found two images");
  if (a && b)
    throw std::invalid_argument(text_of("[", name, "] rates an image with a text, found two texts, \"",
                                        a->text, "\" and \"", b->text, '"'));
}

/// The items as they are embedded: texts behind the prefix.
std::vector<Item> with_prefix(std::span<const Item* const> items) {
  std::vector<Item> texts;
  texts.reserve(items.size());
  for (const Item* item : items)
    if (const Text* text = std::get_if<Text>(item))
      texts.emplace_back(Text{std::string(prefix) + text->text});
  return texts;
}

}  // namespace

Metric::State clipscore_state(const std::string& model, const Encoder& encoder) {
  const auto cosine = std::make_shared<const Metric::State>(encoder_state(model, encoder, {}));
  require(cosine->no_text.empty(), "[metric] clipscore:", model, ": ", cosine->no_text);
  const std::string name = "clipscore:" + model;
  Metric::State state{.name = name, .no_images = "it rates an image with a text"};
  state.score = [cosine, name](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                               const Progress& progress) {
    for (const auto& [x, y] : pairs) require_image_and_text(name, *items[x], *items[y]);
    const std::vector<Item> texts = with_prefix(items);
    std::vector<const Item*> embedded(items.begin(), items.end());
    auto text = texts.begin();
    for (const Item*& item : embedded)
      if (std::holds_alternative<Text>(*item)) item = &*text++;
    std::vector<double> scores = cosine->score(embedded, pairs, progress);
    // The order of the arguments lets a NaN through, which is refused where all metrics' are.
    for (double& score : scores) score = weight * std::max(score, 0.0);
    return scores;
  };
  state.identity = [cosine] {
    return sha256(text_of("clipscore\nweight ", weight, "\nprefix ", prefix, '\n', cosine->identity()));
  };
  return state;
}

}  // namespace unisim
