"""Options that several commands share."""

from typing import Annotated, Literal

import typer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing on stderr but errors.")]
NoProgress = Annotated[bool, typer.Option("--no-progress", help="Draw no progress bar.")]
Color = Annotated[Literal["auto", "always", "never"], typer.Option("--color", help="Colours on a terminal.")]
Device = Annotated[str, typer.Option("--device", help='Where the model runs: "cpu", "cuda", "cuda:0".')]
DType = Annotated[
    str, typer.Option("--dtype", help='What it computes in: "float32", "bfloat16", "float16" (CUDA).')
]
BatchSize = Annotated[
    int | None,
    typer.Option("--batch-size", min=1, help="Images at a time; chosen for the device if not given."),
]
