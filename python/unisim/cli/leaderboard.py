"""unisim leaderboard RESULTS..."""

from pathlib import Path
from typing import Annotated, Any

import typer

from unisim.cli.options import Color, Json, Quiet
from unisim.cli.output import Output


def leaderboard(
    files: Annotated[
        list[Path], typer.Argument(metavar="RESULTS...", help="Files that `unisim evaluate -o` wrote.")
    ],
    json: Json = False,
    quiet: Quiet = False,
    color: Color = "auto",
) -> None:
    """Join results: a row for each metric, its rank and score on each task, the benchmark's means.

    Metrics are ranked within a task by their score, equal scores share a rank. Results of one task must be of the same
    manifest. Where a metric was held against a task twice, the later file counts; two models under one name are two
    metrics. Beside each stand the floating point numbers in its weights, in millions, and the height in pixels of what
    its model sees.
    """
    output = Output(json, quiet, False, color)
    from unisim import results

    found = results.told_apart([one for file in files for one in results.read_results(file)])
    boards = results.boards(found)
    means = results.means([row for board in boards for row in board.results])

    def draw() -> None:
        for board in boards:
            output.table(
                (">rank", "metric", ">score", ">95 %", ">n", ">parameters", ">pixels", "dtype"),
                [
                    (
                        str(rank),
                        results.named(one),
                        results.percent(results.score(one)),
                        "{} to {}".format(*(results.percent(end) for end in one["interval"])),
                        str(one["n"]),
                        _millions(one["model"]["parameters"]),
                        str(one["model"]["image_size"] or "–"),
                        one["model"]["dtype"],
                    )
                    for rank, one in zip(board.ranks, board.results, strict=True)
                ],
                title=f"{board.task} ({board.question})",
            )
        if len(boards) > 1:
            output.table(
                ("metric", ">core", ">other", ">all"),
                [
                    (
                        one.metric,
                        results.percent(one.core),
                        results.percent(one.ood),
                        results.percent(one.all_seven),
                    )
                    for one in means
                ],
                title="means of the benchmark",
            )

    content: dict[str, Any] = {
        "tasks": [
            {
                "task": board.task,
                "question": board.question,
                "manifest": board.manifest,
                "ranking": [
                    {"rank": rank, "metric": results.named(one), "score": results.score(one),
                     "interval": one["interval"], "n": one["n"], "model": one["model"]}
                    for rank, one in zip(board.ranks, board.results, strict=True)
                ],
            }
            for board in boards
        ],
        "means": [vars(one) for one in means],
    }  # fmt: skip
    output.result(content, draw)


def _millions(parameters: int) -> str:
    return f"{parameters / 1e6:.1f} M" if parameters else "–"
