"""A vision-language model's answers to many questions: asked one after the other, each durable before the next.

An answer does not depend on what was asked before it, so that a run that was cut off, however, goes on where it was and
ends in the same bytes.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import unisim

FORMAT = "unisim-answers-1"


@dataclass(frozen=True)
class Question:
    """What is asked about some pictures. In a prompt's texts nothing marks one: None stands where a picture is meant, and
    without it they all stand in front."""

    id: str  # no other question's of the run
    prompt: tuple[str | None, ...]
    pictures: tuple[Path, ...]
    choices: tuple[str, ...] = ()  # what its answer can be
    facts: Mapping[str, Any] = field(default_factory=dict)  # what is written beside the answer


@dataclass(frozen=True)
class Asking:
    """How questions are put: by generating, by choosing, or both; what is generated is then the response."""

    generates: bool = True
    chooses: bool = False
    max_new_tokens: int = 64
    template: str | None = None


@dataclass(frozen=True)
class Answer:
    """What the model said. Of a question that failed the response is empty, and `failed` says why."""

    response: str = ""
    probabilities: tuple[float, ...] | None = None  # of the question's choices
    coverage: float | None = None
    failed: str | None = None


@dataclass(frozen=True)
class Failure:
    """What kept a question from its answer: a picture, or else the question itself."""

    name: str
    why: str


def load(folder: str, device: str = "cpu", dtype: str = "float32") -> "unisim.Vlm":
    """The model, without kept prefixes: behind one the last bits would depend on what was asked before.

    Pictures' rows are kept: they are the same bits whenever they are computed.
    """
    return unisim.Vlm.load(folder, device=device, dtype=dtype, prefix_bytes=0)


def run_of(
    vlm: "unisim.Vlm", benchmark: str, questions: Sequence[Question], asking: Asking
) -> dict[str, Any]:
    """What decides a run's answers beside the pictures, whose bytes each answer is kept with."""
    asked = [(one.id, one.prompt, one.choices) for one in questions]
    return {
        "format": FORMAT,
        "unisim": unisim.__version__,
        "benchmark": benchmark,
        "model": unisim.by_asking(vlm).model.sha256,  # of the folder's files, device, dtype and executor
        "settings": asdict(asking),
        "questions": _sha256(json.dumps(asked).encode()),
    }


class KeptAnswers:
    """Answers that wait in a file for the end of their run."""

    def __init__(self, file: Path, descriptor: int, found: dict[str, tuple[str, Answer]]):
        self.file = file
        self._descriptor = descriptor
        self._found = found
        self.count = len(found)

    def find(self, question: Question, key: str) -> Answer | None:
        """Its answer, if it was given on the same pictures."""
        kept, answer = self._found.get(question.id, ("", None))
        return answer if kept == key else None

    def keep(self, question: Question, key: str, answer: Answer) -> None:
        """Durable when it returns."""
        line: dict[str, Any] = {"id": question.id, "key": key, "response": answer.response}
        if answer.probabilities is not None:
            line |= {"probabilities": list(answer.probabilities), "coverage": answer.coverage}
        _append(self._descriptor, line)
        self.count += 1

    def remove(self) -> None:
        """Once the output is whole."""
        self.file.unlink(missing_ok=True)


