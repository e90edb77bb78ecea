#include "metric_name.h"

#include <unisim/error.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <string_view>

namespace unisim {
namespace {

std::optional<int64_t> integer_from(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Device device_from(const std::string& name, const std::string& text) {
  try {
    return Device(text);
  } catch (const c10::Error&) {
    throw std::invalid_argument(
        text_of("[metric] ", name, ": device=", text, " is not cpu, cuda or cuda:INDEX"));
  }
}

bool yes_or_no(const std::string& name, std::string_view key, const std::string& value) {
  require(value == "yes" || value == "no", "[metric] ", name, ": ", key, "=", value, " is not yes or no");
  return value == "yes";
}

int64_t count_from(const std::string& name, std::string_view key, const std::string& value) {
  const auto count = integer_from(value);
  require(count && *count >= 0, "[metric] ", name, ": ", key, "=", value, " is not a whole number from 0 up");
  return *count;
}

/// Of a model that is asked; false for an unknown key.
bool apply(AskingOptions& asking, const std::string& name, std::string_view key, const std::string& value) {
  if (key == "mode")
    asking.mode = value;
  else if (key == "swap")
    asking.swap = yes_or_no(name, key, value);
  else if (key == "reason")
    asking.reason = yes_or_no(name, key, value);
  else if (key == "template")
    asking.template_name = value;
  else if (key == "shots")
    asking.shots = count_from(name, key, value);
  else if (key == "seed")
    asking.seed = static_cast<uint64_t>(count_from(name, key, value));
  else
    return false;
  return true;
}

/// False for an unknown key.
bool apply(MetricOptions& options, const std::string& name, std::string_view key, const std::string& value) {
  if (key == "device") {
    options.device = device_from(name, value);
  } else if (key == "dtype") {
    options.dtype = dtype_from_name(value);
  } else if (key == "layer") {
    options.layer = integer_from(value);
    require(options.layer.has_value(), "[metric] ", name, ": layer=", value, " is not an integer");
  } else if (key == "pool") {
    require(value == "cls" || value == "mean", "[metric] ", name, ": pool=", value, " is not cls or mean");
    options.pool = value == "cls" ? Pool::Cls : Pool::Mean;
  } else {
    return apply(options.asking, name, key, value);
  }
  return true;
}

bool is_key(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

bool is_folder(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored);
}

/// Cuts ",KEY=VALUE" off the right of `rest`, again and again, until what is left is a folder or has no such
/// end.
void cut_options(const std::string& name, std::string& rest, MetricOptions& options) {
  std::vector<std::string> seen;
  while (!is_folder(rest)) {
    const auto comma = rest.rfind(',');
    const auto equals = comma == std::string::npos ? comma : rest.find('=', comma);
    if (equals == std::string::npos) return;
    const std::string key = rest.substr(comma + 1, equals - comma - 1);
    if (!is_key(key)) return;
    require(std::ranges::find(seen, key) == seen.end(), "[metric] ", name, ": ", key, " is given twice");
    seen.push_back(key);
    require(apply(options, name, key, rest.substr(equals + 1)), "[metric] ", name, ": \"", key,
            "\" is not one of the options device, dtype, layer, pool, mode, swap, shots, seed, reason, template");
    rest.resize(comma);
  }
}

}  // namespace

MetricName parse_metric_name(const std::string& name, const MetricOptions& options) {
  MetricName parsed{.kind = {}, .model = {}, .options = options};
  const auto colon = name.find(':'), comma = name.find(',');
  if (colon < comma) {
    parsed.kind = name.substr(0, colon);
    parsed.model = name.substr(colon + 1);
    cut_options(name, parsed.model, parsed.options);
    require(!parsed.model.empty(), "[metric] ", name, ": a folder must stand behind the colon");
  } else {
    parsed.kind = name;
    cut_options(name, parsed.kind, parsed.options);
  }
  return parsed;
}

}  // namespace unisim
