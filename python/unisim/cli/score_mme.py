"""unisim score mme: answers already collected, by MME's own rule; several models make leaderboards."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unisim.cli.options import Color, Json
from unisim.cli.output import PARTIAL, Output, failure, reason

Parser = Annotated[
    Literal["official", "lmms", "vlmevalkit"],
    typer.Option("--parser", help="How a response becomes yes or no: as MME's own tool, or another's."),
]

MME_COUNTS = ("images", "questions", "acc", "acc_plus", "score", "other", "tp", "fn", "tn", "fp")


def score_mme(
    folders: Annotated[
        list[str],
        typer.Argument(metavar="FOLDER...", help="A model's answers, SUBTASK.txt; several: leaderboards."),
    ],
    parser: Parser = "official",
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT.html", help="A page for people: the leaderboards.")
    ] = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Score the answers of a model to MME (Fu et al., arXiv 2306.13394), or rank several models.

    FOLDER holds existence.txt to code_reasoning.txt. Each line: image, question, ground truth (Yes or No) and
    response, between tabs; the two lines of an image are adjacent. A subtask's score is 100 acc + 100 acc_plus, up
    to 200. A subtask without a file is named and in no total. A model is called by its folder's name.
    """
    import unisim

    out = Output(json, color=color)
    scores: dict[str, Any] = {}
    failed: list[tuple[str, Exception]] = []
    for name, folder in _names(folders).items():
        try:
            scores[name] = unisim.score_mme(folder, parser=parser)
        except (ValueError, OSError) as error:
            failed.append((folder, error))
    for folder, why in failed:
        out.warn(failure(folder, why))
    if not scores:
        raise failed[0][1]
    remarks = [line for name, score in scores.items() for line in _remarks(name, score)]
    for line in remarks:
        out.warn(line)
    if report:
        _write(report, scores, parser, remarks, failed)
    written = {"report": str(report) if report else None}
    if len(folders) == 1:
        (score,) = scores.values()
        content = {"folder": folders[0], "parser": parser, **_mme(score), **written}
        out.result(content, lambda: _draw_mme(out, folders[0], score, report))
        return
    boards = unisim.mme_leaderboards(scores)
    out.result(
        {
            "parser": parser,
            "models": [{"model": name, **_mme(score)} for name, score in scores.items()],
            "leaderboards": [_board(board) for board in boards],
            "failed": [{"file": folder, "error": str(why)} for folder, why in failed],
            **written,
        },
        lambda: _draw_boards(out, boards, report),
    )
    if failed:
        raise typer.Exit(PARTIAL)


def _names(folders: list[str]) -> dict[str, str]:
    """A model's name for each folder: its last part, or all of it where two share that."""
    short = [Path(folder).resolve().name for folder in folders]
    count = Counter(short)
    return {name if count[name] == 1 else folder: folder for name, folder in zip(short, folders, strict=True)}


def _remarks(name: str, score: Any) -> list[str]:
    """In what a model's answers are not those of the whole benchmark."""
    remarks = []
    if score.missing:
        remarks.append(f"{name}: no file for {', '.join(score.missing)}; in no total")
    partial = [
        f"{s.name} ({s.images} of {s.full_images})" for s in score.subtasks if s.images != s.full_images
    ]
    if partial:
        remarks.append(f"{name}: other numbers of images than the benchmark has: {', '.join(partial)}")
    return remarks


def _write(
    report: Path, scores: dict[str, Any], parser: str, remarks: list[str], failed: list[tuple[str, Exception]]
) -> None:
    from unisim import benchmark_report, whole_files

    failures = [f"{folder}: {reason(why).removeprefix(f'{folder}: ')}" for folder, why in failed]
    with whole_files.written_whole(report) as streams:
        streams[0].write(benchmark_report.mme_page(scores, parser, remarks, failures).encode())


def _mme(score: Any) -> dict[str, Any]:
    keys = ("group", *MME_COUNTS, "precision", "recall")
    return {
        "subtasks": {s.name: {key: getattr(s, key) for key in keys} for s in score.subtasks},
        "perception": score.perception,
        "cognition": score.cognition,
        "total": score.perception + score.cognition,
        "missing": score.missing,
    }


def _board(board: Any) -> dict[str, Any]:
    places = [{"rank": place.rank, "model": place.model, "score": place.score} for place in board.places]
    return {"name": board.name, "places": places, "absent": board.absent}


def _draw_mme(out: Output, folder: str, score: Any, report: Path | None) -> None:
    rows = [
        (s.name, f"{s.score:.2f}", repr(s.acc), repr(s.acc_plus), str(s.other), str(s.questions))
        for s in score.subtasks
    ]
    for name, value in (
        ("perception", score.perception),
        ("cognition", score.cognition),
        ("total", score.perception + score.cognition),
    ):
        rows.append((name, f"{value:.2f}", "", "", "", ""))
    out.table(("subtask", ">score", ">acc", ">acc+", ">other", ">questions"), rows, title=f"MME of {folder}")
    if report:
        print(report)


def _draw_boards(out: Output, boards: list[Any], report: Path | None) -> None:
    for board in boards:
        rows = [(str(place.rank), place.model, f"{place.score:.2f}") for place in board.places]
        rows += [("", name, "no file") for name in board.absent]
        out.table((">rank", "model", ">score"), rows, title=board.name)
    if report:
        print(report)
