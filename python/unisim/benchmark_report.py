"""Self-contained HTML pages of a benchmark's own rule: MMVP-VLM by visual pattern, and MME's leaderboards.

The same scores give the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unisim
from unisim.page import COLORS, Table, plot, template
from unisim.visual_patterns import PatternAccuracies, PatternComparison

PARSERS = {"official": "MME's own tool", "lmms": "lmms-eval", "vlmevalkit": "VLMEvalKit"}
CHANCE_LINE = {"color": "#5a6776", "width": 1.2, "dash": "dot"}


@dataclass
class Section:
    """What stands under one heading: a sentence, a plot as HTML, tables (several stand beside each other), lines."""

    title: str
    text: str
    plot: str = ""
    tables: Sequence[Table] = ()
    lines: Sequence[str] = ()


def _page(title: str, text: str, facts: Sequence[tuple[str, str]], sections: Sequence[Section]) -> str:
    return template("benchmark.html.jinja").render(title=title, text=text, facts=facts, sections=sections)


def patterns_page(score: PatternAccuracies, comparison: PatternComparison | None = None) -> str:
    """The page of a model on MMVP-VLM; with a comparison, of both models and how alike their patterns are."""
    sides = [score] if comparison is None else [comparison.a, comparison.b]
    names = _names([side.file for side in sides])
    facts = [
        (f"{side.mean:.1f} %", f"{name}, {_what(side)}") for side, name in zip(sides, names, strict=True)
    ]
    sections = [
        Section(
            "Right, by visual pattern",
            "Percent right, with Wilson's 95 % interval where the counts are known.",
            _bars(sides, names),
            [_patterns_table(sides, names)],
        )
    ]
    if comparison is not None:
        facts.append((f"{comparison.correlation.r:.2f}", f"Pearson's r, {_interval(comparison)}"))
        sections.append(
            Section(
                "Pattern against pattern",
                "Does what is hard for the one stay hard for the other? "
                f"Pearson's r is {comparison.correlation.r:.3f}, {_interval(comparison)} (Fisher): "
                "a few points say little. Dotted: chance.",
                _scatter(comparison, names),
            )
        )
    title = f"MMVP-VLM: {names[0]}" if comparison is None else f"Visual patterns: {names[0]} and {names[1]}"
    text = (
        "MMVP-VLM (Tong et al., arXiv 2401.06209): a pair is two pictures and two statements, and right if each "
        "statement takes its own picture. Guessing gives 25 %."
    )
    return _page(title, text, facts, sections)


def _names(files: Sequence[str]) -> list[str]:
    """What the models are called: their files' names without the ending, whole paths where two share that."""
    short = [Path(file).stem for file in files]
    return short if len(set(short)) == len(short) else list(files)


def _what(side: PatternAccuracies) -> str:
    if side.of is None:
        return f"mean of {len(side.percent)} patterns"
    return f"of {sum(of for _, of in side.counts.values())} {side.of}"


def _interval(comparison: PatternComparison) -> str:
    low, high = comparison.correlation.interval
    return f"95 % interval {low:.2f} to {high:.2f}, n = {len(comparison.correlation.patterns)} patterns"


def _wilson(counts: tuple[int, int]) -> tuple[float, float]:
    low, high = unisim.wilson_interval(*counts)
    return 100 * low, 100 * high


def _patterns_table(sides: Sequence[PatternAccuracies], names: Sequence[str]) -> Table:
    columns = ["pattern"]
    rows = [[pattern] for pattern in sides[0].percent]
    for side, name in zip(sides, names, strict=True):
        columns += [name, *(["95 %", f"right {side.of}"] if side.counts else [])]
        for row in rows:
            row.append(f"{side.percent[row[0]]:.1f} %")
            if side.counts:
                low, high = _wilson(side.counts[row[0]])
                row += [f"{low:.1f} to {high:.1f} %", "{} of {}".format(*side.counts[row[0]])]
    return Table("", "", columns, rows)


