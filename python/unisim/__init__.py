"""Perceptual similarity of images and texts.

The names below come from the extension, which brings LibTorch with it. They are loaded when first used, so that the
command line answers `--help` and its own errors at once.
"""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unisim._version import __version__

if TYPE_CHECKING:
    from unisim._core import *  # noqa: F403

    cmake_path: str

# One list of what there is: a name added here is found in the extension.
__all__ = [
    "PICTURE",
    "Agreement",
    "AskedFacts",
    "BlindPair",
    "BlindPairs",
    "Choice",
    "Encoder",
    "Evaluation",
    "Failure",
    "Image",
    "Interval",
    "ItemResult",
    "LogisticFit",
    "McNemar",
    "Metric",
    "MetricModel",
    "MmeBoard",
    "MmePlace",
    "MmeScore",
    "MmeSubtask",
    "MmieGroup",
    "MmieSample",
    "MmieScore",
    "MmvpPattern",
    "MmvpScore",
    "MmvpVlmPattern",
    "MmvpVlmScore",
    "NotFiniteError",
    "PairedDifference",
    "PopeScore",
    "Ranking",
    "Store",
    "StoreCounts",
    "Tally",
    "Task",
    "TaskItem",
    "Text",
    "Tokenizer",
    "Vlm",
    "VlmCounts",
    "VlmPrompt",
    "__version__",
    "additive_mof",
    "agreement",
    "bootstrap_interval",
    "by_asking",
    "by_cosine",
    "by_tools",
    "center_crop",
    "cmake_path",
    "correlation_bootstrap",
    "cosine",
    "cosine_rows",
    "evaluate",
    "fisher_interval",
    "fit_logistic",
    "holm",
    "interleaved_mof",
    "jnd_map",
    "kendall_tau_b",
    "mcnemar",
    "metric",
    "metric_names",
    "mine_blind_pairs",
    "mme_attainable",
    "mme_leaderboards",
    "mmie_weighted_average",
    "mmvp_option",
    "paired_bootstrap",
    "parse_mmie_score",
    "parse_pope",
    "parse_yes_no",
    "pearson",
    "read_image",
    "read_images",
    "read_mmie",
    "require_able",
    "resize",
    "score_mme",
    "score_mmie",
    "score_mmvp",
    "score_mmvp_vlm",
    "score_pope",
    "spearman",
    "two_afc_items",
    "two_afc_score",
    "vlm_templates",
    "wilson_interval",
]


def _cmake_path() -> str:
    """The folder of unisimConfig.cmake in an installed package: cmake -Dunisim_DIR=..., for find_package(unisim)."""
    core = importlib.util.find_spec("unisim._core")
    assert core is not None and core.origin is not None
    return str(Path(core.origin).parent / "lib" / "cmake" / "unisim")


def __getattr__(name: str) -> Any:
    if name == "cmake_path":
        return _cmake_path()
    if name != "_core" and name not in __all__:
        raise AttributeError(f"module 'unisim' has no attribute {name!r}")
    importlib.import_module("torch")  # LibTorch, before the extension asks for it
    core = importlib.import_module("unisim._core")
    return core if name == "_core" else getattr(core, name)


def __dir__() -> list[str]:
    return sorted(__all__)
