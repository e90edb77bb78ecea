#include <unisim/error.h>

#include <algorithm>
#include <memory>

#include "metric_state.h"
#include "model_identity.h"
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

/// Items as they are embedded: texts behind the prefix.
class Prefixed {
 public:
  explicit Prefixed(std::span<const Item* const> items) : items_(items.begin(), items.end()) {
    texts_.reserve(items_.size());
    for (const Item*& item : items_)
      if (const Text* text = std::get_if<Text>(item))
        item = &texts_.emplace_back(Text{std::string(prefix) + text->text});
  }
  Prefixed(const Prefixed&) = delete;
  Prefixed& operator=(const Prefixed&) = delete;
  std::span<const Item* const> items() const { return items_; }

 private:
  std::vector<Item> texts_;
  std::vector<const Item*> items_;
};

// The order of the arguments of max lets a NaN through, which is refused where all metrics' are.
double score_of_cosine(double cosine) { return weight * std::max(cosine, 0.0); }

double score_of_rows(std::span<const float> x, std::span<const float> y) { return score_of_cosine(cosine_of(x, y)); }

}  // namespace

Metric::State clipscore_state(const std::string& model, const Encoder& encoder) {
  const auto cosine = std::make_shared<const Metric::State>(encoder_state(model, encoder, {}));
  require(cosine->no_text.empty(), "[metric] clipscore:", model, ": ", cosine->no_text);
  const std::string name = "clipscore:" + model;
  Metric::State state{.name = name, .no_images = "it rates an image with a text"};
  state.score = [cosine, name](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                               const Progress& progress) {
    for (const auto& [x, y] : pairs) require_image_and_text(name, *items[x], *items[y]);
    std::vector<double> scores = cosine->score(Prefixed(items).items(), pairs, progress);
    std::ranges::transform(scores, scores.begin(), score_of_cosine);
    return scores;
  };
  state.rows = [cosine](std::span<const Item* const> items) { return cosine->rows(Prefixed(items).items()); };
  state.score_of_rows = score_of_rows;
  state.identity = said_once([cosine] {
    return sha256(text_of("clipscore\nweight ", weight, "\nprefix ", prefix, '\n', cosine->identity()));
  });
  state.model = cosine->model;
  return state;
}

}  // namespace unisim
