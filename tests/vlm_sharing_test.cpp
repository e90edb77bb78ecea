// How prompts of a run share what they begin with, by numbers alone.

#include "vlm_sharing.h"

#include <algorithm>
#include <random>
#include <string>

#include "support.h"

using namespace unisim;

namespace {

int64_t common(const std::string& a, const std::string& b) {
  return std::ranges::mismatch(a, b).in1 - a.begin();
}

std::vector<PromptRows> rows_of(const std::vector<std::string>& prompts, int64_t answers = 0) {
  std::vector<PromptRows> all;
  for (std::size_t k = 0; k < prompts.size(); ++k) {
    all.push_back({.rows = std::ssize(prompts[k]), .answers = answers});
    if (k + 1 < prompts.size())
      all.back().common = std::min({common(prompts[k], prompts[k + 1]), std::ssize(prompts[k]) - 1,
                                    std::ssize(prompts[k + 1]) - 1});
  }
  return all;
}

std::string text(int64_t length, unsigned seed) {
  std::mt19937 draw(seed);
  std::string made;
  for (int64_t k = 0; k < length; ++k) made += static_cast<char>('a' + draw() % 20);
  return made;
}

/// Goes through a plan as a run does: each prompt is there once and in order, and has its rows from stretches that are
/// its own. Gives the rows that are computed.
int64_t walked(const std::vector<std::string>& prompts, const std::vector<SharedRows>& plan, int64_t from,
               std::size_t& next) {
  int64_t rows = 0;
  for (const SharedRows& part : plan) {
    CHECK(part.first == next);
    CHECK(part.rows > from);
    rows += part.rows - from;
    if (part.parts.empty()) {
      CHECK(part.rows == std::ssize(prompts[next]));
      ++next;
      continue;
    }
    CHECK(part.rows - from >= kLeastShared);
    for (std::size_t k = part.first; k < part.first + part.count; ++k) {
      CHECK(prompts[k].compare(0, part.rows, prompts[part.first], 0, part.rows) == 0);
      CHECK(part.rows < std::ssize(prompts[k]));
    }
    rows += walked(prompts, part.parts, part.rows, next);
    CHECK(next == part.first + part.count);
  }
  return rows;
}

int64_t computed(const std::vector<std::string>& prompts) {
  const std::vector<PromptRows> rows = rows_of(prompts);
  const std::vector<SharedRows> plan = plan_sharing(rows);
  std::size_t next = 0;
  const int64_t found = walked(prompts, plan, 0, next);
  CHECK(next == prompts.size());
  CHECK(rows_computed(rows, plan) == found);
  return found;
}

}  // namespace

TEST_CASE("questions that begin alike share their beginning once", "[vlm_sharing]") {
  const std::string pictures = text(400, 1);
  std::vector<std::string> prompts;
  for (unsigned k = 0; k < 10; ++k) prompts.push_back(pictures + static_cast<char>('A' + k) + text(19, k));
  CHECK(computed(prompts) == 400 + 10 * 20);
  CHECK(computed({prompts[0]}) == 420);
  CHECK(computed({prompts[0], prompts[0], prompts[0]}) == 419 + 3);
  CHECK(plan_sharing({}).empty());
}

TEST_CASE("what begins like the others and is short does not undo their sharing", "[vlm_sharing]") {
  const std::string opening = text(40, 1), pictures = opening + text(400, 2);
  std::vector<std::string> prompts = {opening + "!"};
  for (unsigned k = 0; k < 10; ++k) prompts.push_back(pictures + static_cast<char>('A' + k));
  CHECK(computed(prompts) == 41 + 440 + 10);
  std::ranges::rotate(prompts, prompts.begin() + 4);
  CHECK(computed(prompts) == 440 + 7 + 41 + 440 + 3);
}

TEST_CASE("what pairs share stands behind what all of them share", "[vlm_sharing]") {
  const std::string turns = text(600, 1);
  std::vector<std::string> prompts;
  for (unsigned pair = 0; pair < 5; ++pair)
    for (const char* order : {"X", "Y"}) prompts.push_back(turns + static_cast<char>('A' + pair) + text(99, pair) + order);
  CHECK(computed(prompts) == 600 + 5 * (100 + 2));
}

TEST_CASE("what is hardly alike is computed alone", "[vlm_sharing]") {
  const std::string opening = text(kLeastShared, 1);
  CHECK(computed({opening + "A", opening + "B"}) == kLeastShared + 2);
  CHECK(computed({opening.substr(1) + "A", opening.substr(1) + "B"}) == 2 * kLeastShared);
  CHECK(computed({"abc", "abd", "xyz"}) == 9);
}

TEST_CASE("any prompts are planned whole", "[vlm_sharing]") {
  std::mt19937 draw(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::string> prompts = {text(1 + draw() % 200, draw())};
    int64_t all = std::ssize(prompts[0]);
    while (draw() % 30 != 0) {  // the next begins like one before it, somewhat
      std::string next = prompts[draw() % prompts.size()];
      next.resize(draw() % (next.size() + 1));
      prompts.push_back(next + text(1 + draw() % 200, draw()));
      all += std::ssize(prompts.back());
    }
    if (draw() % 2 == 0) std::ranges::sort(prompts);
    CHECK(computed(prompts) <= all);
  }
}

TEST_CASE("a run has no more rows than it may, those of the choices counted", "[vlm_sharing]") {
  const std::string pictures = text(400, 1);
  std::vector<std::string> prompts;
  for (unsigned k = 0; k < 60; ++k) prompts.push_back(pictures + static_cast<char>('A' + k) + text(19, k));
  const std::vector<PromptRows> rows = rows_of(prompts, 5);
  CHECK(prompts_of_run(rows, 1000) == 600 / 25);
  CHECK(prompts_of_run(rows, 1) == 1);
  CHECK(prompts_of_run(rows, 10'000) == 60);
  std::mt19937 draw(9);
  std::ranges::shuffle(prompts, draw);
  prompts.push_back("!");
  std::vector<std::string> mixed;
  for (const std::string& prompt : prompts) mixed.insert(mixed.end(), {prompt, text(50, draw())});
  const std::vector<PromptRows> apart = rows_of(mixed);
  const std::size_t count = prompts_of_run(apart, 2000);
  const auto some = std::span(apart).first(count), more = std::span(apart).first(count + 1);
  CHECK(rows_computed(some, plan_sharing(some)) <= 2000);
  CHECK(rows_computed(more, plan_sharing(more)) > 2000);
}
