"""The questions of MMVP and MME in their own folders, and answers as `unisim score mmvp | mme` reads them.

MMVP: Tong et al., arXiv 2401.06209; MME: Fu et al., arXiv 2306.13394.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from unisim import csv_rows
from unisim.answers import Answer, Question

MMVP_PICTURES = "MMVP Images"
MME_SUBTASKS = (
    "existence", "count", "position", "color", "posters", "celebrity", "scene", "landmark", "artwork", "OCR",
    "commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning",
)  # fmt: skip
MME_ENDINGS = (".jpg", ".png", ".jpeg")
MME_CHOICES = ("Yes", "No")


def read_mmvp(folder: Path) -> list[Question]:
    """Questions.csv and "MMVP Images/1.jpg ...": prompt, question and options; the choices are the options' marks.

    Raises
    ------
    OSError
        If the table or the folder of pictures is missing. A single picture may be: it costs its question.
    ValueError
        If the table is not as `unisim score mmvp` wants it; the line is named.
    """
    table = folder / "Questions.csv"
    pictures = folder / MMVP_PICTURES
    questions: list[Question] = []
    for line, row in csv_rows.rows("mmvp", table, ("Index", "Question", "Options", "Correct Answer")):
        index = len(questions) + 1
        if row["Index"].strip() != str(index):
            raise ValueError(f"[mmvp] {table}:{line}: has Index {row['Index']!r}, expected {index}")
        prompt = f"{row['Question']} {row['Options']}"
        answer, choices = row["Correct Answer"].strip(), _marks(row["Options"])
        facts = {"question_id": index, "prompt": prompt, "answer": answer}
        if choices is None or answer.lower() not in [mark.lower() for mark in choices]:
            raise ValueError(
                f"[mmvp] {table}:{line}: has Options {row['Options']!r} and Correct Answer {row['Correct Answer']!r}, "
                'expected "(a) ... (b) ..." or "(1) ... (2) ..." and one of the marks'
            )
        questions.append(Question(str(index), (prompt,), (pictures / f"{index}.jpg",), choices, facts))
    if not questions or len(questions) % 2:
        raise ValueError(
            f"[mmvp] {table}: has {len(questions)} questions, expected an even number, two a pair"
        )
    if not pictures.is_dir():
        raise FileNotFoundError(2, os.strerror(2), str(pictures))
    return questions


def _marks(options: str) -> tuple[str, str] | None:
    """The marks as they stand in the options: what a model is asked to say."""
    for first, second in (("a", "b"), ("1", "2")):
        found = re.search(rf"(\({first}\)).*?(\({second}\))", options, re.IGNORECASE | re.DOTALL)
        if found:
            return found[1], found[2]
    return None


def mmvp_bytes(questions: Sequence[Question], answers: Sequence[Answer], model: str, run: str) -> bytes:
    """JSON Lines with the keys of the authors' script. Their answer_id is drawn; here it is of the run and the question.

    A question without an answer has an empty response: the rule wants one for each, and counts this one as wrong.
    """
    lines = []
    for question, answer in zip(questions, answers, strict=True):
        digest = hashlib.sha256(f"{run}\n{question.id}".encode()).hexdigest()
        line = dict(question.facts) | {
            "response": answer.response,
            "answer_id": digest[:22],
            "model_id": model,
        }
        if answer.probabilities is not None:
            line |= {"probability": max(answer.probabilities), "coverage": answer.coverage}
        lines.append(line | ({"failed": answer.failed} if answer.failed is not None else {}))
    return json_lines(lines)


def json_lines(lines: Sequence[Mapping[str, Any]]) -> bytes:
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


def read_mme(folder: Path) -> tuple[list[Question], list[str]]:
    """The questions of the subtasks that are there, in the benchmark's order, and the names of the others.

    A subtask is flat, STEM.jpg or .png beside STEM.txt, or split, images/ and questions_answers_YN/. A text has two
    lines, question, tab, Yes or No. The prompt is the question, alone with its picture.

    Raises
    ------
    OSError
        If a folder or text cannot be read.
    ValueError
        If no subtask is there, or a text is not as above; file and line are named.
    """
    questions: list[Question] = []
    missing = []
    for subtask in MME_SUBTASKS:
        found = _subtask(folder / subtask) if (folder / subtask).is_dir() else []
        questions += found
        if not found:
            missing.append(subtask)
    if not questions:
        raise ValueError(
            f"[mme] {folder}: has no folder of a subtask, existence, count and so on, with questions"
        )
    return questions, missing


def _subtask(folder: Path) -> list[Question]:
    split = (folder / "questions_answers_YN").is_dir()
    texts = folder / "questions_answers_YN" if split else folder
    pictures = folder / "images" if split else folder
    names = sorted(name for name in os.listdir(texts) if name.endswith(".txt") and not name.startswith("."))
    return [question for name in names for question in _pair(folder.name, texts / name, pictures)]


def _pair(subtask: str, text: Path, pictures: Path) -> list[Question]:
    files = [pictures / (text.stem + ending) for ending in MME_ENDINGS]
    picture = next((file for file in files if file.is_file()), files[0])
    questions = []
    for number, line in enumerate(_lines(text), 1):
        columns = line.split("\t")
        truth = columns[-1].strip()
        if len(columns) != 2 or not columns[0] or truth.lower() not in ("yes", "no"):
            raise ValueError(f"[mme] {text}:{number}: {line!r}, expected a question, a tab and Yes or No")
        facts = {"subtask": subtask, "image": picture.name, "question": columns[0], "truth": truth}
        name = f"{subtask}/{picture.name}:{number}"
        questions.append(Question(name, (columns[0],), (picture,), MME_CHOICES, facts))
    if len(questions) != 2 or questions[0].prompt == questions[1].prompt:
        raise ValueError(f"[mme] {text}: has {len(questions)} questions, expected two, different ones")
    return questions


def _lines(text: Path) -> list[str]:
    try:
        content = text.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"[mme] {text}: not UTF-8 at byte {error.start}") from None
    lines = [line.removesuffix("\r") for line in content.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def write_mme(folder: Path, questions: Sequence[Question], answers: Sequence[Answer], both: bool) -> None:
    """SUBTASK.txt in `folder`, and answers.jsonl with the probabilities, where there are any.

    `both`: responses were generated and chosen; probability/SUBTASK.txt then holds the chosen ones.
    """
    _write_responses(folder, questions, [answer.response for answer in answers])
    if both:
        (folder / "probability").mkdir()
        _write_responses(folder / "probability", questions, [chosen(answer) for answer in answers])
    lines = []
    for question, answer in zip(questions, answers, strict=True):
        line = dict(question.facts) | {"response": answer.response}
        if answer.probabilities is not None:
            line |= {"yes": answer.probabilities[0], "coverage": answer.coverage}
        lines.append(line | ({"failed": answer.failed} if answer.failed is not None else {}))
    _write(folder / "answers.jsonl", json_lines(lines))


def chosen(answer: Answer) -> str:
    """Yes or No, whichever is more probable; nothing where the question failed."""
    if answer.probabilities is None:
        return ""
    yes, no = answer.probabilities
    return "Yes" if yes >= no else "No"


def _write_responses(folder: Path, questions: Sequence[Question], responses: Sequence[str]) -> None:
    """An answer file a subtask; in a response what would end its line or column is a space."""
    of_subtask: dict[str, list[str]] = {}
    for question, response in zip(questions, responses, strict=True):
        facts = question.facts
        said = re.sub(r"[\t\r\n\0]", " ", response)
        line = "\t".join([facts["image"], facts["question"], facts["truth"], said])
        of_subtask.setdefault(facts["subtask"], []).append(line + "\n")
    for subtask, lines in of_subtask.items():
        _write(folder / f"{subtask}.txt", "".join(lines).encode())


def _write(file: Path, data: bytes) -> None:
    with open(file, "wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def is_mme_answers(folder: Path) -> bool:
    """Whether a folder holds nothing but what `write_mme` writes, so that it may be replaced."""
    allowed = {*(f"{subtask}.txt" for subtask in MME_SUBTASKS), "answers.jsonl", "probability"}
    inner = folder / "probability"
    names = {*os.listdir(folder), *(os.listdir(inner) if inner.is_dir() else ())}
    return names <= allowed
