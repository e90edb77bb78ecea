#pragma once

#include <unisim/store.h>
#include <unisim/task.h>

#include <map>
#include <string>
#include <vector>

#include "metric_state.h"

/// From the pairs that a task asks about to their scores: what is alike by content is computed on once, what a store
/// holds not at all.
namespace unisim {

/// What a task asks of a metric: distinct operands, distinct pairs of them, and which pairs each item needs.
struct AskedPairs {
  std::vector<Operand> operands;
  std::vector<std::string> contents;  ///< SHA-256 of each operand's file or text
  std::vector<ItemPair> pairs;
  std::vector<std::vector<std::size_t>> of_item;  ///< places in pairs
};

/// A score, or why there is none.
struct PairScore {
  double score = 0;
  std::string error = {};
};

/// Pictures of the task that are not there or cannot be read, by path, and why. Every file is hashed, whatever a store
/// holds: one that is not the manifest's is DataError.
using Unreadable = std::map<std::string, std::string>;
Unreadable unreadable_pictures(const Task& task);

/// Why a picture of the item, or of the database that it asks, cannot be read; else empty.
std::string unread(const Task& task, const TaskItem& item, const Unreadable& unreadable);

/// The pairs that each item needs, in the order of its candidates. Iqa and Paa: a candidate with the prompts of its
/// attribute and mode, one or two; Ooo: the pair without each; Ir: with each of the database.
AskedPairs asked_pairs(const Task& task, const std::string& mode, const Unreadable& unreadable);

/// Also fills in what the evaluation says of pictures that failed and of what was computed and found.
std::vector<PairScore> scores_of(const Task& task, const Metric& metric, const AskedPairs& asked,
                                 const EvaluateOptions& options, Evaluation& evaluation);

}  // namespace unisim
