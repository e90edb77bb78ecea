#pragma once

#include <unisim/metric.h>
#include <unisim/vlm.h>

#include <span>

namespace unisim {

/// A metric that asks a model already loaded: six of the seven tasks of UniSim-Bench by its own prompts (arXiv
/// 2412.10594), and an image with a text by VQAScore (P("Yes") of "Does this figure show ...?", Lin et al. 2024). Two bare
/// images and retrieval are refused. docs/generative.md says how a score is defined. Throws std::invalid_argument for
/// another mode, negative shots.
UNISIM_API Metric by_asking(const Vlm& vlm, const AskingOptions& options = {});

/// The same with a short table before each question: what each tool says of the candidates (name, direction, value to three
/// digits).
UNISIM_API Metric by_tools(const Vlm& vlm, std::span<const Metric> tools, const AskingOptions& options = {});

/// metric("vlm:FOLDER", ...) of a model that is loaded already from that folder, so that several share it; device and dtype
/// are its own. Throws std::invalid_argument for another kind, folder, device or dtype.
UNISIM_API Metric metric(const std::string& name, const Vlm& vlm, const MetricOptions& options = {});

}  // namespace unisim
