#include <unisim/error.h>
#include <unisim/score_mmie.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "io/csv.h"
#include "io/quote.h"

namespace unisim {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 3> categories{"SA", "PBL", "MSR"};
constexpr std::array<double, 3> samples{5005, 11482, 3616};
constexpr double highest = 6;

/// One line or item, whichever kind of file it came from.
struct Record {
  fs::path place;
  MmieSample sample;
};

std::optional<double> in_range(double score) {
  return score >= 0 && score <= highest ? std::optional<double>(score) : std::nullopt;
}

std::optional<double> of_reply(std::string_view reply) {
  const auto score = parse_mmie_score(reply);
  return score ? std::optional<double>(*score) : std::nullopt;
}

std::string text_or_empty(const JsonRecord& record, const char* key) {
  const auto found = record.object.find(key);
  if (found == record.object.end() || found->is_null()) return "";
  require_data(found->is_string(), record.place, "has ", in_quotes(key), " ", in_quotes(found->dump()),
               ", expected a text");
  return found->get<std::string>();
}

Record from_json(const JsonRecord& json) {
  const auto text = [&](const char* key) { return text_or_empty(json, key); };
  MmieSample sample{text("id"), "", text("field"), text("criterion"), text("error"), std::nullopt};
  const auto score = json.object.find("score"), reply = json.object.find("reply");
  if (score != json.object.end()) {
    require_data(score->is_number() || score->is_null(), json.place, "has the score ",
                 in_quotes(score->dump()), ", expected a number or null; a judge's text is its \"reply\"");
    if (score->is_number()) sample.score = in_range(score->get<double>());
  } else {
    require_data(reply != json.object.end(), json.place, "has neither \"score\" nor \"reply\"");
    sample.score = of_reply(text("reply"));
  }
  return {json.place, std::move(sample)};
}

std::vector<Record> from_csv(const fs::path& file) {
  const Csv csv = read_csv(file);
  const std::size_t id = csv.column("id");
  const auto score = csv.find("score"), reply = csv.find("reply");
  require_data(score || reply, at_line(file, 1), "has neither a column \"score\" nor \"reply\"");
  std::vector<Record> records;
  for (const CsvRow& row : csv.rows()) {
    const auto text = [&](const char* name) {
      const auto column = csv.find(name);
      return column ? row.fields[*column] : std::string();
    };
    MmieSample sample{row.fields[id], "", text("field"), text("criterion"), text("error"), std::nullopt};
    if (!score) {
      sample.score = of_reply(row.fields[*reply]);
    } else if (!row.fields[*score].empty()) {
      sample.score = in_range(csv.number(row, *score));
    }
    records.push_back({csv.place(row), std::move(sample)});
  }
  return records;
}

std::vector<Record> read(const fs::path& file) {
  if (file.extension() == ".csv") return from_csv(file);
  std::vector<Record> records;
  for (const JsonRecord& json : read_records(file)) records.push_back(from_json(json));
  return records;
}

std::string category_of(const Record& record) {
  for (const char* category : categories)
    if (record.sample.id.find(category) != std::string::npos) return category;
  throw DataError(record.place, text_of("has the id ", in_quotes(record.sample.id),
                                        ", expected one with SA, PBL or MSR in it"));
}

/// A group and the sum of its scores, which its mean is made of at the end.
struct Sum {
  MmieGroup group;
  double sum = 0;

  void add(const MmieSample& sample) {
    ++(sample.score ? group.kept : group.dropped);
    if (sample.score) sum += *sample.score;
  }

