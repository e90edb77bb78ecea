"""Results of metrics on tasks, as plain data: what `unisim evaluate` prints and stores, and what is made of several.

No clock and no place is in them: the same task, metric and pictures give the same bytes.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = "unisim-result-2"
CORE = ("img-2afc", "it-2afc", "text-2afc", "iqa")
OOD = ("paa", "ooo", "ir")

Result = dict[str, Any]


def result_of(task: Any, evaluation: Any) -> Result:
    """What an Evaluation says of a Task, items and all."""
    result: Result = {
        "format": FORMAT,
        "task": evaluation.task,
        "question": task.question,
        "attribute": task.attribute or None,
        "manifest": evaluation.manifest,
        "metric": evaluation.metric,
        "higher_is_better": evaluation.higher_is_better,
        "model": {
            "sha256": evaluation.model.sha256 or None,
            "parameters": evaluation.model.parameters,
            "image_size": evaluation.model.image_size or None,
            "dtype": evaluation.model.dtype,
        },
        "mode": evaluation.mode or None,
        "measure": evaluation.measure,
        "n": evaluation.n,
        "of": len(task),
    }
    if evaluation.measure == "map":
        result |= {
            "map": evaluation.map,
            "interval": list(evaluation.interval),
            "map_hard": evaluation.map_hard,
            "hard_interval": list(evaluation.hard_interval),
        }
    else:
        result |= {
            "accuracy": evaluation.accuracy if evaluation.n else None,
            "interval": list(evaluation.interval),
            "right": evaluation.right,
            "ties": evaluation.ties,
            "votes": evaluation.votes,
            "groups": [
                {"group": t.group, "n": t.n, "right": t.right, "ties": t.ties, "accuracy": t.accuracy,
                 "interval": list(t.interval)}
                for t in evaluation.groups
            ],
        }  # fmt: skip
    asked = [item.asked for item in evaluation.items if item.asked is not None]
    if asked:
        result |= {
            "coverage": sum(one.coverage for one in asked) / len(asked),
            "bias": sum(one.bias for one in asked) / len(asked),
            "unparsable": _unparsable(asked),
            "examples": evaluation.examples,
        }
    result["failed"] = [{"file": file, "error": error} for file, error in evaluation.failures]
    result["items"] = [
        {"scores": [_finite(score) for score in item.scores], "chosen": item.chosen, "right": item.right,
         "tied": item.tied, "error": item.error or None, **_asked(item.asked)}
        for item in evaluation.items
    ]  # fmt: skip
    return result


def _unparsable(asked: Sequence[Any]) -> float | None:
    """The share of written answers that name no option; None where probabilities were read."""
    if asked[0].unparsable is None:
        return None
    return float(sum(one.unparsable for one in asked) / max(1, sum(len(one.replies) for one in asked)))


def _asked(facts: Any) -> Result:
    """Of an item that a model was asked about."""
    if facts is None:
        return {}
    said = {"coverage": facts.coverage, "bias": facts.bias, "replies": facts.replies}
    return said if facts.unparsable is None else said | {"unparsable": facts.unparsable}


def _finite(number: float) -> float | None:
    """JSON has no word for infinite (the PSNR of equal pictures) and undefined numbers."""
    return number if math.isfinite(number) else None


def without_items(result: Result) -> Result:
    """The result without its longest part."""
    return {key: value for key, value in result.items() if key != "items"}


def score(result: Result) -> float | None:
    """The measure of the task, in [0, 1], whose interval is `interval`: accuracy; for retrieval mAP medium."""
    value = result["map" if result["measure"] == "map" else "accuracy"]
    return None if value is None else float(value)


def percent(share: float | None) -> str:
    """A share as people read it."""
    return "–" if share is None else f"{100 * share:.1f} %"


def shown(result: Result) -> list[tuple[str, float | None, list[float]]]:
    """What a table has rows for: (what, value, interval). Retrieval has two measures, medium and hard."""
    if result["measure"] != "map":
        return [(result["task"], score(result), result["interval"])]
    return [
        (f"{result['task']}, medium", result["map"], result["interval"]),
        (f"{result['task']}, hard", result["map_hard"], result["hard_interval"]),
    ]


def read_results(file: Path) -> list[Result]:
    """The results that a file holds: what `unisim evaluate -o` wrote.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no such file.
    """
    try:
        content = json.loads(file.read_bytes())
        results = content["results"]
        if any(one["format"] != FORMAT for one in results):
            raise ValueError(f"a result is not of the format {FORMAT}")
        for one in results:
            score(one), one["task"], one["metric"], one["question"], one["interval"], one["n"]
            one["model"]["sha256"], one["model"]["parameters"], one["model"]["image_size"], one["model"]["dtype"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"[results] {file}: not what `unisim evaluate -o` writes: {error or error.__class__.__name__}"
        ) from error
    return list(results)


@dataclass(frozen=True)
class Comparison:
    """Two metrics on the same items of one task."""

    task: str
    a: str
    b: str
    n: int  # items that both scored
    difference: float  # accuracy of a less that of b
    interval: tuple[float, float]  # paired bootstrap, 95 %
    only_a: int  # right by a alone
    only_b: int
    p: float  # McNemar, exact
    p_holm: float = 1.0  # corrected for all comparisons beside it


def compare(results: Sequence[Result]) -> list[Comparison]:
    """Every two metrics that were held against the same manifest, item by item; p-values corrected after Holm."""
    import unisim

    found: list[Comparison] = []
    for k, a in enumerate(results):
        for b in results[k + 1 :]:
            if a["manifest"] != b["manifest"] or a["measure"] == "map":
                continue
            pairs = [
                (float(x["right"]), float(y["right"]))
                for x, y in zip(a["items"], b["items"], strict=True)
                if x["error"] is None and y["error"] is None
            ]
            if len(pairs) < 2:
                continue
            of_a, of_b = ([pair[side] for pair in pairs] for side in (0, 1))
            test = unisim.mcnemar(of_a, of_b)
            apart = unisim.paired_bootstrap(of_a, of_b)
            found.append(
                Comparison(
                    a["task"], named(a), named(b), len(pairs), apart.difference,
                    (apart.interval[0], apart.interval[1]), test.only_a, test.only_b, test.p,
                )
            )  # fmt: skip
    corrected = unisim.holm([one.p for one in found]) if found else []
    return [
        Comparison(**{**vars(one), "p_holm": p}) for one, p in zip(found, corrected, strict=True)
    ]  # fmt: skip


def named(result: Result) -> str:
    """The metric, with its mode where that changes what it says."""
    mode = result.get("mode")
    return str(result["metric"]) + (f" ({mode})" if mode else "")


def told_apart(results: Sequence[Result]) -> list[Result]:
    """The results, the start of the model's hash behind a metric's name where several models go by it."""
    models: dict[str, set[str | None]] = {}
    for one in results:
        models.setdefault(one["metric"], set()).add(one["model"]["sha256"])
    return [
        one if len(models[one["metric"]]) == 1
        else one | {"metric": f"{one['metric']} [{(one['model']['sha256'] or '')[:8]}]"}
        for one in results
    ]  # fmt: skip


def short_names(results: Sequence[Result]) -> dict[str, str]:
    """For people: the folder of a metric's model by its last part, unless two would then be called the same."""
    full = list(dict.fromkeys(named(one) for one in results))
    short = [re.sub(r":[^,]*/([^/,]+)", r":\1", name) for name in full]
    return {name: brief if short.count(brief) == 1 else name for name, brief in zip(full, short, strict=True)}


