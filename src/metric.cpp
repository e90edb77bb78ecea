#include <ATen/ops/empty.h>
#include <unisim/error.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>
#include <unordered_map>

#include "asking.h"
#include "metric_state.h"
#include "structural.h"

namespace unisim {
namespace {

std::string_view bytes_of(const Item& item) {
  if (const Text* text = std::get_if<Text>(&item)) return text->text;
  const auto& pixels = std::get<Image>(item).pixels;
  return {reinterpret_cast<const char*>(pixels.data()), pixels.size()};
}

/// Every item once, however often and in however many copies it is asked for.
class DistinctItems {
 public:
  std::size_t index_of(const Item& item) {
    const auto [first, last] = by_hash_.equal_range(std::hash<std::string_view>{}(bytes_of(item)));
    for (auto found = first; found != last; ++found)
      if (same(*items_[found->second], item)) return found->second;
    by_hash_.emplace(std::hash<std::string_view>{}(bytes_of(item)), items_.size());
    items_.push_back(&item);
    return items_.size() - 1;
  }
  std::span<const Item* const> items() const { return items_; }

 private:
  std::vector<const Item*> items_;
  std::unordered_multimap<std::size_t, std::size_t> by_hash_;
};

/// What a message calls the two items of pair k.
using PairName = std::function<std::string(std::size_t k)>;

void require_readable(const Metric::State& metric, const Item& item) {
  if (const Text* text = std::get_if<Text>(&item))
    require(metric.no_text.empty(), "[", metric.name, "] cannot read the text \"", text->text,
            "\": ", metric.no_text);
  else
    require_whole(metric.name, std::get<Image>(item));
}

using ItemRefs = std::pair<const Item*, const Item*>;

std::vector<double> scores_of(const Metric::State& metric, std::span<const ItemRefs> asked,
                              const PairName& name, const Progress& progress = {}) {
  DistinctItems distinct;
  std::vector<ItemPair> pairs;
  pairs.reserve(asked.size());
  for (const auto& [x, y] : asked) {
    const std::size_t i = distinct.index_of(*x);
    pairs.push_back({i, distinct.index_of(*y)});
  }
  for (const Item* item : distinct.items()) require_readable(metric, *item);
  if (pairs.empty()) return {};
  std::vector<double> scores = metric.score(distinct.items(), pairs, progress);
  for (std::size_t k = 0; k < scores.size(); ++k)
    if (std::isnan(scores[k]))
      throw std::runtime_error(text_of("[", metric.name, "] the score of ", name(k), " is not a number"));
  return scores;
}

/// How alike, whatever the sign of the metric.
double likeness(const Metric::State& metric, double score) {
  return metric.higher_is_better ? score : -score;
}

Ranking ranking_of(const Metric::State& metric, std::vector<double> scores) {
  Ranking ranking{.order = std::vector<int64_t>(scores.size()), .scores = std::move(scores)};
  std::iota(ranking.order.begin(), ranking.order.end(), 0);
  const auto like = [&](int64_t k) { return likeness(metric, ranking.scores[static_cast<std::size_t>(k)]); };
  std::ranges::stable_sort(ranking.order, std::ranges::greater{}, like);
  ranking.tied =
      std::ranges::adjacent_find(ranking.order, std::ranges::equal_to{}, like) != ranking.order.end();
  return ranking;
}

}  // namespace

bool same(const Item& a, const Item& b) {
  if (&a == &b) return true;
  if (a.index() != b.index() || bytes_of(a) != bytes_of(b)) return false;
  const Image* x = std::get_if<Image>(&a);
  return !x || x->width == std::get<Image>(b).width;
}

std::string Metric::name() const { return state_->name; }
bool Metric::higher_is_better() const { return state_->higher_is_better; }

MetricModel Metric::model() const {
  MetricModel model = state_->model;
  if (model.parameters > 0) model.sha256 = state_->identity();
  return model;
}

double Metric::operator()(const Item& x, const Item& y) const {
  const ItemRefs pair{&x, &y};
  return scores_of(*state_, {&pair, 1}, [](std::size_t) { return "the two items"; })[0];
}

Tensor Metric::operator()(std::span<const Item> x, std::span<const Item> y, const Progress& progress) const {
  require(x.size() == y.size(), "[", name(), "] lists differ in length: ", x.size(), " and ", y.size());
  std::vector<ItemRefs> asked;
  for (std::size_t k = 0; k < x.size(); ++k) asked.emplace_back(&x[k], &y[k]);
  const auto name_of_pair = [](std::size_t k) { return text_of("x[", k, "] and y[", k, "]"); };
  const std::vector<double> scores = scores_of(*state_, asked, name_of_pair, progress);
  const Tensor out = at::empty({static_cast<int64_t>(scores.size())}, at::kDouble);
  std::ranges::copy(scores, out.data_ptr<double>());
  return out;
}

Ranking Metric::rank(const Item& reference, std::span<const Item> candidates,
                     const Progress& progress) const {
  require(!candidates.empty(), "[", name(), "] rank needs candidates, found none");
  if (state_->judge) return ranking_of(*state_, shares_of(*state_, reference, candidates, progress));
  std::vector<ItemRefs> asked;
  for (const Item& candidate : candidates) asked.emplace_back(&reference, &candidate);
  const auto name_of_pair = [](std::size_t k) { return text_of("the reference and candidate ", k); };
  return ranking_of(*state_, scores_of(*state_, asked, name_of_pair, progress));
}

int64_t Metric::odd_one_out(std::span<const Item> items) const {
  const std::size_t n = items.size();
  require(n >= 3, "[", name(), "] odd_one_out needs at least 3 items, found ", n);
  if (state_->judge) return odd_by_asking(*state_, items);
  std::vector<ItemRefs> asked;
  std::vector<ItemPair> at;
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = i + 1; j < n; ++j) {
      asked.emplace_back(&items[i], &items[j]);
      at.push_back({i, j});
    }
  const auto name_of_pair = [&](std::size_t k) { return text_of("items ", at[k].x, " and ", at[k].y); };
  const std::vector<double> scores = scores_of(*state_, asked, name_of_pair);
  // Of three, the sums of two are not compared: one may be infinite (psnr), and rounding must not decide.
  if (n == 3) {
    const double outside[] = {likeness(*state_, scores[2]), likeness(*state_, scores[1]),
                              likeness(*state_, scores[0])};
    return std::ranges::max_element(outside) - outside;
  }
  std::vector<double> sums(n);
  for (std::size_t k = 0; k < at.size(); ++k) {
    sums[at[k].x] += likeness(*state_, scores[k]);
    sums[at[k].y] += likeness(*state_, scores[k]);
  }
  return std::ranges::min_element(sums) - sums.begin();
}

std::vector<double> Metric::attribute(std::span<const Image> images, const std::string& attribute,
                                      const std::string& mode) const {
  require(state_->judge || state_->attribute, "[", name(), "] cannot rate ", attribute, ": ",
          state_->no_text.empty() ? "it rates pairs alone" : state_->no_text);
  for (const Image& image : images) require_whole(name(), image);
  if (state_->judge) return attribute_by_asking(*state_, images, attribute);
  std::vector<double> rated = state_->attribute(images, attribute, mode);
  for (std::size_t k = 0; k < rated.size(); ++k)
    if (std::isnan(rated[k]))
      throw std::runtime_error(
          text_of("[", name(), "] the ", attribute, " of image ", k, " is not a number"));
  return rated;
}

}  // namespace unisim
