"""Answers to MMIE as its judge is asked about them, flattened as the authors' script does (arXiv 2410.10139)."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unisim import mmie
from unisim.answers import Question

MARKER = "<image>"  # where the authors' script puts a picture, whoever wrote it
MOST_IN_ANSWER = 3  # where so many pictures stand, those of the question counted, the answer ends
MOST = 4  # a sample with more is dropped


@dataclass
class Samples:
    """What the judge is asked, and in what it is not all of the file."""

    questions: list[Question] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)  # ids of samples with too many pictures
    missing: list[tuple[str, Path]] = field(default_factory=list)  # (id, picture) left out, their text kept
    markers: list[str] = field(default_factory=list)  # ids of samples whose texts hold <image>


def records_file(folder: Path) -> Path:
    """The one JSON file of a folder."""
    files = sorted(file for file in folder.iterdir() if file.suffix == ".json" and file.is_file())
    if len(files) != 1:
        names = ", ".join(file.name for file in files) or "none"
        raise ValueError(
            f"[mmie] {folder}: expected one .json with the answers, found {names}; name it by --questions"
        )
    return files[0]


def read_samples(file: Path, folder: Path, rubrics: mmie.Rubrics) -> Samples:
    """The judge's questions about the answers in `file`, pictures relative to `folder`.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no list of {id, question, answer, gt_answer}; the item is named.
    """
    try:
        records = json.loads(file.read_bytes().decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[mmie] {file}: no JSON: {error}") from None
    if not isinstance(records, list) or not records:
        raise ValueError(f"[mmie] {file}: expected a list of answers, not empty")
    if marked := [name for name, text in rubrics.texts.items() if MARKER in text]:
        raise ValueError(
            f"[mmie] the rubric for {marked[0]} holds {MARKER}, where the authors' script would put a picture"
        )
    samples = Samples()
    seen: set[str] = set()
    for number, record in enumerate(records, 1):
        try:
            name = _text(record, "id")
            if name in seen:
                raise ValueError(f"has the id {name!r} a second time")
            seen.add(name)
            _add(samples, record, name, folder, rubrics)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            plain_words = type(error) is ValueError
            why = str(error) if plain_words else f"has no {error}, or something else in its place"
            raise ValueError(f"[mmie] {file}, item {number}: {why.removeprefix('[mmie] ')}") from None
    return samples


def _add(samples: Samples, record: Any, name: str, folder: Path, rubrics: mmie.Rubrics) -> None:
    flat = _Flattened(folder)
    question = flat.add(record["question"])
    answer = flat.add(record["answer"], most=MOST_IN_ANSWER)
    correct = _text(record["gt_answer"][0], "text") if _is_multi_step(name) else None
    before, between, behind = rubrics.around(name, correct)
    prompt = (before, *question, between, *answer, behind)
    samples.missing += [(name, picture) for picture in flat.missing]
    if flat.held_markers or (correct is not None and MARKER in correct):
        samples.markers.append(name)
    if len(flat.pictures) > MOST:
        samples.dropped.append(name)
        return
    facts = {"id": name} | {
        key: record[key] for key in ("field", "model") if isinstance(record.get(key), str)
    }
    samples.questions.append(Question(name, prompt, tuple(flat.pictures), (), facts))


def _is_multi_step(name: str) -> bool:
    """As `Rubrics.prompt` chooses: SA and PBL go before MSR."""
    return next((category for category in mmie.CATEGORIES if category in name), None) == "MSR"


class _Flattened:
    """Segments as parts of a prompt, "Image-k: " and the picture where one is there."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.pictures: list[Path] = []
        self.missing: list[Path] = []
        self.held_markers = False

    def add(self, segments: Any, most: int | None = None) -> list[str | None]:
        if isinstance(segments, str):
            segments = [{"text": segments, "image": None}]
        parts: list[str | None] = []
        for segment in segments:
            text, image = segment.get("text"), segment.get("image")
            if text is not None:
                self.held_markers |= MARKER in text
                parts.append(text + "\n")
            if most is not None and len(self.pictures) >= most:
                break
            if image is not None and self._is_there(image):
                parts += [f"Image-{len(self.pictures)}: ", None, "\n"]
                self.pictures.append(self.folder / image)
            if most is not None and len(self.pictures) >= most:
                break
        return parts

    def _is_there(self, image: str) -> bool:
        if Path(image).is_absolute() or ".." in Path(image).parts:
            raise ValueError(f"names the picture {image!r}, expected one below the folder")
        if (self.folder / image).is_file():
            return True
        self.missing.append(self.folder / image)
        return False


def _text(record: Any, key: str) -> str:
    value = record[key]
    if not isinstance(value, str) or not value:
        raise ValueError(f"has {key} {value!r}, expected a text")
    return value