@dataclass(frozen=True)
class Means:
    """The benchmark's means of one metric (and mode, where there are two), in [0, 1]: per task, over the core four, the other three, and all seven.

    A mean over tasks is there only where each of them has a result. The paper's own averaging could not be checked.
    """

    metric: str
    tasks: dict[str, float]
    core: float | None
    ood: float | None
    all_seven: float | None


def means(results: Sequence[Result]) -> list[Means]:
    """Plain means: of a task over its data sets, then over tasks (arXiv 2412.10594)."""
    found = []
    for metric in dict.fromkeys(one["metric"] for one in results):
        mine = [one for one in results if one["metric"] == metric and score(one) is not None]
        modes = list(dict.fromkeys(one["mode"] for one in mine if one["mode"])) or [None]
        for mode in modes:
            by_task: dict[str, list[float]] = {}
            for one in mine:
                if one["mode"] in (None, mode):
                    by_task.setdefault(one["question"], []).append(score(one) or 0)
            tasks = {task: sum(values) / len(values) for task, values in by_task.items()}
            name = metric if len(modes) == 1 else f"{metric} ({mode})"
            found.append(
                Means(name, tasks, _mean(tasks, CORE), _mean(tasks, OOD), _mean(tasks, (*CORE, *OOD)))
            )
    return found


def _mean(tasks: dict[str, float], over: tuple[str, ...]) -> float | None:
    return sum(tasks[task] for task in over) / len(over) if all(task in tasks for task in over) else None


@dataclass(frozen=True)
class Board:
    """The results of one task, best first, with their ranks: equal scores share one."""

    task: str
    question: str
    manifest: str
    results: list[Result]
    ranks: list[int]


def boards(found: Sequence[Result]) -> list[Board]:
    """A board for each task, in the order in which tasks appear.

    Raises
    ------
    ValueError
        If results of one task are of different manifests: their items are not the same.
    """
    made = []
    for task in dict.fromkeys(one["task"] for one in found):
        latest = {named(one): one for one in found if one["task"] == task and score(one) is not None}
        manifests = sorted({one["manifest"] for one in found if one["task"] == task})
        if len(manifests) > 1:
            raise ValueError(
                f"[leaderboard] results of {task} are about different items: manifests {manifests[0][:12]} and "
                f"{manifests[1][:12]}"
            )
        if not latest:
            continue
        rows = sorted(latest.values(), key=lambda one: (-(score(one) or 0), named(one)))
        ranks = [1 + sum((score(other) or 0) > (score(one) or 0) for other in rows) for one in rows]
        made.append(Board(task, rows[0]["question"], manifests[0], rows, ranks))
    return made
