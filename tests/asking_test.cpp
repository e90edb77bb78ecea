#include "asking.h"
#include "support.h"

// The string rules of UniSim-Bench's generative protocol, quirks and all, and judgements as rows of a store.
namespace {

using unisim::Question;

struct Said {
  const char* answer;
  std::size_t place;
  bool names_one;
};

void check(Question question, std::initializer_list<Said> cases) {
  for (const auto& [answer, place, names_one] : cases) {
    CAPTURE(unisim::name_of(question), answer);
    CHECK(unisim::place_said(question, answer) == place);
    CHECK(unisim::says_a_place(question, answer) == names_one);
  }
}

}  // namespace

TEST_CASE("behind a reference, image 2 is the first candidate") {
  check(Question::Img2afc, {{"A", 0, true},
                            {"(B)", 1, true},
                            {"Image 2", 0, true},
                            {"Image 3", 1, true},
                            {"the left one", 0, true},
                            {"the right one", 1, true},
                            {"Answer: B", 1, true},              // behind the first colon: " B"
                            {"Answer: B: A", 0, true},           // that is behind the first alone
                            {"B. Not A", 1, true},               // cut at the first full stop
                            {"I see. A", 1, false},              // so that nothing is left to read
                            {"A: the second", 1, false},
                            {"Both Are alike", 0, true},         // an A anywhere
                            {"neither", 1, false},
                            {"", 1, false}});
}

TEST_CASE("two images or captions are 1 and 2") {
  for (const Question question : {Question::It2afc, Question::Text2afc, Question::Iqa, Question::Paa})
    check(question, {{"A", 0, true},
                     {"B", 1, true},
                     {"Image 1", 0, true},
                     {"Caption 2", 1, true},
                     {"left", 0, true},
                     {"right", 1, true},
                     {"Answer: B", 0, true},  // the A of "Answer"; nothing is cut here
                     {"I see. A", 0, true},
                     {"sorry", 1, false},
                     {"", 1, false}});
}

TEST_CASE("whatever names neither the first nor the second of three is the third") {
  check(Question::Ooo, {{"A", 0, true},
                        {"Image 1", 0, true},
                        {"B", 1, true},
                        {"2", 1, true},
                        {"C", 2, true},
                        {"3", 2, true},
                        {"Answer: B", 1, true},  // "Answer: " is dropped
                        {"Answer:B", 0, true},   // this is not
                        {"AAnswer: nswer: C", 0, true},  // once through the text, not again
                        {"C. Not A", 2, true},
                        {"left", 2, false},
                        {"", 2, false}});
}

TEST_CASE("a judgement comes back from its row, and no other row is one") {
  unisim::Judgement judgement{.scores = {0.25F, 0.75F}, .coverage = 0.5F, .bias = -0.125F, .replies = {"", "B\xff\n"}};
  for (const auto unparsable : {std::optional<int64_t>(), std::optional<int64_t>(1)}) {
    judgement.unparsable = unparsable;
    std::vector<float> row = unisim::row_of(judgement);
    const auto back = unisim::judgement_of(row);
    REQUIRE(back);
    CHECK(back->scores == judgement.scores);
    CHECK(back->coverage == judgement.coverage);
    CHECK(back->bias == judgement.bias);
    CHECK(back->replies == judgement.replies);
    CHECK(back->unparsable == unparsable);
    row.push_back(0);
    CHECK(!unisim::judgement_of(row));
    row.pop_back();
    while (!row.empty()) {
      row.pop_back();
      CHECK(!unisim::judgement_of(row));
    }
  }
}
