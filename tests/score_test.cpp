#include <unisim/score.h>

#include "hostile.h"

using namespace unisim;
using unisim::test::TemporaryFolder;
using unisim::test::write_text;

// What the scores are is held to their definitions in python/tests/test_score_*.py; here, what any bytes may
// do.

namespace {

/// Puts every truncation of `good`, and every byte of it changed to some that mean something, where `file`
/// is, and scores it: a DataError, or what is accepted holds. (All other bytes would be 20 000 files a test.)
template <class Score>
void survive(const std::filesystem::path& file, const std::string& good, Score&& score) {
  write_text(file, good);
  REQUIRE(score());
  const auto attempt = [&](const std::string& text) {
    write_text(file, text);
    bool holds = true;
    try {
      holds = score();
    } catch (const DataError&) {
    }
    INFO(text);
    CHECK(holds);
  };
  for (std::size_t length = 0; length < good.size(); ++length) attempt(good.substr(0, length));
  for (std::size_t at = 0; at < good.size(); ++at)
    for (const char other : std::string_view("\0\xFF\"\n\r\t,-9{", 10)) {
      std::string text = good;
      text[at] = other;
      attempt(text);
    }
  write_text(file, good);
}

}  // namespace

TEST_CASE("any bytes of answers to MME are scored or a DataError", "[score]") {
  const TemporaryFolder folder;
  survive(folder.path() / "OCR.txt", "a\tq\tYes\t\xC4\xB0yes,\r\na\tr\tNo\tno.\n",
          [&] { return score_mme(folder.path(), YesNoParser::VlmEvalKit).subtasks[0].questions == 2; });
}

TEST_CASE("any bytes of answers and questions of MMVP are scored or a DataError", "[score]") {
  const TemporaryFolder folder;
  const auto questions = folder.path() / "Questions.csv", answers = folder.path() / "answers.jsonl";
  const std::string table =
      "Index,Question,Options,Correct Answer\n1,q,(a) x (b) y,(a)\n2,q,(a) x (b) y,(b)\n";
  write_text(questions, table);
  survive(answers, "{\"question_id\":1,\"response\":\"(A)\"}\n{\"question_id\":2,\"response\":\"y.\"}",
          [&] { return score_mmvp(answers, questions).pairs == 1; });
  write_text(answers, "{\"question_id\":1,\"response\":\"(A)\"}\n{\"question_id\":2,\"response\":\"y.\"}");
  survive(questions, table, [&] { return score_mmvp(answers, questions).pairs == 1; });
}

TEST_CASE("any bytes of similarities are scored or a DataError", "[score]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "s.csv";
  survive(file, "pair,pattern,i1t1,i2t1,i1t2,i2t2\n1,Text,0.5,-1,1e-3,2\n",
          [&] { return score_mmvp_vlm(file).pairs == 1; });
}

TEST_CASE("any bytes of scores and replies of MMIE are scored or a DataError", "[score]") {
  const TemporaryFolder folder;
  const auto json = folder.path() / "s.json", csv = folder.path() / "s.csv";
  survive(json, R"([{"id":"SA1","reply":"### Score\n4.5"},{"id":"PBL","score":3,"field":"x"}])",
          [&] { return score_mmie(json).all.kept <= 2; });
  survive(csv, "id,criterion,score\nMSR1,text,4\nMSR1,,\n", [&] { return score_mmie(csv).all.kept <= 2; });
}

TEST_CASE("any bytes of answers to POPE are scored or a DataError", "[score]") {
  const TemporaryFolder folder;
  const auto file = folder.path() / "a.jsonl";
  survive(file, "{\"answer\":\"No, it is.\",\"label\":\"no\"}\n",
          [&] { return score_pope(file).questions == 1; });
}
