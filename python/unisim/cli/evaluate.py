"""unisim evaluate TASK --metric METRIC"""

import json as json_
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unisim.cli import names
from unisim.cli.options import Color, Device, DType, Json, NoProgress, Quiet
from unisim.cli.output import PARTIAL, Output, failure

Mode = Literal["naive", "clip-iqa"]


def evaluate(
    task: Annotated[list[Path], typer.Argument(metavar="TASK...", help="Folders that `unisim import` made.")],
    metric: Annotated[
        list[str],
        typer.Option("--metric", metavar="METRIC", help="As for `unisim compare`; may be given again."),
    ],
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="The data set's own folder.")
    ] = None,
    mode: Annotated[
        Mode, typer.Option("--mode", help="How an image-text encoder is asked about quality.")
    ] = "naive",
    examples: Annotated[
        Path | None,
        typer.Option("--examples", metavar="TASK", help="Solved items for vlm:FOLDER,shots=K come from here."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="OUT.json", help="Every item's scores, for later.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT.html", help="A page for people, with pictures.")
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store",
            metavar="DIR",
            help="Where rows and scores are kept; if not given, in the cache folder.",
        ),
    ] = None,
    no_store: Annotated[bool, typer.Option("--no-store", help="Keep nothing, compute everything.")] = False,
    device: Device = "cpu",
    dtype: DType = "float32",
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Hold metrics against human judgement: how often each chooses as people did, with its interval.

    What was computed is kept by content: a run that was cut off goes on where it was, and ends in the same bytes. Where
    a metric finds candidates equal it is taken to have chosen the first; such ties are counted.
    """
    output = Output(json, quiet, no_progress, color)
    split = [names.split(one, names.METRIC) for one in metric]
    import unisim
    from unisim import results, whole_files
    from unisim.cache import cache_folder

    kept = None if no_store else store or cache_folder() / "rows"
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
    tasks = [unisim.Task.load(one, data) for one in task]
    solved = unisim.Task.load(examples, data) if examples else None
    found: list[results.Result] = []
    judges = list(_judges(split, device, dtype))
    for judge in judges:  # what one of them cannot do is said before hours of work
        for one in tasks:
            unisim.require_able(one, judge)
    with whole_files.written_whole(*([out] if out else []), *([report] if report else [])) as streams:
        found = [_evaluate(output, one, judge, mode, kept, solved) for judge in judges for one in tasks]
        if out:
            streams[0].write(_stored(found))
        if report:
            from unisim import evaluation_report

            streams[-1].write(evaluation_report.page(tasks, found).encode())
    _show(output, found, (device, dtype), out, report)
    if any(one["n"] < one["of"] for one in found):
        raise typer.Exit(PARTIAL)


def _judges(split: Sequence[tuple[str, dict[str, Any]]], device: str, dtype: str) -> Iterator[Any]:
    """The metrics. Those that ask the model of one folder share it, and what it keeps of pictures."""
    import unisim

    loaded: dict[str, Any] = {}
    for name, options in split:
        kind, _, folder = name.partition(":")
        if kind == "vlm" and folder:
            place = os.path.realpath(folder)
            if place not in loaded:
                loaded[place] = unisim.Vlm.load(folder, device=device, dtype=dtype)
            yield unisim.metric(name, vlm=loaded[place], **options)
        else:
            yield unisim.metric(name, **names.asked(options, device, dtype))


def _evaluate(
    output: Output, task: Any, judge: Any, mode: Mode, store: Path | None, examples: Any
) -> dict[str, Any]:
    import unisim
    from unisim import results

    with output.progress(f"{task.name}, {judge.name}") as progress:
        evaluation = unisim.evaluate(task, judge, mode=mode, store=store, examples=examples, progress=progress)
    if evaluation.found:
        output.say(
            f"{task.name}, {judge.name}: {evaluation.computed} computed, {evaluation.found} found in the store"
        )
    return results.result_of(task, evaluation)


_ASKED = (">coverage", ">bias", ">unparsable")
LEAST_COVERAGE = 0.01  # below it a warning: of a hundred answers not one would be a letter


def _said(result: dict[str, Any]) -> tuple[str, str, str]:
    """What stands beside the score of a model that was asked."""
    from unisim import results

    if "coverage" not in result:
        return "", "", ""
    written = result["unparsable"] is not None
    return (
        "" if written else f"{result['coverage']:.2g}",
        f"{result['bias']:+.2f}" if ",swap=no" not in result["metric"] else "",
        results.percent(result["unparsable"]) if written else "",
    )


def _stored(found: list[dict[str, Any]]) -> bytes:
    from unisim import __version__

    content = {"unisim": __version__, "results": found}
    return json_.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _show(
    output: Output,
    found: list[dict[str, Any]],
    ran: tuple[str, str],
    out: Path | None,
    report: Path | None,
) -> None:
    from unisim import results

    for one in found:
        for failed in one["failed"]:
            output.warn(failure(failed["file"], failed["error"]))
        left = one["of"] - one["n"]
        if left:
            error = next(item["error"] for item in one["items"] if item["error"])
            output.warn(f"{one['task']}, {one['metric']}: {left} of {one['of']} items have no score: {error}")
        if one.get("unparsable", 0) is None and one["coverage"] < LEAST_COVERAGE:
            output.warn(
                f"{one['task']}, {one['metric']}: the letters have {one['coverage']:.2g} of all probability: the model "
                "wanted to say something else, its choices tell little"
            )
    compared = results.compare(found)
    short = results.short_names(found)
    asked = any("coverage" in one for one in found)

    def draw() -> None:
        output.table(
            ("task", "metric", ">score", ">95 %", ">n", ">ties", *(_ASKED if asked else ())),
            [
                (
                    what,
                    short[results.named(one)],
                    results.percent(value),
                    "{} to {}".format(*(results.percent(end) for end in interval)),
                    str(one["n"]),
                    str(one.get("ties", "")),
                    *(_said(one) if asked else ()),
                )
                for one in found
                for what, value, interval in results.shown(one)
            ],
        )
        for comparison in compared:
            output.say(
                f"{comparison.task}: {short[comparison.a]} against {short[comparison.b]}: {100 * comparison.difference:+.1f} points, "
                f"p {comparison.p_holm:.3g} (McNemar, Holm)"
            )
        if report or out:
            print(report or out)

    content: dict[str, Any] = {"device": ran[0], "dtype": ran[1]}
    summaries = [results.without_items(one) for one in found]
    if len(summaries) == 1:
        content |= summaries[0]
    else:
        content |= {"results": summaries, "comparisons": [vars(one) for one in compared]}
    content |= {"out": str(out) if out else None, "report": str(report) if report else None}
    output.result(content, draw)
