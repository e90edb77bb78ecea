#pragma once

#include <unisim/export.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// MMIE (Xia et al., arXiv 2410.10139): what its rules make of a judge's replies or scores. Nothing here
/// needs LibTorch. Files: as in score.h.
namespace unisim {

/// The score in a judge's reply: the first number after the first "### Score", rounded half to even; nothing
/// unless that is 0 to 6. So "### Score (0-6)\n4" is 0, as it is to the authors' tool. Digits are those of
/// ASCII.
UNISIM_API std::optional<int> parse_mmie_score(std::string_view reply);

/// One record of a file of scores.
struct MmieSample {
  std::string id, category;  ///< SA, PBL or MSR: the first of these that the id contains
  std::string field, criterion, error;
  std::optional<double> score;  ///< nothing unless it is in [0, 6]
};

/// Samples that belong together. Those without a score in [0, 6] are dropped from the mean and counted.
struct MmieGroup {
  std::string category;  ///< "SA", "PBL" or "MSR" where all are of one
  std::string name;      ///< of the category, field or criterion; "all"
  int64_t kept = 0, dropped = 0;
  std::optional<double>
      mean;  ///< of the kept, in [0, 6], rounded to three decimals as the authors' tool prints it
  std::optional<double> percent;  ///< 100 / 6 of the mean before rounding
};

struct MmieScore {
  MmieGroup all;
  std::vector<MmieGroup> categories;  ///< SA, PBL, MSR, those with samples
  std::vector<MmieGroup> fields;      ///< in the order in which they appear
  std::vector<MmieGroup> criteria;    ///< per category
  std::optional<double> weighted;  ///< mmie_weighted_average() of the percentages, where all three are there
  std::map<std::string, std::map<std::string, int64_t>> errors;  ///< category, label: samples
};

/// JSON Lines, a JSON array, or CSV where the name ends in .csv, each record with an "id" and either "score",
/// a number or nothing, taken as it is, or "reply", a judge's, read by parse_mmie_score(). Optional: "field",
/// "criterion" (such a record counts for its criterion alone; an id comes once a criterion), "error", a
/// label.
UNISIM_API std::vector<MmieSample> read_mmie(const std::filesystem::path& file);
UNISIM_API MmieScore score_mmie(const std::filesystem::path& file);

/// The published average: of SA, PBL and MSR, weighted by the benchmark's 5005, 11482 and 3616 samples.
UNISIM_API double mmie_weighted_average(double sa, double pbl, double msr);

}  // namespace unisim
