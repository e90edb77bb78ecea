#pragma once

#include <unisim/export.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// MMVP and MMVP-VLM (Tong et al., "Eyes Wide Shut?", arXiv 2401.06209): what their rules make of answers and
/// of similarities already collected. Nothing here needs LibTorch. Files: as in score.h.
namespace unisim {

struct MmvpPattern {
  std::string pattern;
  int64_t questions = 0, right = 0;
  double accuracy = 0;
};
struct MmvpScore {
  bool by_verdict = false;  ///< answers were judged yes or no; else their options were read
  bool corrected = false;
  int64_t questions = 0, right = 0, pairs = 0, right_pairs = 0;
  double question_accuracy = 0;       ///< in [0, 1]; chance 1/2
  double pair_accuracy = 0;           ///< both right, in [0, 1]; chance 1/4: what the paper prints
  int64_t unparsable = 0;             ///< wrong, and neither option or neither yes nor no
  std::vector<MmvpPattern> patterns;  ///< in the order in which they appear, of questions
};
struct MmvpOptions {
  bool corrected = false;               ///< labels of 99, 100, 279 and 280, reported as swapped, exchanged
  std::filesystem::path patterns = {};  ///< CSV Index,Pattern, where Questions.csv has no column Pattern
};

/// MMVP (Tong et al., arXiv 2401.06209). `questions`: CSV Index,Question,Options,Correct Answer; rows 2k - 1
/// and 2k are a pair. `answers`: JSON Lines, one a question, with question_id, from 1, and either "verdict",
/// a judge's word on it, right if it is yes in any case and nothing more; or "response", whose option
/// mmvp_option() reads.
UNISIM_API MmvpScore score_mmvp(const std::filesystem::path& answers, const std::filesystem::path& questions,
                                const MmvpOptions& options = {});

/// 0 or 1: which of the options "(a) Open (b) Closed" a response names. In any case, blanks and a full stop
/// around it taken off, the first that holds: it begins with a letter alone, or one followed by ")", ".", ":"
/// or ",", "(" before it or not; it has just one of "(a)" and "(b)"; it is the words of one option. (1) and
/// (2) stand for letters too.
UNISIM_API std::optional<int> mmvp_option(std::string_view response, std::string_view options);

/// Similarities of two images and two statements.
struct StatementPair {
  std::string pattern;
  double i1t1, i2t1, i1t2, i2t2;
};
struct MmvpVlmPattern {
  std::string pattern;
  int64_t pairs = 0, right = 0;
  double accuracy = 0;  ///< 100 right / pairs
};
struct MmvpVlmScore {
  int64_t pairs = 0, right = 0;
  double average = 0;          ///< 100 right / pairs; chance 25
  double text = 0, group = 0;  ///< Winoground's other two, in percent: each image its text; both
  std::vector<MmvpVlmPattern> patterns;
};
/// MMVP-VLM: a pair is right if i1t1 > i2t1 and i2t2 >= i1t2, each statement its own image, a tie the second.
/// The others are strict. std::invalid_argument: no pairs, a number that is not finite.
UNISIM_API MmvpVlmScore score_mmvp_vlm(std::span<const StatementPair> pairs);
/// CSV pair,pattern,i1t1,i2t1,i1t2,i2t2, pairs counted from 1. Without the column pattern the 135 pairs of
/// the benchmark, 15 a pattern in its order.
UNISIM_API MmvpVlmScore score_mmvp_vlm(const std::filesystem::path& file);

}  // namespace unisim
