"""unisim compare METRIC A B [C ...]"""

from typing import Annotated, Any

import typer

from unisim.cli import names
from unisim.cli.options import Color, Device, DType, Json, NoProgress, Quiet
from unisim.cli.output import PARTIAL, Output, Progress, failure


def compare(
    metric: Annotated[
        str,
        typer.Argument(
            metavar="METRIC",
            help="lpips-alex, lpips-vgg, ssim, ms-ssim, psnr, gmsd, dists:MODEL, dreamsim:MODEL, "
            "encoder:MODEL[,layer=9,pool=mean], or, with --text, clipscore:MODEL, vlm:MODEL.",
        ),
    ],
    images: Annotated[
        list[str], typer.Argument(metavar="A B...", help="Images; A is compared with each of the rest.")
    ],
    text: Annotated[
        str | None,
        typer.Option("--text", help="Compare this text with every image instead of the first image."),
    ] = None,
    device: Device = "cpu",
    dtype: DType = "float32",
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Score how alike one image and others are, by a metric; the number is the one that its authors define.

    Whether more or less of it means more alike is printed too. In JSON a score without bound (the PSNR of equal
    images) is null.
    """
    name, options = names.split(metric, names.METRIC)
    if text is None and len(images) < 2:
        raise typer.BadParameter("one image alone: give at least two, or one and --text")
    import unisim

    out = Output(json, quiet, no_progress, color)
    judge = unisim.metric(name, **names.asked(options, device, dtype))
    reference = unisim.Text(text) if text is not None else unisim.read_image(images[0])
    candidates = images if text is not None else images[1:]
    with out.progress(metric) as progress:
        scores, failed = _scores(judge, reference, candidates, progress)
    for file, error in failed:
        out.warn(failure(file, error))
    if not scores:
        raise failed[0][1]
    _show(out, judge, metric, text if text is not None else images[0], scores, failed, (device, dtype))
    if failed:
        raise typer.Exit(PARTIAL)


def _scores(
    judge: Any, reference: Any, candidates: list[str], progress: Progress | None
) -> tuple[list[tuple[str, float]], list[tuple[str, Exception]]]:
    """(file, score) of what could be scored, and (file, error) of the rest."""
    import unisim

    scores: list[tuple[str, float]] = []
    failed: list[tuple[str, Exception]] = []
    for done, file in enumerate(candidates, 1):
        try:
            scores.append((file, float(judge(reference, unisim.read_image(file)))))
        except (ValueError, OSError, NotImplementedError) as error:
            failed.append((file, error))
        if progress:
            progress(done, len(candidates))
    return scores, failed


def _show(
    out: Output,
    judge: Any,
    metric: str,
    reference: str,
    scores: list[tuple[str, float]],
    failed: list[tuple[str, Exception]],
    ran: tuple[str, str],
) -> None:
    better = "higher" if judge.higher_is_better else "lower"

    def draw() -> None:
        best_first = sorted(scores, key=lambda row: row[1], reverse=judge.higher_is_better)
        title = f"{metric} to {reference} ({better} is more alike)"
        out.table((">score", "file"), [(repr(score), file) for file, score in best_first], title=title)

    out.result(
        {
            "metric": metric,
            "higher_is_better": judge.higher_is_better,
            "reference": reference,
            "scores": [{"file": file, "score": score} for file, score in scores],
            "failed": [{"file": file, "error": str(error)} for file, error in failed],
            "device": ran[0],
            "dtype": ran[1],
        },
        draw,
    )
