"""unisim embed MODEL FOLDER_OR_LIST -o OUT.npy"""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from unisim.cli import names
from unisim.cli.options import BatchSize, Color, Device, DType, Json, NoProgress, Quiet
from unisim.cli.output import PARTIAL, Output, failure


def embed(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL", help="A model's name or folder; options may follow: FOLDER,layer=9,pool=mean."
        ),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER_OR_LIST", help="A folder of images, a list of files (one a line), or -."
        ),
    ],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT.npy", help="Where the rows go; OUT.json beside it.")
    ],
    texts: Annotated[
        bool, typer.Option("--texts", help="The list holds texts, one a line, instead of files.")
    ] = False,
    device: Device = "cpu",
    dtype: DType = "float32",
    batch_size: BatchSize = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Embed images (or texts): one float32 row of length one each, with the names of the rows in OUT.json.

    A folder is searched with its sub-folders; its rows are sorted by the bytes of their relative paths. A list keeps
    its order. Files that cannot be read get no row; they are named and the exit code is 3.
    """
    started = time.monotonic()
    name, options = names.split(model)
    if out.suffix != ".npy":
        raise typer.BadParameter(f"-o {out}: a name that ends in .npy is expected")
    if texts and options:
        raise typer.BadParameter("layer and pool are of images, not of --texts")
    from unisim import rows, whole_files

    output = Output(json, quiet, no_progress, color)
    with whole_files.written_whole(out, rows.record_of(out)) as (npy, record):
        made = _rows(output, name, source, texts, (device, dtype), batch_size, options)
        rows.save(
            made, npy, record, source=source, kind="texts" if texts else "images", device=device, dtype=dtype
        )
    seconds = time.monotonic() - started
    for file, error in made.failed:
        output.warn(failure(file, error))
    shape = made.rows.shape
    output.result(
        {
            "rows": shape[0],
            "dim": shape[1],
            "failed": [{"file": file, "error": error} for file, error in made.failed],
            "seconds": seconds,
            "out": str(out),
            "device": device,
            "dtype": dtype,
        },
        lambda: print(f"{shape[0]} rows of {shape[1]} in {seconds:.1f} s: {out}"),
    )
    if made.failed:
        raise typer.Exit(PARTIAL)


def _rows(
    output: Output,
    name: str,
    source: str,
    texts: bool,
    where: tuple[str, str],
    batch_size: int | None,
    options: dict[str, Any],
) -> Any:
    from unisim import rows, sources

    if texts:
        lines = [sources.text(line) for line in sources.lines_of(source)]
        if not lines:
            raise ValueError(f"[embed] {source}: no text in this list")
    else:
        images = sources.images_of(source)
        if images.others:
            output.say(f"{source}: {images.others} files are no images by their endings; passed over")
    import unisim

    encoder = unisim.Encoder.load(name, device=where[0], dtype=where[1])
    with output.progress(f"embedding, {encoder.name}") as progress:
        if texts:
            return rows.embed_texts(encoder, lines, batch_size, progress)
        made = rows.embed_images(encoder, images, batch_size, progress, **options)
    if not made.names:
        raise ValueError(
            f"[embed] {source}: none of {len(made.failed)} files could be read; the first: {made.failed[0][1]}"
        )
    return made