def _bars(sides: Sequence[PatternAccuracies], names: Sequence[str]) -> str:
    import plotly.graph_objects as go

    patterns = list(sides[0].percent)
    figure = go.Figure()
    for side, name, color in zip(sides, names, COLORS, strict=False):
        values = [side.percent[pattern] for pattern in patterns]
        ends = [_wilson(side.counts[pattern]) for pattern in patterns] if side.counts else []
        around = {
            "type": "data",
            "symmetric": False,
            "array": [high - value for (_, high), value in zip(ends, values, strict=False)],
            "arrayminus": [value - low for (low, _), value in zip(ends, values, strict=False)],
            "color": "rgba(31, 41, 51, .55)",
            "thickness": 1.2,
            "width": 3,
        }
        figure.add_trace(
            go.Bar(
                x=values, y=patterns, orientation="h", name=name, marker={"color": color},
                error_x=around if ends else None, hovertemplate="%{y}: %{x:.1f} %<extra>%{fullData.name}</extra>",
            )
        )  # fmt: skip
    chances = dict.fromkeys(side.chance for side in sides if side.chance is not None)
    for chance in chances:
        those = [name for side, name in zip(sides, names, strict=True) if side.chance == chance]
        whose = "" if len(those) == len(sides) else f", {' and '.join(those)}"
        name = f"chance {chance:.0f} %{whose}"
        figure.add_vline(x=chance, line=CHANCE_LINE, name=name, showlegend=True)
    figure.update_layout(
        height=130 + (18 + 20 * len(sides)) * len(patterns),
        bargap=0.3,
        margin={"l": 16, "r": 16, "t": 60, "b": 48},
        xaxis={"title": {"text": "right, %"}, "range": [0, 101]},
        yaxis={"automargin": True, "autorange": "reversed", "ticksuffix": "  "},
        showlegend=True,
    )
    return plot(figure, "patterns")


def _scatter(comparison: PatternComparison, names: Sequence[str]) -> str:
    """A point for each pattern; patterns on the same point share its label."""
    import plotly.graph_objects as go

    points: dict[tuple[float, float], list[str]] = {}
    for pattern, x in comparison.a.percent.items():
        points.setdefault((x, comparison.b.percent[pattern]), []).append(pattern)
    labels = [", ".join(patterns) for patterns in points.values()]
    figure = go.Figure(
        go.Scatter(
            x=[x for x, _ in points],
            y=[y for _, y in points],
            mode="markers+text",
            text=labels,
            textposition=_label_sides(list(points), labels),
            cliponaxis=False,
            marker={"size": 10, "color": COLORS[0]},
            hovertemplate="%{text}<br>%{x:.1f} %, %{y:.1f} %<extra></extra>",
        )
    )
    if comparison.a.chance is not None:
        figure.add_vline(x=comparison.a.chance, line=CHANCE_LINE)
    if comparison.b.chance is not None:
        figure.add_hline(y=comparison.b.chance, line=CHANCE_LINE)
    figure.update_layout(
        height=560,
        margin={"l": 56, "r": 16, "t": 32, "b": 56},
        xaxis={
            "title": {"text": f"{names[0]}: right, %"},
            "range": _range(x for x, _ in points),
            "zeroline": False,
        },
        yaxis={
            "title": {"text": f"{names[1]}: right, %"},
            "range": _range(y for _, y in points),
            "zeroline": False,
        },
        showlegend=False,
    )
    return plot(figure, "correlation", first=False)


def _range(values: Iterable[float]) -> tuple[float, float]:
    """From zero, with room for markers and labels."""
    most = max(values)
    return -0.04 * (most + 1), 1.1 * (most + 1)


