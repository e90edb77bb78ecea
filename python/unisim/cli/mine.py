"""unisim mine FOLDER --alike MODEL --apart MODEL -o OUT.csv"""

import csv
import io
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from unisim.cli import names
from unisim.cli.options import BatchSize, Color, Device, DType, Json, NoProgress, Quiet
from unisim.cli.output import PARTIAL, Output, failure

if TYPE_CHECKING:
    from unisim.rows import Rows
    from unisim.sources import Sources

_MODEL_HELP = "A model (options may follow its name), or an .npy that `unisim embed` made of the same images."


def mine(
    folder: Annotated[
        str, typer.Argument(metavar="FOLDER", help="A folder of images, a list of files, or -.")
    ],
    alike: Annotated[
        str, typer.Option("--alike", metavar="MODEL", help=f"Finds the pairs alike. {_MODEL_HELP}")
    ],
    apart: Annotated[str, typer.Option("--apart", metavar="MODEL", help="Finds the same pairs different.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="OUT.csv", help="Where the pairs go.")],
    alike_above: Annotated[
        float, typer.Option("--alike-above", min=-1, max=1, help="Cosine to --alike, more than.")
    ] = 0.95,
    apart_below: Annotated[
        float, typer.Option("--apart-below", min=-1, max=1, help="Cosine to --apart, less than.")
    ] = 0.6,
    report: Annotated[
        Path | None,
        typer.Option("--report", metavar="OUT.html", help="A page that shows the pairs to people."),
    ] = None,
    device: Device = "cpu",
    dtype: DType = "float32",
    batch_size: BatchSize = None,
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Find the pairs of images that one model calls alike and another calls different (Tong et al., 2401.06209).

    OUT.csv has a row for each pair, sorted by (i, j), where i and j count the images that could be read. A file name
    that a spreadsheet would take for a formula (it begins with = + - @) gets a ' in front.
    """
    started = time.monotonic()
    models = {"alike": names.split(alike), "apart": names.split(apart)}
    from unisim import sources, whole_files

    output = Output(json, quiet, no_progress, color)
    images = sources.images_of(folder)
    with whole_files.written_whole(*([out] if report is None else [out, report])) as streams:
        made = {
            which: _rows(output, images, *models[which], (device, dtype), batch_size)
            for which in ("alike", "apart")
        }
        kept, failed = _common(images, made["alike"], made["apart"])
        pairs = _pairs(output, kept, alike_above, apart_below)
        _write_csv(streams[0], pairs, kept[0])
        if report is not None:
            _write_report(streams[1], images, kept, pairs, (alike_above, apart_below), (alike, apart), failed)
    seconds = time.monotonic() - started
    for file, error in failed:
        output.warn(failure(file, error))
    output.result(
        {
            "images": len(kept[0]),
            "pairs": len(pairs),
            "failed": [{"file": file, "error": error} for file, error in failed],
            "seconds": seconds,
            "out": str(out),
            "report": None if report is None else str(report),
            "device": device,
            "dtype": dtype,
        },
        lambda: print(f"{len(pairs)} pairs of {len(kept[0])} images in {seconds:.1f} s: {report or out}"),
    )
    if failed:
        raise typer.Exit(PARTIAL)


def _rows(
    output: Output,
    images: "Sources",
    name: str,
    options: dict[str, Any],
    where: tuple[str, str],
    batch_size: int | None,
) -> "Rows":
    from unisim import rows

    if name.endswith(".npy"):
        stored = rows.load(Path(name))
        _check_order(name, stored, images)
        return stored
    import unisim

    encoder = unisim.Encoder.load(name, device=where[0], dtype=where[1])
    with output.progress(f"embedding, {encoder.name}") as progress:
        return rows.embed_images(encoder, images, batch_size, progress, **options)


def _check_order(name: str, stored: "Rows", images: "Sources") -> None:
    """Stored rows belong to these very images, in this order."""
    left_out = {file for file, _ in stored.failed}
    expected = [file for file in images.names if file not in left_out]
    if stored.names == expected:
        return
    at = next((k for k, pair in enumerate(zip(stored.names, expected)) if pair[0] != pair[1]), -1)  # noqa: B905
    if at < 0:
        raise ValueError(
            f"[mine] {name} holds rows of {len(stored.names)} images, the folder has {len(expected)}"
        )
    raise ValueError(
        f"[mine] {name}: row {at} is of {stored.names[at]!r}, the folder has {expected[at]!r} there"
    )


def _common(
    images: "Sources", alike: "Rows", apart: "Rows"
) -> tuple[tuple[list[str], Any, Any], list[tuple[str, str]]]:
    """The images that have a row from both, with their rows; and the failures of either, each file once."""
    failed = dict(alike.failed) | dict(apart.failed)
    here = [{name: k for k, name in enumerate(rows.names)} for rows in (alike, apart)]
    names_ = [name for name in images.names if name in here[0] and name in here[1]]
    if not names_:
        raise ValueError(
            f"[mine] none of {len(failed)} files could be read; the first: {next(iter(failed.values()))}"
        )
    take = [
        rows.rows[[places[name] for name in names_]]
        for rows, places in zip((alike, apart), here, strict=True)
    ]
    return (names_, take[0], take[1]), list(failed.items())


def _pairs(output: Output, kept: tuple[list[str], Any, Any], alike_above: float, apart_below: float) -> Any:
    import torch

    import unisim

    alike, apart = (torch.from_numpy(rows) for rows in kept[1:])
    with output.progress("comparing all pairs") as progress:
        return unisim.mine_blind_pairs(
            alike, apart, alike_above=alike_above, apart_below=apart_below, progress=progress
        )


def _write_csv(stream: IO[bytes], pairs: Any, files: list[str]) -> None:
    text = io.TextIOWrapper(stream, encoding="utf-8", errors="surrogateescape", newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(("i", "j", "alike", "apart", "file_i", "file_j"))
    columns = (pairs.i.tolist(), pairs.j.tolist(), pairs.alike.numpy(), pairs.apart.numpy())
    for i, j, alike, apart in zip(*columns, strict=True):
        table.writerow((i, j, str(alike), str(apart), _cell(files[i]), _cell(files[j])))
    text.flush()
    text.detach()


def _cell(name: str) -> str:
    return f"'{name}" if name[:1] in "=+-@\t\r" else name


def _write_report(
    stream: IO[bytes],
    images: "Sources",
    kept: tuple[list[str], Any, Any],
    pairs: Any,
    thresholds: tuple[float, float],
    models: tuple[str, str],
    failed: list[tuple[str, str]],
) -> None:
    import torch

    from unisim import __version__
    from unisim.report import write_report

    write_report(
        Path(stream.name),
        files=[images.path(name) for name in kept[0]],
        alike=torch.from_numpy(kept[1]),
        apart=torch.from_numpy(kept[2]),
        pairs=pairs,
        alike_above=thresholds[0],
        apart_below=thresholds[1],
        alike_name=models[0],
        apart_name=models[1],
        failures=failed,
        settings={"images": str(images.root or "a list"), "unisim": __version__},
    )
