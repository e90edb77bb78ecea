"""unisim import NAME DIR -o TASK"""

from pathlib import Path
from typing import Annotated

import typer

from unisim.cli.options import Color, Json, NoProgress, Quiet
from unisim.cli.output import Output


def importing(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="A data set; --list names them.")] = None,
    data: Annotated[
        Path | None, typer.Argument(metavar="DIR", help="Its folder, as its authors publish it.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="TASK", help="The folder to make.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the pairs that the rule draws.")] = 0,
    option: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="An option of the data set's rule."),
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="All names, with task, origin, terms and options.")
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Make a task of a data set with human judgements: items that are the same for everyone, frozen with their hashes.

    The same files give the same bytes on every machine. `unisim evaluate TASK --data DIR` holds a metric against it.
    """
    output = Output(json, quiet, no_progress, color)
    if listing:
        _list(output)
        return
    if name is None or data is None or out is None:
        raise typer.BadParameter("give NAME, DIR and -o TASK, or --list")
    from unisim import importers

    given = dict(_pair(text) for text in option or [])
    with output.progress(f"importing {name}") as progress:
        task = importers.import_task(name, data, out, seed=seed, options=given, progress=progress)
    output.result(
        {"name": name, "task": task.task, "out": str(out), "items": task.items, "files": task.files,
         "manifest": task.manifest},
        lambda: print(f"{task.items} items, {task.files} pictures: {out} ({task.task}, manifest {task.manifest[:12]})"),
    )  # fmt: skip


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--option {text}: expected KEY=VALUE")
    return key, value


def _list(output: Output) -> None:
    from unisim.importers import DATA_SETS

    rows = [
        {
            "name": one.name,
            "task": one.task,
            "attribute": one.attribute,
            "origin": one.origin,
            "terms": one.terms,
            "options": {
                key: {"default": default, "help": help_} for key, (default, help_) in one.options.items()
            },
        }
        for one in DATA_SETS.values()
    ]

    def draw() -> None:
        output.table(
            ("name", "task", "origin", "terms", "options"),
            [
                (
                    one.name,
                    one.task + (f" ({one.attribute})" if one.attribute else ""),
                    one.origin,
                    one.terms,
                    ", ".join(f"{key}={default}" for key, (default, _) in one.options.items()),
                )
                for one in DATA_SETS.values()
            ],
        )

    output.result({"data_sets": rows}, draw)
