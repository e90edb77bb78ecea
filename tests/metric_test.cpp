#include <unisim/error.h>

#include "metric_name.h"
#include "metric_state.h"
#include "support.h"

using namespace unisim;

namespace {

/// One pixel of one grey level: an item that a test can tell by a number.
Item dot(uint8_t level) { return Image{1, 1, {level, level, level}}; }

double level_of(const Item& item) { return std::get<Image>(item).pixels[0]; }

std::vector<Item> dots(std::initializer_list<int> levels) {
  std::vector<Item> items;
  for (const int level : levels) items.push_back(dot(static_cast<uint8_t>(level)));
  return items;
}

/// A distance of grey levels, or (higher_is_better) a similarity.
Metric by_level(bool higher_is_better) {
  Metric::State state{.name = "levels", .higher_is_better = higher_is_better, .no_text = "it reads levels"};
  state.score = [higher_is_better](std::span<const Item* const> items, std::span<const ItemPair> pairs,
                                   const Progress&) {
    std::vector<double> scores;
    for (const auto& [x, y] : pairs) {
      const double distance = std::abs(level_of(*items[x]) - level_of(*items[y]));
      scores.push_back(higher_is_better ? 100 - distance : distance);
    }
    return scores;
  };
  return Metric(std::make_shared<const Metric::State>(state));
}

template <class F>
std::string refusal(F&& f) {
  try {
    f();
  } catch (const std::invalid_argument& error) {
    return error.what();
  } catch (const DataError& error) {
    return error.what();
  }
  return "nothing was refused";
}

using Catch::Contains;

}  // namespace

TEST_CASE("rank puts the most similar first, whatever the sign", "[metric]") {
  const bool higher = GENERATE(false, true);
  const Metric metric = by_level(higher);
  const Ranking ranking = metric.rank(dot(50), dots({90, 52, 20, 49}));
  CHECK(ranking.order == std::vector<int64_t>{3, 1, 2, 0});
  CHECK(ranking.scores == (higher ? std::vector<double>{60, 98, 70, 99} : std::vector<double>{40, 2, 30, 1}));
  CHECK_FALSE(ranking.tied);
}

TEST_CASE("equal scores keep the order given and are marked", "[metric]") {
  const bool higher = GENERATE(false, true);
  const Ranking ranking = by_level(higher).rank(dot(50), dots({60, 40, 50, 40, 60}));
  CHECK(ranking.order == std::vector<int64_t>{2, 0, 1, 3, 4});
  CHECK(ranking.tied);
}

TEST_CASE("of three the odd one is outside the most similar pair; a tie is the lowest index", "[metric]") {
  const bool higher = GENERATE(false, true);
  const Metric metric = by_level(higher);
  CHECK(metric.odd_one_out(dots({10, 12, 90})) == 2);
  CHECK(metric.odd_one_out(dots({10, 90, 12})) == 1);
  CHECK(metric.odd_one_out(dots({90, 10, 12})) == 0);
  CHECK(metric.odd_one_out(dots({10, 20, 30})) == 0);  // pairs (1, 2) and (0, 1) are equally similar
}

TEST_CASE("of more than three the odd one has the lowest mean similarity", "[metric]") {
  const bool higher = GENERATE(false, true);
  const Metric metric = by_level(higher);
  CHECK(metric.odd_one_out(dots({10, 12, 60, 14, 9})) == 2);
  CHECK(metric.odd_one_out(dots({10, 20, 10, 20})) == 0);
}

TEST_CASE("infinite similarities decide the odd one too", "[metric]") {
  const Metric metric = unisim::Metric(std::make_shared<const Metric::State>(psnr_state()));
  CHECK(metric.odd_one_out(dots({7, 80, 7})) == 1);
  CHECK(metric.odd_one_out(dots({7, 7, 80, 7})) == 2);
}