def _label_sides(points: Sequence[tuple[float, float]], labels: Sequence[str]) -> list[str]:
    """Where each label stands: on the first side where it covers no point and no label before it, on a wide screen."""
    (left, right), (bottom, top) = (_range(axis) for axis in zip(*points, strict=True))
    centres = [(x * 1000 / (right - left), y * 470 / (top - bottom)) for x, y in points]  # pixels
    taken = [(x - 6, x + 6, y - 6, y + 6) for x, y in centres]
    sides = []
    for k, (label, (x, y)) in enumerate(zip(labels, centres, strict=True)):
        half = 3.5 * len(label)  # letters of 13 pixels
        offsets = {
            "top center": (0.0, 14), "bottom center": (0.0, -14),
            "middle right": (half + 9, 0), "middle left": (-half - 9, 0),
        }  # fmt: skip
        boxes = {
            side: (x + dx - half, x + dx + half, y + dy - 6, y + dy + 6) for side, (dx, dy) in offsets.items()
        }
        others = taken[:k] + taken[k + 1 :]
        free = [side for side, box in boxes.items() if not any(_overlap(box, other) for other in others)]
        sides.append(free[0] if free else "top center")
        taken.append(boxes[sides[-1]])
    return sides


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def mme_page(
    scores: Mapping[str, Any], parser: str, remarks: Sequence[str] = (), failures: Sequence[str] = ()
) -> str:
    """The page of MME's sixteen leaderboards of `scores`, MmeScores by model."""
    boards = unisim.mme_leaderboards(scores)
    order = [place.model for place in boards[0].places] + boards[0].absent
    first = boards[0].places
    facts = [(str(len(scores)), "model" if len(scores) == 1 else "models")]
    if first:
        facts.append((f"{first[0].score:.2f}", f"best perception, of 2,000: {first[0].model}"))
    if boards[1].places:
        best = boards[1].places[0]
        facts.append((f"{best.score:.2f}", f"best cognition, of 800: {best.model}"))
    sections = [
        Section(
            "Scores by subtask",
            "Up to 200 each: 100 acc + 100 acc_plus. The models stand in the order of their perception.",
            _heat_map(scores, [board.name for board in boards[2:]], order),
        ),
        Section(
            "Leaderboards",
            "Equal scores share a rank. A model without a subtask's file is in no total of its group.",
            tables=[_board(board) for board in boards],
        ),
    ]
    if remarks:
        sections.append(
            Section("Not the whole benchmark", "These scores are of other answers.", lines=remarks)
        )
    if failures:
        sections.append(
            Section("Not read", "These models are left out; the others are not affected.", lines=failures)
        )
    title = f"MME: {order[0]}" if len(order) == 1 else f"MME: {len(order)} models"
    text = "MME (Fu et al., arXiv 2306.13394): questions with yes or no. "
    text += f"Responses were read as {PARSERS[parser]} does."
    return _page(title, text, facts, sections)


def _board(board: Any) -> Table:
    rows = [[place.model, str(place.rank), f"{place.score:.2f}"] for place in board.places]
    rows += [[name, "", "no file"] for name in board.absent]
    return Table(board.name, "", ["model", "rank", "score"], rows)


def _heat_map(scores: Mapping[str, Any], subtasks: Sequence[str], order: Sequence[str]) -> str:
    import plotly.graph_objects as go

    found = {model: {one.name: one.score for one in scores[model].subtasks} for model in order}
    figure = go.Figure(
        go.Heatmap(
            x=list(subtasks),
            y=list(order),
            z=[[found[model].get(subtask) for subtask in subtasks] for model in order],
            zmin=0,
            zmax=200,
            text=[[_whole(found[model].get(subtask)) for subtask in subtasks] for model in order],
            texttemplate="%{text}",
            colorscale=[[0, "#fbfcfd"], [1, "#6ba3ca"]],  # light enough for dark figures
            textfont={"color": "#1f2933"},
            xgap=2,
            ygap=2,
            colorbar={"title": {"text": "score"}, "thickness": 12},
            hovertemplate="%{y}, %{x}: %{z:.2f}<extra></extra>",
        )
    )
    figure.update_layout(
        height=200 + 34 * len(order),
        margin={"l": 16, "r": 16, "t": 40, "b": 16},
        xaxis={"automargin": True, "tickangle": -40, "showgrid": False},
        yaxis={"automargin": True, "autorange": "reversed", "showgrid": False, "ticksuffix": "  "},
    )
    return plot(figure, "subtasks")


def _whole(score: float | None) -> str:
    return "–" if score is None else f"{score:.0f}"
