"""From mined pairs to a benchmark: a sheet that people fill, and the MMVP folder that is made of it.

The workflow is that of Tong et al. (arXiv 2401.06209): people look at pairs that one encoder calls alike and another
different, and write for each one question whose answers differ. The folder has the layout of MMVP
(https://github.com/tsb0601/MMVP): `MMVP Images/1.jpg ...`, `Questions.csv`, two rows a pair.
"""

import csv
import io
import shutil
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from unisim import csv_rows, visual_patterns, whole_files

COLUMNS = (
    "pair", "file_i", "file_j", "question", "option_a", "option_b", "answer_i", "answer_j", "pattern",
)  # fmt: skip
PATTERNS = tuple(visual_patterns.NAMES)
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)  # what a spreadsheet takes for a formula, so that ' stands before it


@dataclass(frozen=True)
class Question:
    """A filled row: one question on two pictures, with different answers."""

    line: int
    files: tuple[str, str]
    question: str
    options: tuple[str, str]
    answers: tuple[str, str]  # "a" or "b"
    pattern: str


def sheet_of(pairs: Path) -> str:
    """The empty sheet, as CSV, of the pairs that `unisim mine` wrote.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not what `unisim mine` writes, or holds no pair.
    """
    rows = list(csv_rows.rows("sheet", pairs, ("file_i", "file_j")))
    if not rows:
        raise ValueError(f"[sheet] {pairs}: holds no pair")
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for number, (_, row) in enumerate(rows, 1):
        writer.writerow([number, row["file_i"], row["file_j"], *[""] * (len(COLUMNS) - 3)])
    return written.getvalue()


def questions_of(sheet: Path) -> list[Question]:
    """The rows that were filled. A row whose question, options and answers are all empty was left out by its reader.

    Raises
    ------
    ValueError
        If a row is half filled, its answers are equal or no letter of an option, its options are equal, its pattern is
        unknown, a picture stands twice in it, or no row is filled; the line is named.
    """
    found = []
    for line, row in csv_rows.rows("sheet", sheet, COLUMNS):
        said = {key: row[key].strip() for key in COLUMNS[3:]}
        if not any(said[key] for key in COLUMNS[3:8]):
            continue
        missing = [key for key in COLUMNS[3:8] if not said[key]]
        if missing:
            raise ValueError(f"[sheet] {sheet}:{line}: {', '.join(missing)} is empty, the rest is filled")
        files = (_unquoted(row["file_i"]), _unquoted(row["file_j"]))
        answers = (_letter(said["answer_i"]), _letter(said["answer_j"]))
        for wrong, why in (
            (files[0] == files[1], f"{files[0]} stands on both sides"),
            (said["option_a"] == said["option_b"], "both options are the same"),
            (not all(answers), f"answers {said['answer_i']!r}, {said['answer_j']!r}, expected a and b"),
            (answers[0] == answers[1], f"both answers are {said['answer_i']!r}; a pair needs two"),
            (
                said["pattern"] not in ("", *PATTERNS),
                f"pattern {said['pattern']!r}, known: {', '.join(PATTERNS)}",
            ),
        ):
            if wrong:
                raise ValueError(f"[sheet] {sheet}:{line}: {why}")
        options = (said["option_a"], said["option_b"])
        found.append(Question(line, files, said["question"], options, answers, said["pattern"]))
    if not found:
        raise ValueError(f"[sheet] {sheet}: no row is filled")
    return found


def write_mmvp(
    questions: list[Question], images: Path, out: Path, *, swap: bool = False, numbers: bool = False
) -> None:
    """The MMVP folder of the questions, whole or not at all. Pictures become JPEG, 1.jpg to 2n.jpg.

    Parameters
    ----------
    questions : list of Question
    images : path
        What the sheet's file names are relative to.
    out : path
        The folder to make; it must not be there.
    swap : bool
        Options in the other order: does a model follow the letter or the picture?
    numbers : bool
        (1) and (2) in place of (a) and (b).
    """
    if out.exists():
        raise ValueError(f"[sheet] {out}: is there already")
    with whole_files.folder_made_whole(out) as temporary:
        (temporary / "MMVP Images").mkdir()
        with open(temporary / "Questions.csv", "w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            patterns = any(one.pattern for one in questions)
            writer.writerow(["Index", "Question", "Options", "Correct Answer", *["Pattern"] * patterns])
            for place, one in enumerate(questions):
                for side in (0, 1):
                    index = 2 * place + side + 1
                    _copy(images / one.files[side], temporary / "MMVP Images" / f"{index}.jpg")
                    shown, answer = _options(one, side, swap, numbers)
                    writer.writerow([index, one.question, shown, answer, *[one.pattern] * patterns])


def _options(one: Question, side: int, swap: bool, numbers: bool) -> tuple[str, str]:
    """The options as MMVP writes them, and the mark of the right one."""
    marks = ("(1)", "(2)") if numbers else ("(a)", "(b)")
    right = "ab".index(one.answers[side])
    order = (1, 0) if swap else (0, 1)
    shown = " ".join(f"{mark} {one.options[option]}" for mark, option in zip(marks, order, strict=True))
    return shown, marks[order.index(right)]


def _copy(source: Path, target: Path) -> None:
    if source.suffix.lower() in (".jpg", ".jpeg"):
        shutil.copyfile(source, target)
        return
    with Image.open(source) as picture:
        picture.convert("RGB").save(target, "JPEG", quality=95)


def _letter(answer: str) -> str:
    letter = answer.lower().strip("()")
    return letter if letter in ("a", "b") else ""


def _unquoted(name: str) -> str:
    """A ' that `unisim mine` put before a name that a spreadsheet would take for a formula."""
    return name[1:] if name.startswith("'") and name[1:].startswith(FORMULA) else name
