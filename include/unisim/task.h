#pragma once

#include <unisim/metric.h>
#include <unisim/stats.h>

#include <cstddef>
#include <filesystem>
#include <functional>
#include <iosfwd>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

/// A metric against human judgement: the seven tasks of UniSim-Bench (arXiv 2412.10594), each a folder of items that
/// are the same for everyone. docs/tasks.md has its format; `unisim import` makes one of a data set.
namespace unisim {

/// A picture of a task, by its path there.
struct Picture {
  std::string path;
};
using Operand = std::variant<Picture, Text>;

/// What an item asks: which of two images is nearer to an image (Img2afc) or fits a text (It2afc), which of two texts
/// fits an image (Text2afc), which of two has more of an attribute (Iqa: quality; Paa), which of three is the odd one
/// (Ooo), which of a database show the same (Ir).
enum class Question { Img2afc, It2afc, Text2afc, Iqa, Paa, Ooo, Ir };
UNISIM_API std::string name_of(Question question);  ///< "img-2afc", ...

struct TaskItem {
  std::optional<Operand> reference = {};
  std::vector<Operand> candidates = {};
  int64_t label = 0;                 ///< the candidate that people chose
  std::optional<double> vote = {};   ///< share of people, in [0, 1], who preferred the second candidate
  std::string group = {};            ///< by which results are given apart too
  std::vector<int64_t> easy = {}, hard = {}, junk = {};  ///< Ir: places in the database
};

/// A picture as the task was made of it.
struct TaskFile {
  std::string sha256;
  int64_t bytes = 0;
  bool made = false;  ///< lies in the task's own folder, not in the data set's
};

class UNISIM_API Task {
 public:
  /// A folder that `unisim import` made; pictures that it did not make itself are looked for under `data`. Throws
  /// DataError, naming file and line, for anything that is not as docs/tasks.md has it: a hash of the manifest that
  /// does not hold, a label out of range, a path that leads out of its folder.
  static Task load(const std::filesystem::path& folder, const std::filesystem::path& data = {});

  const std::string& name() const { return name_; }
  Question question() const { return question_; }
  const std::string& attribute() const { return attribute_; }  ///< Iqa and Paa alone
  const std::string& measure() const { return measure_; }      ///< "accuracy" or "map"
  const std::string& manifest() const { return manifest_; }    ///< SHA-256 of task.json: the identity of the items
  const std::vector<TaskItem>& items() const { return items_; }
  const std::vector<std::string>& database() const { return database_; }  ///< Ir alone: paths
  const std::map<std::string, TaskFile>& files() const { return files_; }

  /// Where a picture of the task lies. Throws std::invalid_argument if it is none, or lies under `data` and none was
  /// given.
  std::filesystem::path file_of(const std::string& picture) const;
  /// Its bytes, which hash as the manifest says: else DataError naming both hashes.
  std::vector<std::byte> bytes_of(const std::string& picture) const;

 private:
  friend class TaskReader;
  std::string name_, attribute_, measure_, manifest_;
  Question question_ = Question::Img2afc;
  std::vector<TaskItem> items_;
  std::vector<std::string> database_;
  std::map<std::string, TaskFile> files_;
  std::filesystem::path folder_, data_;
};

struct EvaluateOptions {
  std::string mode = "naive";       ///< of Iqa and Paa: see Metric::attribute
  std::filesystem::path store = {};  ///< folder of a Store: rows and scores once computed are found again; empty: none
  /// Makes a picture of a file's bytes; null: decode_image.
  std::function<Image(std::span<const std::byte> bytes, const std::filesystem::path& file)> decode = {};
  const Task* examples = nullptr;  ///< where a metric that wants solved items takes them; not the scored ones' pictures
  Progress progress = {};  ///< of pictures embedded, of pairs compared, or of items asked
};

/// Of an item that a model was asked about: docs/generative.md.
struct AskedFacts {
  double coverage = 1;                    ///< probability of all letters together
  double bias = 0;                        ///< lean to the first letter
  std::vector<std::string> replies = {};  ///< what it wrote, for each order
  std::optional<int64_t> unparsable = {};  ///< mode text: of the answers, how many name no option
};

/// What became of one item. Without a score it has an error and counts nowhere.
struct ItemResult {
  std::vector<double> scores = {};  ///< of each candidate; Ooo: of the pair without it; Ir: AP medium and hard, in [0, 1]
  int64_t chosen = -1;
  bool right = false;
  std::optional<AskedFacts> asked = {};  ///< where a model was asked
  bool tied = false;  ///< the best two scores are equal: the first is taken to be chosen
  std::string error = {};
};

/// Items of one group, or all.
struct Tally {
  std::string group = {};
  int64_t n = 0, right = 0, ties = 0;
  double accuracy = 0;    ///< right / n
  Interval interval = {};  ///< Wilson, 95 %
};

struct Evaluation {
  std::string task = {}, metric = {}, manifest = {}, measure = {}, mode = {};
  bool higher_is_better = true;
  MetricModel model = {};
  Tally all = {};
  std::vector<Tally> groups = {};       ///< in the order of the first item of each
  std::optional<double> votes = {};     ///< where every item has a vote: mean share of people on the metric's side, a tie
                                        ///< half (Zhang et al. 2018)
  std::optional<double> map_medium = {}, map_hard = {};  ///< Ir: in [0, 1], by the revisited protocol (Radenovic et al.
                                                         ///< 2018)
  Interval medium_interval = {}, hard_interval = {};     ///< bootstrap over queries, 95 %
  std::vector<ItemResult> items = {};
  std::vector<Failure> failures = {};  ///< pictures that could not be read
  std::vector<std::string> examples = {};  ///< SHA-256 of each solved item before the asked ones
  int64_t computed = 0, found = 0;     ///< rows, scores or judgements: computed now; found in the store
};

/// Every item asked of the metric. A picture that cannot be read costs its items, and is named; one whose hash is not the
/// manifest's ends the run (DataError). Throws std::invalid_argument if the metric cannot do the task.
UNISIM_API Evaluation evaluate(const Task& task, const Metric& metric, const EvaluateOptions& options = {});

/// Throws std::invalid_argument if the metric cannot do the task: texts for LPIPS, attributes for what rates pairs alone,
/// two images for CLIPScore. evaluate() asks it first.
UNISIM_API void require_able(const Task& task, const Metric& metric);

UNISIM_API std::ostream& operator<<(std::ostream& out, const Evaluation& evaluation);

/// Average precision of one query, revisited Oxford and Paris: `ranked` are places of the database, best first; `positive`
/// are sought, `junk` passed over. The area under precision and recall by trapezoids. No positive: nothing.
UNISIM_API std::optional<double> average_precision(std::span<const int64_t> ranked, std::span<const int64_t> positive,
                                                   std::span<const int64_t> junk);

}  // namespace unisim
