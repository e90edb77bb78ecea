"""Accuracy by visual pattern of two models: MMVP's comparison of CLIP with language models (arXiv 2401.06209)."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import unisim
from unisim import csv_rows
from unisim.mmvp_vlm import PatternCorrelation, pattern_correlation

# The nine patterns as MMVP's questions are tagged: what MMVP-VLM's folders and the paper's headings call them.
NAMES = {
    "orientation": ("Orientation", "Orientation and Direction"),
    "presence": ("Presence", "Presence of Specific Features"),
    "state": ("State", "State and Condition"),
    "count": ("Quantity", "Quantity and Count"),
    "position": ("Spatial", "Positional and Relational Context"),
    "color": ("Color", "Color and Appearance"),
    "structure": (
        "Structural Character",
        "Structural Characteristics",
        "Structural and Physical Characteristics",
    ),
    "text": ("Text", "Texts"),
    "viewpoint": ("Camera Perspective", "Viewpoint and Perspective"),
}
CHANCE = {"pairs": 25.0, "questions": 50.0}

_TAGS = {name.casefold(): tag for tag, names in NAMES.items() for name in (tag, *names)}


@dataclass(frozen=True)
class PatternAccuracies:
    """One model's accuracy in percent by visual pattern."""

    file: str
    percent: dict[str, float]
    counts: dict[str, tuple[int, int]]  # (right, of); empty where only the percentages are known
    of: Literal["pairs", "questions"] | None  # what is counted: MMVP-VLM's pairs or MMVP's questions

    @property
    def chance(self) -> float | None:
        """What guessing gives, in percent, where it is known."""
        return None if self.of is None else CHANCE[self.of]

    @property
    def mean(self) -> float:
        """Percent right of all; the mean of the patterns where the counts are not known."""
        if not self.counts:
            return sum(self.percent.values()) / len(self.percent)
        right = sum(right for right, _ in self.counts.values())
        return 100 * right / sum(of for _, of in self.counts.values())


@dataclass(frozen=True)
class PatternComparison:
    """Two models over the same patterns, called in both as the first calls them."""

    a: PatternAccuracies
    b: PatternAccuracies
    correlation: PatternCorrelation


def of_mmvp_vlm(file: str, score: "unisim.MmvpVlmScore") -> PatternAccuracies:
    """What MMVP-VLM's rule made of the similarities in `file`."""
    return _counted(file, ((p.pattern, p.right, p.pairs) for p in score.patterns), "pairs")


def read_patterns(file: str | os.PathLike[str]) -> PatternAccuracies:
    """A model's accuracy by pattern, of any file that has it.

    Parameters
    ----------
    file : path
        Similarities of MMVP-VLM, as `score_mmvp_vlm` reads them; or what `unisim score mmvp --json` or `unisim score
        mmvp-vlm --json` printed; or a CSV pattern,accuracy, in percent.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is none of these, or breaks its own rules: with the line where it has lines.
    """
    name = os.fspath(file)
    start = Path(file).read_bytes().removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"{"):
        return _of_json(name, start)
    header = start.split(b"\n", 1)[0]
    if b"i1t1" in header:
        return of_mmvp_vlm(name, unisim.score_mmvp_vlm(name))
    if b"accuracy" not in header:
        raise ValueError(
            f"[patterns] {name}: expected the columns pair,pattern,i1t1,i2t1,i1t2,i2t2 or pattern,accuracy, "
            "or what `unisim score mmvp --json` prints"
        )
    return _of_percentages(Path(file))


