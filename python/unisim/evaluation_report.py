"""One self-contained HTML page of metrics held against human judgement.

Accuracy with intervals as plot and table, groups, metric against metric with the paired test, the items that each
metric gets most wrong as pictures, the benchmark's means, ties, failures, hashes. The same results give the same bytes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from unisim import results
from unisim.page import COLORS, plot, template
from unisim.report import thumbnail
from unisim.results import Result, percent, short_names

MOST_WRONG = 6  # items shown of each metric and task


def page(tasks: Sequence[Any], found: Sequence[Result]) -> str:
    """The page of `found`, results of `tasks` (each a unisim.Task)."""
    by_manifest = {task.manifest: task for task in tasks}
    names = short_names(found)
    pictures: dict[str, str | None] = {}
    wrong = [
        part
        for result in found
        if result["measure"] != "map"
        and (part := _wrong(by_manifest[result["manifest"]], result, names[results.named(result)], pictures))
    ]
    return template("evaluation.html.jinja").render(
        title=_title(found),
        tasks=[_task(task) for task in by_manifest.values()],
        rows=[row for result in found for row in _rows(result, names[results.named(result)])],
        chart=_chart(found, names),
        groups=_groups(found, names),
        asked=[_asked(one, names[results.named(one)]) for one in found if "coverage" in one],
        comparisons=results.compare(found),
        means=results.means(found),
        names=names,
        core=results.CORE,
        ood=results.OOD,
        wrong=wrong,
        pictures=pictures,
        failures=[
            (one["task"], names[results.named(one)], f["file"], f["error"])
            for one in found
            for f in one["failed"]
        ],
        percent=percent,
        most=MOST_WRONG,
    )


def _title(found: Sequence[Result]) -> str:
    tasks, metrics = (list(dict.fromkeys(one[key] for one in found)) for key in ("task", "metric"))
    which = metrics[0] if len(metrics) == 1 else f"{len(metrics)} metrics"
    return f"{tasks[0] if len(tasks) == 1 else f'{len(tasks)} tasks'}: {which}"


def _task(task: Any) -> dict[str, Any]:
    return {
        "name": task.name,
        "question": task.question + (f" ({task.attribute})" if task.attribute else ""),
        "items": len(task),
        "manifest": task.manifest,
    }


def _rows(result: Result, name: str) -> list[dict[str, Any]]:
    return [
        {
            "task": what,
            "metric": name,
            "score": percent(value),
            "low": percent(interval[0]),
            "high": percent(interval[1]),
            "n": result["n"],
            "ties": result.get("ties"),
            "votes": percent(result["votes"]) if result.get("votes") is not None else "",
            "left_out": result["of"] - result["n"],
        }
        for what, value, interval in results.shown(result)
    ]


def _asked(result: Result, name: str) -> dict[str, Any]:
    """Of a model that was asked: what stands beside its accuracy."""
    return {
        "task": result["task"],
        "metric": name,
        "coverage": _coverage(result["coverage"]) if result["unparsable"] is None else "",
        "bias": f"{result['bias']:+.3f}" if _swapped(result) else "",
        "unparsable": "" if result["unparsable"] is None else percent(result["unparsable"]),
        "examples": result["examples"],
    }


def _swapped(result: Result) -> bool:
    """Whether candidates changed places: of one order alone a lean cannot be told from an opinion."""
    return ",swap=no" not in result["metric"]


def _coverage(share: float) -> str:
    return f"{100 * share:.3g} %"  # it may be tiny


def _chart(found: Sequence[Result], names: dict[str, str]) -> str:
    """Points with intervals: a row for each task and group of bars, a colour for each metric."""
    import plotly.graph_objects as go

    figure = go.Figure()
    for k, (metric, name) in enumerate(names.items()):
        mine = [one for one in found if results.named(one) == metric and results.score(one) is not None]
        values = [100 * cast(float, results.score(one)) for one in mine]
        figure.add_trace(
            go.Scatter(
                x=values,
                y=[one["task"] for one in mine],
                mode="markers",
                orientation="h",  # metrics beside each other, not on one line
                name=name,
                marker={"size": 10, "color": COLORS[k % len(COLORS)]},
                error_x={
                    "type": "data",
                    "symmetric": False,
                    "array": [100 * one["interval"][1] - v for one, v in zip(mine, values, strict=True)],
                    "arrayminus": [v - 100 * one["interval"][0] for one, v in zip(mine, values, strict=True)],
                },
                hovertemplate=f"{name}: %{{x:.1f}} %<extra></extra>",
            )
        )
    metrics = len(figure.data)
    least = max(0.0, min(100 * one["interval"][0] for one in found) - 5)
    tasks = len({one["task"] for one in found})
    figure.update_layout(
        height=120 + 36 * tasks + 30 * metrics + (26 * metrics if tasks == 1 else 0),
        scattermode="group",
        margin={"l": 16, "r": 16, "t": 16, "b": 48},
        xaxis={"title": {"text": "right, % (95 % interval)"}, "range": [least, 101]},
        yaxis={"automargin": True, "autorange": "reversed"},
    )
    return plot(figure, "accuracy")


def _groups(found: Sequence[Result], names: dict[str, str]) -> list[dict[str, Any]]:
    """A table for each task that has groups: a row for each group, a column for each metric."""
    tables = []
    for manifest in dict.fromkeys(one["manifest"] for one in found):
        mine = [one for one in found if one["manifest"] == manifest and one.get("groups")]
        if not mine:
            continue
        by_metric = [{group["group"]: group for group in one["groups"]} for one in mine]
        rows = [
            {
                "group": name,
                "n": max(groups[name]["n"] for groups in by_metric if name in groups),
                "cells": [
                    percent(groups[name]["accuracy"]) if name in groups else "–" for groups in by_metric
                ],
            }
            for name in dict.fromkeys(name for groups in by_metric for name in groups)
        ]
        tables.append(
            {"task": mine[0]["task"], "metrics": [names[results.named(one)] for one in mine], "rows": rows}
        )
    return tables


def _wrong(task: Any, result: Result, name: str, pictures: dict[str, str | None]) -> dict[str, Any] | None:
    """The items where the metric prefers the other candidate by most."""
    cards = []
    for place, item in enumerate(result["items"]):
        if item["error"] is None and not item["right"] and item["chosen"] != task[place].label:
            scores, label = item["scores"], task[place].label
            if scores[label] is not None and scores[item["chosen"]] is not None:
                cards.append((abs(scores[item["chosen"]] - scores[label]), place))
    cards.sort(key=lambda card: (-card[0], card[1]))
    if not cards:
        return None
    swapped = _swapped(result)
    shown = [_card(task, place, result["items"][place], pictures, swapped) for _, place in cards[:MOST_WRONG]]
    return {"task": result["task"], "metric": name, "count": len(cards), "cards": shown}


def _card(
    task: Any, place: int, item: dict[str, Any], pictures: dict[str, str | None], swapped: bool
) -> dict[str, Any]:
    asked = task[place]
    return {
        "item": place,
        "group": asked.group,
        "vote": asked.vote,
        "reference": None if asked.reference is None else _operand(task, asked.reference, pictures),
        "candidates": [
            {
                **_operand(task, candidate, pictures),
                "score": _share(item["scores"], k) if "coverage" in item else _number(item["scores"][k]),
                "people": k == asked.label,
                "metric": k == item["chosen"],
            }
            for k, candidate in enumerate(asked.candidates)
        ],
        "said": _said(item, len(asked.candidates), swapped) if "coverage" in item else None,
    }


def _said(item: dict[str, Any], candidates: int, swapped: bool) -> dict[str, Any]:
    """What a model that was asked said of an item: each reply with the order in which the candidates then stood."""
    turned = [
        "".join(str((k + turn) % candidates + 1) for k in range(candidates)) for turn in range(candidates)
    ]
    return {
        "coverage": _coverage(item["coverage"]) if "unparsable" not in item else "",
        "bias": f"{item['bias']:+.3f}" if swapped else "",
        "replies": [
            {"order": ", ".join(order), "text": reply}
            for order, reply in zip(turned, item["replies"], strict=False)
        ],
    }


def _share(scores: Sequence[float | None], place: int) -> str:
    """With as many digits as tell the candidates apart."""
    score = scores[place]
    if score is None:
        return "–"
    known = {other for other in scores if other is not None}
    digits = next((d for d in range(3, 8) if len({f"{other:.{d}f}" for other in known}) == len(known)), 3)
    return f"{score:.{digits}f}"


def _number(score: float | None) -> str:
    return "∞" if score is None else f"{score:.6g}"


def _operand(task: Any, operand: Any, pictures: dict[str, str | None]) -> dict[str, Any]:
    if not isinstance(operand, str):
        return {"text": operand.text, "picture": None, "name": ""}
    key = task.file_of(operand)
    if key not in pictures:
        pictures[key] = thumbnail(Path(key))
    return {"text": None, "picture": list(pictures).index(key), "name": operand}
