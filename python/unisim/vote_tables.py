"""Tables of what people said, with the numbers of a metric beside it: `unisim score 2afc` and `unisim score mos`."""

import csv
import os
import re
from typing import Any

import numpy

# What a number looks like: no blanks, no "nan" or "inf", no digits but ASCII's.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def score_2afc(file: str | os.PathLike[str]) -> dict[str, Any]:
    """The 2AFC score of a table of distances and votes (Zhang et al., CVPR 2018).

    Parameters
    ----------
    file : str or os.PathLike
        CSV in UTF-8 with the header ``d0,d1,vote``: the distances of two candidates from one reference, lower for the
        more similar, and the share of people, in [0, 1], who preferred the second.

    Returns
    -------
    dict
        ``score``, the mean of what the items count, see `unisim.two_afc_score`; ``n`` items; ``ties``, items of equal
        distances; ``interval``, [low, high], a 95 % bootstrap of the score over items.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such table: another header, no rows or one, a field that is not a finite number, a vote outside
        [0, 1]. File and line are named.
    """
    import unisim

    d0, d1, votes = _columns("2afc", file, ("d0", "d1", "vote"), least=2, shares={"vote"})
    items = unisim.two_afc_items(d0, d1, votes)
    return {
        "score": unisim.two_afc_score(d0, d1, votes),
        "n": len(items),
        "ties": int((d0 == d1).sum()),
        "interval": list(unisim.bootstrap_interval(items)),
    }


def score_mos(file: str | os.PathLike[str]) -> dict[str, Any]:
    """The correlations of a metric with mean opinions, and its error after a logistic fit (Sheikh et al. 2006).

    Parameters
    ----------
    file : str or os.PathLike
        CSV in UTF-8 with the header ``score,mos``: the metric's number and the mean opinion of people on one item.

    Returns
    -------
    dict
        ``n`` items; ``spearman`` and ``kendall`` (tau-b) of the numbers as they are; ``pearson`` and ``rmse`` after the
        five-parameter logistic, ``parameters``, has been fitted (`unisim.fit_logistic`), ``converged`` whether it
        reached a minimum; ``spearman_interval``, [low, high], a 95 % bootstrap over items; ``pearson_interval``, by
        Fisher's transformation, the fit taken as given.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such table: another header, fewer than five rows, a field that is not a finite number (file and line
        are named); if one side is all equal.
    """
    import unisim

    score, mos = _columns("mos", file, ("score", "mos"), least=5)
    for name, values in (("score", score), ("mos", mos)):
        if (values == values[0]).all():
            raise ValueError(
                f"[mos] {os.fspath(file)}: every {name} is {values[0]}: a constant has no correlation"
            )
    fit = unisim.fit_logistic(score, mos)
    return {
        "n": len(mos),
        "spearman": unisim.spearman(score, mos),
        "spearman_interval": list(unisim.correlation_bootstrap(score, mos, "spearman")),
        "kendall": unisim.kendall_tau_b(score, mos),
        "pearson": fit.pearson,
        "pearson_interval": list(unisim.fisher_interval(fit.pearson, len(mos))),
        "rmse": fit.rmse,
        "parameters": list(fit.parameters),
        "converged": fit.converged,
    }


def _columns(
    operation: str,
    file: str | os.PathLike[str],
    names: tuple[str, ...],
    least: int,
    shares: frozenset[str] | set[str] = frozenset(),
) -> list[numpy.ndarray[Any, numpy.dtype[numpy.float64]]]:
    """The columns of a table of finite numbers with this very header; those of `shares` lie in [0, 1]."""
    where = f"[{operation}] {os.fspath(file)}"
    rows: list[list[float]] = []
    with open(file, encoding="utf-8", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            header = next(reader, None)
            if header != list(names):
                found = "nothing" if header is None else repr(",".join(header))
                raise ValueError(f"{where}: line 1: found {found}, expected the header {','.join(names)!r}")
            for row in reader:
                rows.append(_numbers(row, names, shares, f"{where}: line {reader.line_num}"))
        except csv.Error as error:
            raise ValueError(f"{where}: line {reader.line_num}: not CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise ValueError(f"{where}: not UTF-8: {error}") from error
    if len(rows) < least:
        raise ValueError(f"{where}: found {len(rows)} rows below the header, expected at least {least}")
    return list(numpy.array(rows, dtype=numpy.float64).T.copy())


def _numbers(
    row: list[str], names: tuple[str, ...], shares: frozenset[str] | set[str], where: str
) -> list[float]:
    if len(row) != len(names):
        raise ValueError(f"{where}: found {len(row)} fields, expected {len(names)}: {','.join(names)}")
    numbers = []
    for name, field in zip(names, row, strict=True):
        number = float(field) if _NUMBER.fullmatch(field) else None
        if number is None or number in (float("inf"), float("-inf")):
            raise ValueError(f"{where}: {name} is {field!r}, expected a finite number")
        if name in shares and not 0 <= number <= 1:
            raise ValueError(f"{where}: {name} is {field}, expected a share in [0, 1]")
        numbers.append(number)
    return numbers
