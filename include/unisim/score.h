#pragma once

#include <unisim/export.h>
#include <unisim/score_mmie.h>
#include <unisim/score_mmvp.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What the rules of published benchmarks make of answers already collected: MME and POPE here, MMVP and MMIE
/// in headers of their own. Nothing here needs LibTorch.
///
/// A file that is not as its layout has it is a DataError naming file and line; none is repaired. What a
/// parser cannot read counts as wrong and is counted.
namespace unisim {

enum class YesNo { Yes, No, Other };

/// How a reply becomes yes or no. In lower case:
/// - Official (MME, calculation.py): "yes" or "no" alone; else, in its first four characters, "yes" if it is
/// there,
///   then "no". Nothing is stripped, so "know" is no and "eyes" is yes.
/// - Lmms (lmms-eval): blanks around it and all full stops taken off, "y" and "n" alone; else as the
/// official.
/// - VlmEvalKit: of its words, punctuation taken off as VQA does, exactly one of "yes" and "no".
enum class YesNoParser { Official, Lmms, VlmEvalKit };
UNISIM_API YesNo parse_yes_no(std::string_view reply, YesNoParser parser = YesNoParser::Official);
/// "official", "lmms" or "vlmevalkit".
UNISIM_API YesNoParser yes_no_parser(const std::string& name);

/// Yes is positive. Precision and recall are of the replies that could be read, 0 where nothing is to divide
/// by.
struct MmeSubtask {
  std::string name;
  bool perception = true;  ///< else cognition
  int64_t images = 0, questions = 0;
  int64_t full_images = 0;       ///< of the whole benchmark
  double acc = 0, acc_plus = 0;  ///< share of questions; of images with both right
  double score = 0;              ///< 100 acc + 100 acc_plus, in [0, 200]; "yes" throughout: 50
  int64_t tp = 0, fn = 0, tn = 0, fp = 0, other = 0;  ///< other: replies that are neither, wrong
  double precision = 0, recall = 0;
};

struct MmeScore {
  std::vector<MmeSubtask> subtasks;  ///< in the benchmark's order
  std::vector<std::string> missing;  ///< subtasks without a file: in no total
  double perception = 0, cognition = 0;
};

/// MME (Fu et al., arXiv 2306.13394): a folder of SUBTASK.txt, each line image, question, ground truth (Yes
/// or No) and response between tabs, the two lines of an image adjacent. DataError where none of
/// the 14 is there.
UNISIM_API MmeScore score_mme(const std::filesystem::path& folder,
                              YesNoParser parser = YesNoParser::Official);

struct MmeEntry {
  std::string model;
  MmeScore score;
};
struct MmePlace {
  int64_t rank;  ///< 1 + models that are better: ties share one
  std::string model;
  double score;
};
struct MmeBoard {
  std::string name;
  std::vector<MmePlace> places;     ///< best first, ties in the order given
  std::vector<std::string> absent;  ///< models that lack a file that the list needs
};
/// The 16 lists: perception, cognition, and one a subtask.
UNISIM_API std::vector<MmeBoard> mme_leaderboards(std::span<const MmeEntry> entries);

/// Whether answers to all questions of a subtask of so many images can have this score, as printed.
UNISIM_API bool mme_attainable(double printed, int64_t images, int decimals = 2);

/// POPE's reading of a reply (eval_pope.py of LLaVA): no, if the part before its first full stop, commas
/// taken out and split at spaces, has the word "No", "no" or "not"; else yes.
UNISIM_API YesNo parse_pope(std::string_view reply);

/// Yes is positive; shares in [0, 1], 0 where nothing is to divide by.
struct PopeScore {
  std::string category;  ///< "" of the whole
  int64_t questions = 0, tp = 0, fn = 0, tn = 0, fp = 0;
  double accuracy = 0, precision = 0, recall = 0, f1 = 0;
  double yes_ratio = 0;               ///< share of replies that are yes
  std::vector<PopeScore> categories;  ///< of the whole alone: where the records have a "category"
};
/// POPE (Li et al., arXiv 2305.10355). `answers`: JSON Lines or a JSON array, the reply in "response",
/// "answer" or "text", the first of these that is there; with "label" (yes or no), or else `labels`, a file
/// of the same with "question_id", which every answer then names, each once.
UNISIM_API PopeScore score_pope(const std::filesystem::path& answers,
                                const std::filesystem::path& labels = {});

}  // namespace unisim