@contextlib.contextmanager
def kept_answers(file: Path, run: Mapping[str, Any]) -> Iterator[KeptAnswers]:
    """The answers that `file` has of this run, and the place for the others; a line that was cut off is dropped.

    Raises
    ------
    OSError
        If it cannot be written.
    ValueError
        If it is of another run (what differs is named), of one that still goes on, or damaged. It stays as it is.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(f"[answer] {file}: another run is writing it") from None
        lines = _whole_lines(descriptor, file)
        if len(lines) > 1:
            _check_run(lines[0], run, file)
        else:
            os.ftruncate(descriptor, 0)
            _append(descriptor, run)
            _make_durable(file.parent)
        kept = KeptAnswers(file, descriptor, dict(_kept(line) for line in lines[1:]))
        try:
            yield kept
        finally:
            if kept.count == 0:
                kept.remove()
    finally:
        os.close(descriptor)


def ask(
    vlm: "unisim.Vlm",
    questions: Sequence[Question],
    asking: Asking,
    kept: KeptAnswers,
    progress: Callable[[int, int], object] | None = None,
) -> tuple[list[Answer], list[Failure], int]:
    """An answer to each question, kept ones found again; what failed; how many were asked now.

    A picture that cannot be read, a prompt too long for the model or logits that are not finite cost their own question
    alone, whose answer is not kept: the next run tries it again.
    """
    if asking.template == "raw":
        raise ValueError("[answer] the template raw is for prompts that are rendered already; these are not")
    vlm.prompt(None, "", template=asking.template)  # an unknown template is no fault of a question
    answers: list[Answer] = []
    failures: list[Failure] = []
    asked = 0
    for done, question in enumerate(questions):
        if progress:
            progress(done, len(questions))
        try:
            key = _key_of(question)
            answer = kept.find(question, key)
            if answer is None:
                answer = _answer(vlm, question, asking)
                kept.keep(question, key, answer)
                asked += 1
        except _Failed as error:
            failures.append(error.failure)
            answer = Answer(failed=error.failure.why)
        answers.append(answer)
    if progress:
        progress(len(questions), len(questions))
    return answers, failures, asked


class _Failed(Exception):
    def __init__(self, name: object, error: Exception):
        self.failure = Failure(str(name), _why(error))


def _why(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def _key_of(question: Question) -> str:
    """Of the bytes of a question's pictures."""
    digest = hashlib.sha256()
    for file in question.pictures:
        try:
            with open(file, "rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        except OSError as error:
            raise _Failed(file, error) from None
    return digest.hexdigest()


def _answer(vlm: "unisim.Vlm", question: Question, asking: Asking) -> Answer:
    images = []
    for file in question.pictures:
        try:
            images.append(unisim.read_image(file))
        except (OSError, ValueError) as error:
            raise _Failed(file, error) from None
    prompt = [unisim.PICTURE if part is None else part for part in question.prompt]
    try:
        text, chosen = "", None
        if asking.generates:
            text = vlm.generate(
                images, prompt, asking.max_new_tokens, template=asking.template, progress=_nothing
            )
        if asking.chooses:
            chosen = vlm.choose(images, prompt, question.choices, template=asking.template)
    except (ValueError, unisim.NotFiniteError) as error:
        raise _Failed(question.id, error) from None
    if chosen is None:
        return Answer(text)
    response = text if asking.generates else question.choices[chosen.best]
    return Answer(response, tuple(chosen.probabilities), chosen.coverage)


def _nothing(done: int, total: int) -> None:
    """A progress that draws nothing: between two tokens Ctrl-C is looked at all the same."""


def _append(descriptor: int, line: Mapping[str, Any]) -> None:
    data = memoryview(json.dumps(line).encode() + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]
    os.fsync(descriptor)


def _whole_lines(descriptor: int, file: Path) -> list[dict[str, Any]]:
    """The lines that end; the file is cut behind them."""
    with open(descriptor, "rb", closefd=False) as stream:
        data = stream.read()
    end = data.rfind(b"\n") + 1
    lines = []
    for number, line in enumerate(data[:end].splitlines(), 1):
        try:
            content = json.loads(line)
            if number > 1:
                _kept(content)
            elif content["format"] != FORMAT:
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(
                f"[answer] {file}:{number}: not what a run of `unisim answer` leaves; delete the file to begin anew"
            ) from None
        lines.append(content)
    os.ftruncate(descriptor, end)
    return lines


def _kept(line: Mapping[str, Any]) -> tuple[str, tuple[str, Answer]]:
    probabilities = line.get("probabilities")
    return line["id"], (
        line["key"],
        Answer(line["response"], tuple(probabilities) if probabilities else None, line.get("coverage")),
    )


def _check_run(found: Mapping[str, Any], run: Mapping[str, Any], file: Path) -> None:
    differ = [name for name in run if name != "settings" and found.get(name) != run[name]]
    settings = found.get("settings")
    for name, value in run["settings"].items():
        there = settings.get(name) if isinstance(settings, dict) else None
        if there != value:
            differ.append(f"{name} ({there} there, {value} here)")
    if differ:
        raise ValueError(
            f"[answer] {file}: has the answers of another run, with another {', '.join(differ)}; delete it to begin "
            "anew, or choose another output"
        )


def _make_durable(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
