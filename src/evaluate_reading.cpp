#include "evaluate_reading.h"

#include <algorithm>

#include "measured_rows.h"
#include "sha256.h"
#include "tasks.h"

namespace unisim {

Read Reader::read(std::size_t operand) const {
  if (const Text* text = std::get_if<Text>(&operands_[operand])) return {*text, ""};
  const std::string& path = std::get<Picture>(operands_[operand]).path;
  const std::filesystem::path file = task_.file_of(path);
  std::vector<std::byte> bytes;
  try {  // gone, since its hash was looked at
    bytes = task_.bytes_of(path);
  } catch (const std::filesystem::filesystem_error& error) {
    return {{}, error.what()};
  }
  try {
    return {options_.decode ? options_.decode(bytes, file) : decode_image(bytes, file.string()), ""};
  } catch (const DataError& error) {
    return {{}, error.what()};
  }
}

std::vector<Read> Reader::read(std::span<const std::size_t> operands) const {
  std::vector<Read> read_all(operands.size());
  run_tasks(static_cast<int64_t>(operands.size()), allowed_threads(), [&](int64_t k) {
    read_all[static_cast<std::size_t>(k)] = read(operands[static_cast<std::size_t>(k)]);
  });
  return read_all;
}

void Reader::failed(std::size_t operand, const std::string& error, Evaluation& evaluation) const {
  const Picture* picture = std::get_if<Picture>(&operands_[operand]);
  if (!picture) return;
  const std::filesystem::path file = task_.file_of(picture->path);
  if (std::ranges::find(evaluation.failures, file, &Failure::file) == evaluation.failures.end())
    evaluation.failures.push_back({file, error});
}

std::shared_ptr<const Read> Decoded::of(std::size_t operand) {
  const auto known = std::ranges::find(recent_, operand, &Entry::operand);
  if (known != recent_.end()) {
    recent_.splice(recent_.begin(), recent_, known);
  } else {
    recent_.push_front({operand, std::make_shared<const Read>(reader_.read(operand))});
    if (recent_.size() > kPictures) recent_.pop_back();
  }
  return recent_.front().read;
}

Kept::Kept(const std::filesystem::path& folder, const Metric::State& metric) {
  if (folder.empty() || !metric.identity) return;
  store_.emplace(folder);
  writes_ = !store_->read_only();
  identity_ = sha256("unisim " UNISIM_VERSION "\n" + metric.identity());
}

std::optional<std::vector<float>> Kept::row(const std::string& content) {
  return store_ ? store_->find(identity_, content) : std::nullopt;
}

std::optional<double> Kept::score(const std::string& x, const std::string& y) {
  return store_ ? store_->find_score(identity_, x, y) : std::nullopt;
}

void Kept::put(const std::string& content, std::span<const float> row) {
  if (writes_) store_->put(identity_, content, row);
}

void Kept::put(const std::string& x, const std::string& y, double score) {
  if (writes_) store_->put_score(identity_, x, y, score);
}

void Kept::commit() {
  if (writes_) store_->commit();
}

}  // namespace unisim
