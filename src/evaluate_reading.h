#pragma once

#include <unisim/store.h>
#include <unisim/task.h>

#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "metric_state.h"

/// What an evaluation reads: operands of a task, and what a store holds of a metric.
namespace unisim {

inline constexpr std::size_t kPictures = 32;  ///< decoded at a time

/// What was read of one operand: an item, or why not.
struct Read {
  std::optional<Item> item;
  std::string error;
};

/// Reads operands; hashes are checked. A hash that does not hold ends the run, a picture that cannot be decoded does not.
class Reader {
 public:
  Reader(const Task& task, std::span<const Operand> operands, const EvaluateOptions& options)
      : task_(task), operands_(operands), options_(options) {}

  Read read(std::size_t operand) const;
  std::vector<Read> read(std::span<const std::size_t> operands) const;
  /// Where the evaluation names a picture that failed.
  void failed(std::size_t operand, const std::string& error, Evaluation& evaluation) const;

 private:
  const Task& task_;
  std::span<const Operand> operands_;
  const EvaluateOptions& options_;
};

/// The pictures decoded last.
class Decoded {
 public:
  explicit Decoded(const Reader& reader) : reader_(reader) {}
  std::shared_ptr<const Read> of(std::size_t operand);

 private:
  struct Entry {
    std::size_t operand;
    std::shared_ptr<const Read> read;
  };
  const Reader& reader_;
  std::list<Entry> recent_;  // the latest first
};

/// A store under one model's identity, or none.
class Kept {
 public:
  Kept(const std::filesystem::path& folder, const Metric::State& metric);

  std::optional<std::vector<float>> row(const std::string& content);
  std::optional<double> score(const std::string& x, const std::string& y);
  void put(const std::string& content, std::span<const float> row);
  void put(const std::string& x, const std::string& y, double score);
  void commit();

 private:
  std::optional<Store> store_;
  bool writes_ = false;  ///< a folder that cannot be written to is read all the same
  std::string identity_;
};

}  // namespace unisim