TEST_CASE("equal items are computed on once, in the order in which pairs ask for them", "[metric]") {
  std::vector<double> seen;
  std::vector<std::pair<std::size_t, std::size_t>> asked;
  Metric::State state{.name = "seen", .no_text = "no"};
  state.score = [&](std::span<const Item* const> items, std::span<const ItemPair> pairs, const Progress&) {
    for (const Item* item : items) seen.push_back(level_of(*item));
    for (const auto& [x, y] : pairs) asked.emplace_back(x, y);
    return std::vector<double>(pairs.size());
  };
  const Metric metric(std::make_shared<const Metric::State>(state));
  metric(dots({5, 5, 6, 7}), dots({6, 7, 5, 7}));
  CHECK(seen == std::vector<double>{5, 6, 7});
  CHECK(asked == std::vector<std::pair<std::size_t, std::size_t>>{{0, 1}, {0, 2}, {1, 0}, {2, 2}});
}

TEST_CASE("images of the same bytes and another shape are different items", "[metric]") {
  std::size_t count = 0;
  Metric::State state{.name = "seen", .no_text = "no"};
  state.score = [&](std::span<const Item* const> items, std::span<const ItemPair> pairs, const Progress&) {
    count = items.size();
    return std::vector<double>(pairs.size());
  };
  const Metric metric(std::make_shared<const Metric::State>(state));
  metric(Item(Image{2, 1, {1, 2, 3, 4, 5, 6}}), Item(Image{1, 2, {1, 2, 3, 4, 5, 6}}));
  CHECK(count == 2);
}

TEST_CASE("lists give a score a pair, none for none", "[metric]") {
  const Metric metric = by_level(false);
  const Tensor scores = metric(dots({1, 2, 3}), dots({4, 4, 4}));
  CHECK(scores.scalar_type() == at::kDouble);
  REQUIRE(scores.numel() == 3);
  for (int64_t k = 0; k < 3; ++k) CHECK(scores.const_data_ptr<double>()[k] == 3.0 - k);
  CHECK(metric(std::span<const Item>{}, std::span<const Item>{}).numel() == 0);
}

TEST_CASE("what cannot be answered is refused, naming the metric", "[metric]") {
  const Metric metric = by_level(false);
  const Item text = Text{"a red cup"};
  CHECK_THAT(refusal([&] { metric(dot(1), text); }), Contains("[levels]") && Contains("\"a red cup\""));
  CHECK_THAT(refusal([&] { metric.rank(text, dots({1})); }), Contains("[levels]") && Contains("a red cup"));
  CHECK_THAT(refusal([&] { metric(dots({1, 2}), dots({1})); }), Contains("differ in length: 2 and 1"));
  CHECK_THAT(refusal([&] { metric.rank(dot(1), {}); }), Contains("needs candidates"));
  CHECK_THAT(refusal([&] { metric.odd_one_out(dots({1, 2})); }), Contains("at least 3 items, found 2"));
  const Image image = std::get<Image>(dot(1));
  CHECK_THAT(refusal([&] {
               metric.attribute({&image, 1}, "quality");
             }),
             Contains("[levels] cannot rate quality"));
  CHECK_THAT(refusal([&] { metric(Item(Image{2, 2, {1, 2, 3}}), dot(1)); }), Contains("2 x 2 has 3 bytes"));
}

TEST_CASE("a score that is not a number never leaves", "[metric]") {
  Metric::State state{.name = "broken", .no_text = "no"};
  state.score = [](std::span<const Item* const>, std::span<const ItemPair> pairs, const Progress&) {
    std::vector<double> scores(pairs.size());
    scores.back() = std::nan("");
    return scores;
  };
  const Metric metric(std::make_shared<const Metric::State>(state));
  CHECK_THROWS_WITH(metric(dots({1, 2}), dots({3, 4})),
                    "[broken] the score of x[1] and y[1] is not a number");
  CHECK_THROWS_WITH(metric.rank(dot(0), dots({1, 2, 3})),
                    "[broken] the score of the reference and candidate 2 is not a number");
  CHECK_THROWS_WITH(metric.odd_one_out(dots({1, 2, 3})),
                    "[broken] the score of items 1 and 2 is not a number");
}

TEST_CASE("options follow a metric's name and win over the others", "[metric]") {
  const MetricOptions given{.dtype = DType::BFloat16, .layer = 3};
  const MetricName name = parse_metric_name("encoder:no/such,layer=9,pool=mean,device=cuda:1", given);
  CHECK(name.kind == "encoder");
  CHECK(name.model == "no/such");
  CHECK(name.options.layer == 9);
  CHECK(name.options.pool == Pool::Mean);
  CHECK(name.options.dtype == DType::BFloat16);
  CHECK(name.options.device == Device("cuda:1"));
  CHECK(parse_metric_name("lpips-alex,dtype=float16", {}).kind == "lpips-alex");
  CHECK(parse_metric_name("lpips-vgg:a:b", {}).model == "a:b");
}