def compare_patterns(a: PatternAccuracies, b: PatternAccuracies) -> PatternComparison:
    """Whether two models find the same visual patterns hard. MMVP's nine are known by each of their names.

    Raises
    ------
    ValueError
        A pattern that one side alone has (named), fewer than four, a side that is equal in all of them.
    """
    mine, others = (_by_tag(side) for side in (a, b))
    alone = [
        f"only {side.file} has {', '.join(repr(tags[tag]) for tag in tags if tag not in rest)}"
        for side, tags, rest in ((a, mine, others), (b, others, mine))
        if tags.keys() - rest.keys()
    ]
    if alone:
        raise ValueError(f"[patterns] {'; '.join(alone)}: the same patterns are expected on both sides")
    for side in (a, b):
        if len(side.percent) > 1 and len(set(side.percent.values())) == 1:
            value = next(iter(side.percent.values()))
            raise ValueError(
                f"[patterns] {side.file}: {value:.6g} % in every pattern, which correlates with nothing"
            )
    names = {others[tag]: name for tag, name in mine.items()}
    order = [others[tag] for tag in mine]
    renamed = PatternAccuracies(
        b.file,
        {names[name]: b.percent[name] for name in order},
        {names[name]: b.counts[name] for name in order if name in b.counts},
        b.of,
    )
    return PatternComparison(a, renamed, pattern_correlation(a.percent, renamed.percent))


def _by_tag(side: PatternAccuracies) -> dict[str, str]:
    """A side's names of its patterns, by MMVP's tag where they are MMVP's, else by themselves."""
    tags: dict[str, str] = {}
    for name in side.percent:
        plain = " ".join(name.replace("_", " ").split()).casefold()
        tag = _TAGS.get(plain, plain)
        if tag in tags:
            raise ValueError(f"[patterns] {side.file}: {tags[tag]!r} and {name!r} are the same pattern")
        tags[tag] = name
    return tags


def _counted(
    file: str, patterns: Iterable[tuple[str, int, int]], of: Literal["pairs", "questions"]
) -> PatternAccuracies:
    counts = {pattern: (right, count) for pattern, right, count in patterns}
    return PatternAccuracies(file, {p: 100 * right / n for p, (right, n) in counts.items()}, counts, of)


def _of_json(file: str, text: bytes) -> PatternAccuracies:
    """What `unisim score` printed with --json: counts, since the two benchmarks state accuracies in different units."""
    try:
        patterns = json.loads(text)["patterns"]
        of: Literal["pairs", "questions"] = (
            "questions" if patterns and "questions" in patterns[0] else "pairs"
        )
        found = [_count(one, of) for one in patterns]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"[patterns] {file}: not what `unisim score mmvp --json` prints: {error or error.__class__.__name__}"
        ) from error
    if not found:
        raise ValueError(f"[patterns] {file}: has no patterns; `unisim score mmvp` wants --patterns for them")
    if len({name for name, _, _ in found}) < len(found):
        raise ValueError(f"[patterns] {file}: has a pattern a second time")
    return _counted(file, found, of)


def _count(one: Mapping[str, Any], of: str) -> tuple[str, int, int]:
    name, right, count = one["pattern"], one["right"], one[of]
    if not isinstance(name, str) or type(right) is not int or type(count) is not int:
        raise TypeError(
            f"a pattern is {name!r}, {right!r} right of {count!r}, expected a text and whole numbers"
        )
    if not 0 <= right <= count or count == 0:
        raise ValueError(f"{name!r} has {right} right of {count} {of}")
    return name, right, count


def _of_percentages(file: Path) -> PatternAccuracies:
    percent: dict[str, float] = {}
    for line, row in csv_rows.rows("patterns", file, ("pattern", "accuracy")):
        name = row["pattern"].strip()
        if not name or name in percent:
            raise ValueError(
                f"[patterns] {file}:{line}: has the pattern {name!r}, expected a name, each once"
            )
        percent[name] = _percent(row["accuracy"], f"{file}:{line}")
    if not percent:
        raise ValueError(f"[patterns] {file}: has no pattern below its header")
    if 0 < max(percent.values()) <= 1:
        raise ValueError(
            f"[patterns] {file}: no accuracy is above 1: shares, it seems; percent is expected, 0 to 100"
        )
    return PatternAccuracies(str(file), percent, {}, None)


def _percent(cell: str, place: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 100:
        raise ValueError(f"[patterns] {place}: accuracy is {cell!r}, expected percent, 0 to 100")
    return value
