#pragma once

#include <unisim/metric.h>

#include <string>

namespace unisim {

/// A metric's name taken apart: "encoder:models/clip,layer=9" is kind "encoder", model "models/clip", and
/// options.
struct MetricName {
  std::string kind;
  std::string model;  ///< empty where none is named
  MetricOptions options;
};

/// Options in the name win over `options`. Throws std::invalid_argument for an unknown key or a value that is
/// none.
MetricName parse_metric_name(const std::string& name, const MetricOptions& options);

}  // namespace unisim
