"""MMIE's judge: its prompts, from rubrics that the user has, and its agreement with people (arXiv 2410.10139)."""

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unisim

CATEGORIES = ("SA", "PBL", "MSR")
# Of the rubrics that the judge MMIE-Score was tuned on, as UTF-8 (Lillianwei-h/MMIE at eb0fd6e). The texts are not ours.
PUBLISHED = {
    "SA": "9e29bd376367a88051001c1592bd75851fda68326c7ea762bb79170c080331a3",
    "PBL": "b80214d31c9c25c5ed00d62a990bf422cf2bee304bd6dd29c328692b4b889d49",
    "MSR": "72bc495ec21b8c185bee68c351981dbc9a041aee2ba1c27bd287caa9099a9681",
}


@dataclass(frozen=True)
class Rubrics:
    """A rubric for each category, and those that are not the published ones, letter for letter."""

    texts: Mapping[str, str]
    differ: tuple[str, ...]

    def prompt(self, id: str, question: str, answer: str, correct: str | None = None) -> str:
        """What the judge is asked about one answer.

        Parameters
        ----------
        id : str
            Contains SA, PBL or MSR: the first of these chooses the rubric.
        question, answer : str
            Put in as they are: braces in them mean nothing.
        correct : str, optional
            The reference answer: for MSR alone, which needs it.

        Raises
        ------
        ValueError
            An id without a category, MSR without the reference.
        """
        before, between, behind = self.around(id, correct)
        return f"{before}{question}{between}{answer}{behind}"

    def around(self, id: str, correct: str | None = None) -> tuple[str, str, str]:
        """What stands before the question, between question and answer, and behind the answer: see `prompt`.

        Raises
        ------
        ValueError
            An id without a category, MSR without the reference.
        """
        category = next((name for name in CATEGORIES if name in id), None)
        if category is None:
            raise ValueError(f"[mmie] the id {id!r} has none of SA, PBL, MSR in it")
        behind = "\n"
        if category == "MSR":
            if correct is None:
                raise ValueError(f"[mmie] the id {id!r} is of MSR, whose prompt needs the correct answer")
            behind += f"### Correct Answer\nThe correct answer to this question should be: {correct}\n"
        return f"{self.texts[category]}### Question\n", "\n### Answer\n", f"{behind}### Feedback\n"


def read_rubrics(file: str | Path) -> Rubrics:
    """The three rubrics out of a file that the user gives.

    Parameters
    ----------
    file : path
        The authors' prompts.py (which is read, never run); Markdown with a heading "## SA", "## PBL", "## MSR" and
        a block between lines of three backticks under each; or JSON, {"SA": "...", "PBL": "...", "MSR": "..."}.

    Returns
    -------
    Rubrics
        ``.differ`` names those whose SHA-256 is not that of the published text: one's own, say so with the results.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If a rubric is missing in it.
    """
    path = Path(file)
    try:
        text = path.read_bytes().decode()
        texts = {".py": _from_python, ".json": _from_json}.get(path.suffix, _from_markdown)(text)
    except (UnicodeDecodeError, SyntaxError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path}: {error}") from None
    missing = [name for name in CATEGORIES if not texts.get(name)]
    if missing:
        raise ValueError(f"{path}: has no rubric for {', '.join(missing)}")
    differ = [name for name in CATEGORIES if _sha256(texts[name]) != PUBLISHED[name]]
    return Rubrics({name: texts[name] for name in CATEGORIES}, tuple(differ))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _from_python(text: str) -> dict[str, str]:
    """By their hashes: whatever the names in that file, a string that begins with a published rubric is it."""
    category = {value: name for name, value in PUBLISHED.items()}
    found = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            for rubric in (node.value, node.value.split("### Question")[0]):
                if _sha256(rubric) in category:
                    found[category[_sha256(rubric)]] = rubric
    return found


def _from_json(text: str) -> dict[str, str]:
    content = json.loads(text)
    if not isinstance(content, dict):
        return {}
    return {name: content[name] for name in CATEGORIES if isinstance(content.get(name), str)}


def _from_markdown(text: str) -> dict[str, str]:
    found = {}
    for name in CATEGORIES:
        block = re.search(rf"^## {name}\b.*?^```\w*\n(.*?)\n```$", text, re.DOTALL | re.MULTILINE)
        if block:
            found[name] = block[1]
    return found


def agreement(judge: str | Path, people: str | Path, confidence: float = 0.95) -> dict[str, Any]:
    """How a judge's scores agree with people's on the same answers, by the measures of MMIE's table 5 and others.

    Parameters
    ----------
    judge, people : path
        Files as `unisim.score_mmie` reads them; samples are matched by id and criterion.
    confidence : float
        Of the intervals.

    Returns
    -------
    dict
        "n" samples with both scores and "dropped" others that are in both files; "cosine" (not centred), "mse", "mae",
        "pearson", "spearman", "kendall", "kappa" (quadratic weights), None where undefined; "pearson_interval" (Fisher,
        from 4 samples on); "constant_cosine", what a judge of one and the same score would reach: the cosine says little
        above it.

    Raises
    ------
    ValueError
        No sample with both scores; files that are not as they should be.
    """
    theirs = {(sample.id, sample.criterion): sample.score for sample in unisim.read_mmie(people)}
    matched = [
        (sample.score, theirs[sample.id, sample.criterion])
        for sample in unisim.read_mmie(judge)
        if (sample.id, sample.criterion) in theirs
    ]
    pairs = [(x, y) for x, y in matched if x is not None and y is not None]
    if not pairs:
        raise ValueError(f"[mmie] no sample has a score both in {judge} and in {people}")
    x, y = (list(column) for column in zip(*pairs, strict=True))
    found = unisim.agreement(x, y)
    constant = unisim.agreement([1.0] * len(y), y)
    names = ("cosine", "mse", "mae", "pearson", "spearman", "kendall", "kappa")
    return {
        "n": len(pairs),
        "dropped": len(matched) - len(pairs),
        **{name: getattr(found, name) for name in names},
        "pearson_interval": _interval(found.pearson, len(pairs), confidence),
        "constant_cosine": constant.cosine,
    }


def _interval(r: float | None, n: int, confidence: float) -> list[float] | None:
    if r is None or n < 4:
        return None
    interval = unisim.fisher_interval(r, n, confidence=confidence)
    return [interval.low, interval.high]