TEST_CASE("a folder may hold commas and equals signs", "[metric]") {
  const test::TemporaryFolder folder;
  const auto inside = folder.path() / "a,b,layer=9";
  std::filesystem::create_directories(inside);
  const MetricName name = parse_metric_name("encoder:" + inside.string() + ",layer=2", {});
  CHECK(name.model == inside.string());
  CHECK(name.options.layer == 2);
  CHECK(parse_metric_name("encoder:x, y", {}).model == "x, y");
}

TEST_CASE("options that are none are refused by name", "[metric]") {
  const auto [name, said] = GENERATE(table<std::string, std::string>({
      {"encoder:x,laier=9", "\"laier\" is not one of the options"},
      {"encoder:x,layer=nine", "layer=nine is not an integer"},
      {"encoder:x,layer=9 ", "layer=9  is not an integer"},
      {"encoder:x,layer=99999999999999999999", "is not an integer"},
      {"encoder:x,pool=max", "pool=max is not cls or mean"},
      {"encoder:x,device=gpu", "device=gpu is not cpu"},
      {"encoder:x,dtype=half", "half is not float32"},
      {"encoder:x,layer=1,layer=2", "layer is given twice"},
      {"encoder:", "a folder must stand behind the colon"},
      {"ssim,window=7", "\"window\" is not one of the options"},
  }));
  CHECK_THAT(refusal([&, &name = name] { parse_metric_name(name, {}); }), Contains(said));
}

TEST_CASE("metric() refuses what there is not, listing what there is", "[metric]") {
  const auto [name, said] = GENERATE(table<std::string, std::string>({
      {"", "is not one of clipscore:FOLDER, dists:FOLDER, dreamsim:FOLDER, encoder:FOLDER, gmsd, lpips-alex, lpips-vgg, ms-ssim, psnr, ssim, vlm:FOLDER"},
      {"LPIPS", "\"LPIPS\" is not one of clipscore:FOLDER"},
      {"lpips", "is not one of"},
      {"vlm", "vlm needs a model: vlm:FOLDER"},
      {"vlm:/no/such/folder", "/no/such/folder"},
      {"psnr,mode=text", "psnr is not asked"},
      {"vlm:x,swap=maybe", "swap=maybe is not yes or no"},
      {"encoder", "encoder needs a model: encoder:FOLDER"},
      {"/", "of a model folder: encoder:/"},
      {"encoder", "encoder needs a model: encoder:FOLDER"},
      {"ssim:x", "ssim takes no model, found x"},
      {"psnr,layer=1", "psnr has no layer or pool"},
      {"lpips-alex,pool=mean", "lpips-alex has no layer or pool"},
      {"ms-ssim,dtype=bfloat16", "found cpu and bfloat16"},
      {"ssim,device=cuda:0", "found cuda:0 and float32"},
      {"lpips-alex:/no/such/folder", "/no/such/folder"},
      {"lpips-alex,dtype=float16", "[lpips-alex] float16 is for CUDA"},
  }));
  CHECK_THAT(refusal([&, &name = name] { unisim::metric(name); }), Contains(said));
}

TEST_CASE("LPIPS without its weights says how to get them", "[metric]") {
  const test::TemporaryFolder empty;
  const char* before = std::getenv("UNISIM_CACHE");
  const std::string held = before ? before : "";
  setenv("UNISIM_CACHE", empty.path().c_str(), 1);
  CHECK_THAT(refusal([] { unisim::metric("lpips-vgg"); }), Contains("run: unisim get lpips-vgg"));
  before ? setenv("UNISIM_CACHE", held.c_str(), 1) : unsetenv("UNISIM_CACHE");
}

TEST_CASE("every metric is found by the name it bears", "[metric]") {
  for (const std::string name : {"ssim", "ms-ssim", "psnr"}) {
    CHECK(unisim::metric(name).name() == name);
    CHECK(unisim::metric(name).higher_is_better());
  }
}
