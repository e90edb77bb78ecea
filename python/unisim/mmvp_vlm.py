"""MMVP-VLM: asks a metric of images and texts which statement belongs to which of two pictures (arXiv 2401.06209)."""

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unisim

ROOTS = ("MLLM_VLM Images", "MMVP_VLM_Images")  # in the data set; in its authors' README
PREFIX = "a photo of "


@dataclass(frozen=True)
class Statement:
    """One picture of the benchmark and what is true of it."""

    pattern: str
    image: Path
    text: str


def read_statements(folder: str | Path) -> list[Statement]:
    """The statements of MMVP-VLM in its own layout, in the order of their ids; two that follow make a pair.

    Parameters
    ----------
    folder : path
        Holds Questions.csv (Question ID,Type,Statement, by position as the authors' script reads it) and the pictures
        TYPE/ID.jpg in "MLLM_VLM Images" or "MMVP_VLM_Images". A TYPE may be written with "_" for " ".

    Raises
    ------
    OSError
        If the table, the folder of pictures or one of them is missing.
    ValueError
        A row of other than three columns, ids that are not 1, 2, ..., an odd number of them, a pair of two types: with
        the line.
    """
    table = Path(folder) / "Questions.csv"
    root = _root(Path(folder))
    found: list[Statement] = []
    with open(table, encoding="utf-8-sig", newline="") as lines:
        reader = csv.reader(lines, strict=True)
        try:
            next(reader, None)
            for row in filter(None, reader):
                found.append(_statement(row, f"{table}:{reader.line_num}", root, found))
        except csv.Error as error:
            raise ValueError(f"{table}:{reader.line_num}: {error}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{table}: is not UTF-8") from None
    if not found or len(found) % 2:
        raise ValueError(f"{table}: has {len(found)} statements, expected an even number, two a pair")
    return found


def _root(folder: Path) -> Path:
    for name in ROOTS:
        if (folder / name).is_dir():
            return folder / name
    raise FileNotFoundError(2, f"no folder {ROOTS[0]!r} or {ROOTS[1]!r}", str(folder))


def _statement(row: list[str], place: str, root: Path, before: list[Statement]) -> Statement:
    if len(row) != 3:
        raise ValueError(f"{place}: has {len(row)} columns, expected Question ID,Type,Statement")
    number, pattern, text = (cell.strip() for cell in row)
    if number != str(len(before) + 1):
        raise ValueError(f"{place}: has the Question ID {number!r}, expected {len(before) + 1}")
    if len(before) % 2 and before[-1].pattern != pattern:
        raise ValueError(f"{place}: has the Type {pattern!r}, the other of its pair {before[-1].pattern!r}")
    if not pattern or "/" in pattern or pattern in (".", ".."):
        raise ValueError(f"{place}: has the Type {pattern!r}, expected the name of a folder")
    names = dict.fromkeys((pattern, pattern.replace(" ", "_"), pattern.replace("_", " ")))
    files = [root / name / f"{number}.jpg" for name in names]
    image = next((file for file in files if file.is_file()), None)
    if image is None:
        raise FileNotFoundError(2, "no such picture", str(files[0]))
    return Statement(pattern, image, text)


def mmvp_vlm(
    metric: Callable[..., Any],
    folder: str | Path,
    *,
    prefix: str = PREFIX,
    progress: Callable[[int, int], object] | None = None,
) -> "unisim.MmvpVlmScore":
    """Score a metric on MMVP-VLM.

    Parameters
    ----------
    metric : Metric
        Of images and texts: metric(images, texts) gives one number a pair. A distance is turned about.
    folder : path
        The benchmark's, as `read_statements` reads it.
    prefix : str
        Stands before every statement.
    progress : callable, optional
        Called as progress(comparisons done, comparisons), four a pair.

    Returns
    -------
    MmvpVlmScore
        Percent of pairs in which each statement takes its own image: per pattern, and of all.

    Raises
    ------
    OSError, ValueError
        As `read_statements`; a metric that reads no text.
    """
    return unisim.score_mmvp_vlm(similarities(metric, read_statements(folder), prefix, progress))


def similarities(
    metric: Callable[..., Any],
    statements: list[Statement],
    prefix: str = PREFIX,
    progress: Callable[[int, int], object] | None = None,
) -> list[tuple[str, float, float, float, float]]:
    """(pattern, i1t1, i2t1, i1t2, i2t2) of each pair, higher is more alike: what `score_mmvp_vlm` takes."""
    images: list[Any] = []
    texts: list[Any] = []
    for first, second in zip(statements[::2], statements[1::2], strict=True):
        for statement in (first, second):
            images += [str(first.image), str(second.image)]
            texts += [unisim.Text(prefix + statement.text)] * 2
    # One call, so that a metric computes once on what comes again.
    asked = metric(images, texts, progress=progress) if progress else metric(images, texts)
    sign = 1.0 if getattr(metric, "higher_is_better", True) else -1.0
    scores = [sign * float(score) for score in asked]
    if len(scores) != len(images):
        raise ValueError(f"[mmvp_vlm] the metric gave {len(scores)} numbers for {len(images)} comparisons")
    return [
        (statements[k // 2].pattern, scores[k], scores[k + 1], scores[k + 2], scores[k + 3])
        for k in range(0, len(scores), 4)
    ]


@dataclass(frozen=True)
class PatternCorrelation:
    """Pearson's r over patterns, with Fisher's interval: of nine patterns it is wide."""

    r: float
    interval: tuple[float, float]
    patterns: tuple[str, ...]


def pattern_correlation(
    a: Mapping[str, float], b: Mapping[str, float], confidence: float = 0.95
) -> PatternCorrelation:
    """Whether two models find the same visual patterns hard: MMVP's comparison of CLIP with language models.

    Parameters
    ----------
    a, b : mapping of str to float
        Accuracy by pattern, the same patterns in both, at least four: {p.pattern: p.accuracy for p in score.patterns}.
    confidence : float

    Raises
    ------
    ValueError
        Other patterns on one side (named), fewer than four, one side all equal.
    """
    alone = sorted(set(a) ^ set(b))
    if alone:
        raise ValueError(f"[pattern_correlation] only one side has {', '.join(alone)}")
    names = tuple(a)
    if len(names) < 4:
        raise ValueError(f"[pattern_correlation] {len(names)} patterns, expected at least 4")
    r = float(unisim.pearson([a[name] for name in names], [b[name] for name in names]))
    interval = unisim.fisher_interval(r, len(names), confidence=confidence)
    return PatternCorrelation(r, (interval.low, interval.high), names)
