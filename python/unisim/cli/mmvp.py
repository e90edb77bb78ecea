"""unisim mmvp sheet PAIRS.csv; unisim mmvp folder SHEET.csv"""

from pathlib import Path
from typing import Annotated

import typer

from unisim.cli.help import add
from unisim.cli.options import Json
from unisim.cli.output import Output

mmvp_app = typer.Typer(help="From pairs that `unisim mine` found to questions in the layout of MMVP.")


def sheet(
    pairs: Annotated[Path, typer.Argument(metavar="PAIRS.csv", help="What `unisim mine` wrote.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="SHEET.csv", help="The sheet to fill.")],
    json: Json = False,
) -> None:
    """Write a sheet with a row for each pair: people add one question, two options, which holds for which picture.

    A row that is left empty is left out later. answer_i and answer_j are a or b, and must differ; pattern is one of
    orientation, presence, state, count, position, color, structure, text, viewpoint, or empty.
    """
    from unisim import question_sheet, whole_files

    text = question_sheet.sheet_of(pairs)
    with whole_files.written_whole(out) as streams:
        streams[0].write(text.encode("utf-8", errors="surrogateescape"))
    count = text.count("\n") - 1
    Output(json).result({"pairs": count, "out": str(out)}, lambda: print(f"{count} pairs to look at: {out}"))


def folder(
    filled: Annotated[Path, typer.Argument(metavar="SHEET.csv", help="A sheet that people filled.")],
    images: Annotated[
        Path, typer.Option("--images", metavar="DIR", help="What its file names are relative to.")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT", help="The folder to make.")],
    swap: Annotated[bool, typer.Option("--swap", help="Options in the other order.")] = False,
    numbers: Annotated[bool, typer.Option("--numbers", help="(1) and (2) in place of (a) and (b).")] = False,
    json: Json = False,
) -> None:
    """Make an MMVP folder of a filled sheet: numbered pictures and Questions.csv, two rows a pair.

    Half-filled rows, equal answers and unknown patterns are refused, by line.
    """
    from unisim import question_sheet

    questions = question_sheet.questions_of(filled)
    question_sheet.write_mmvp(questions, images, out, swap=swap, numbers=numbers)
    Output(json).result(
        {"pairs": len(questions), "questions": 2 * len(questions), "out": str(out)},
        lambda: print(f"{len(questions)} pairs, {2 * len(questions)} questions: {out}"),
    )


add(mmvp_app, sheet, "unisim mmvp sheet pairs.csv -o sheet.csv")
add(mmvp_app, folder, "unisim mmvp folder sheet.csv --images photos -o my-mmvp")
