#pragma once

#include "evaluate_scores.h"

namespace unisim {

/// Every item asked as a whole of a metric that is asked, one after the other; what a store holds is not asked again. Fills
/// in what the evaluation says of items, failures, examples and counts. Throws std::invalid_argument where the metric wants
/// examples and there are none, or too few of a label.
void ask_items(const Task& task, const Metric& metric, const EvaluateOptions& options, const Unreadable& unreadable,
               Evaluation& evaluation);

}  // namespace unisim