  MmieGroup ended() {
    if (group.kept > 0) {
      const double mean = sum / static_cast<double>(group.kept);
      group.mean = std::nearbyint(mean * 1000) / 1000;
      group.percent = 100 * mean / highest;
    }
    return std::move(group);
  }
};

Sum& of(std::vector<Sum>& sums, const std::string& category, const std::string& name) {
  const auto found = std::find_if(sums.begin(), sums.end(), [&](const Sum& sum) {
    return sum.group.category == category && sum.group.name == name;
  });
  if (found != sums.end()) return *found;
  sums.push_back({});
  sums.back().group.category = category;
  sums.back().group.name = name;
  return sums.back();
}

std::vector<MmieGroup> ended(std::vector<Sum>& sums) {
  std::vector<MmieGroup> groups;
  for (Sum& sum : sums) groups.push_back(sum.ended());
  return groups;
}

std::optional<double> weighted(const std::vector<MmieGroup>& groups) {
  std::array<double, 3> percent{};
  for (std::size_t k = 0; k < categories.size(); ++k) {
    const auto found = std::find_if(groups.begin(), groups.end(),
                                    [&](const MmieGroup& group) { return group.name == categories[k]; });
    if (found == groups.end() || !found->percent) return std::nullopt;
    percent[k] = *found->percent;
  }
  return mmie_weighted_average(percent[0], percent[1], percent[2]);
}

}  // namespace

std::optional<int> parse_mmie_score(std::string_view reply) {
  constexpr std::string_view heading = "### Score";
  const std::size_t found = reply.find(heading);
  if (found == reply.npos) return std::nullopt;
  const std::string_view rest = reply.substr(found + heading.size());
  const auto digit = [&](std::size_t i) { return i < rest.size() && rest[i] >= '0' && rest[i] <= '9'; };
  std::size_t begin = 0;
  while (begin < rest.size() && !digit(begin)) ++begin;
  if (begin == rest.size()) return std::nullopt;
  std::size_t end = begin;
  while (digit(end)) ++end;
  if (end < rest.size() && rest[end] == '.' && digit(end + 1))
    for (++end; digit(end);) ++end;
  double value = 0;
  if (std::from_chars(rest.data() + begin, rest.data() + end, value).ec != std::errc()) return std::nullopt;
  if (begin > 0 && rest[begin - 1] == '-') value = -value;
  const double rounded = std::nearbyint(value);  // half to even, the rounding mode that programs start with
  if (!(rounded >= 0 && rounded <= highest)) return std::nullopt;
  return static_cast<int>(rounded);
}

double mmie_weighted_average(double sa, double pbl, double msr) {
  return (samples[0] * sa + samples[1] * pbl + samples[2] * msr) / (samples[0] + samples[1] + samples[2]);
}

std::vector<MmieSample> read_mmie(const fs::path& file) {
  std::vector<Record> records = read(file);
  require_data(!records.empty(), file, "holds no records");
  std::set<std::pair<std::string, std::string>> seen;
  std::vector<MmieSample> samples;
  for (Record& record : records) {
    MmieSample& sample = record.sample;
    sample.category = category_of(record);
    require_data(
        seen.emplace(sample.id, sample.criterion).second, record.place, "has the id ", in_quotes(sample.id),
        sample.criterion.empty() ? "" : ", criterion " + in_quotes(sample.criterion) + ",", " a second time");
    samples.push_back(std::move(sample));
  }
  return samples;
}

MmieScore score_mmie(const fs::path& file) {
  Sum all;
  all.group.name = "all";
  std::vector<Sum> by_category, fields, criteria;
  for (const char* category : categories) of(by_category, category, category);
  MmieScore score;
  for (const MmieSample& sample : read_mmie(file)) {
    if (!sample.error.empty()) ++score.errors[sample.category][sample.error];
    if (!sample.criterion.empty()) {
      of(criteria, sample.category, sample.criterion).add(sample);
      continue;
    }
    all.add(sample);
    of(by_category, sample.category, sample.category).add(sample);
    if (!sample.field.empty()) of(fields, "", sample.field).add(sample);
  }
  std::erase_if(by_category, [](const Sum& sum) { return sum.group.kept + sum.group.dropped == 0; });
  score.all = all.ended();
  score.categories = ended(by_category);
  score.fields = ended(fields);
  score.criteria = ended(criteria);
  score.weighted = weighted(score.categories);
  return score;
}

}  // namespace unisim
