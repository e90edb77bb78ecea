"""unisim answer VLM mmvp|mme|mmie DIR -o OUT: a benchmark's questions put to a vision-language model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from unisim.cli.options import Color, Device, DType, Json, NoProgress, Quiet
from unisim.cli.output import PARTIAL, Output, failure

MAX_NEW_TOKENS = {"mmvp": 1024, "mme": 16, "mmie": 1024}
UNANSWERED = {
    "mmvp": "has an empty response, which counts as wrong: the rule wants an answer to each question",
    "mme": "has an empty response, which is neither yes nor no and counts as wrong",
    "mmie": "has an empty reply; a sample without a score leaves the mean, as in the authors' script",
}


@dataclass
class Plan:
    """A benchmark's questions, and how its output is written."""

    questions: Sequence[Any]
    write: Callable[[Sequence[Any], str, str], None]  # (answers, name of the model, hash of the run)
    asking: Any
    content: dict[str, Any] = field(default_factory=dict)  # what the result has of it
    remarks: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)  # (file, why) known before anything is asked


def answer(
    vlm: Annotated[str, typer.Argument(metavar="VLM", help="Folder of a vision-language model.")],
    benchmark: Annotated[
        Literal["mmvp", "mme", "mmie"], typer.Argument(metavar="BENCHMARK", help="mmvp, mme or mmie.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The benchmark, in its own layout.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A file, JSON Lines; for mme a folder.")
    ],
    mode: Annotated[
        Literal["text", "probability"],
        typer.Option("--mode", help="The response: what it says, or its most probable choice."),
    ] = "text",
    rubrics: Annotated[
        Path | None, typer.Option("--rubrics", metavar="FILE", help="mmie: the judge's rubrics.")
    ] = None,
    questions: Annotated[
        Path | None,
        typer.Option(
            "--questions", metavar="FILE", help="mmie: the answers to judge; else the .json in DIR."
        ),
    ] = None,
    template: Annotated[str | None, typer.Option("--template", help="Instead of the folder's own.")] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", min=1, help="Of a generated answer: 1024; for mme 16."),
    ] = None,
    device: Device = "cpu",
    dtype: DType = "float32",
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Put the questions of MMVP or MME to a vision-language model, or let it judge answers to MMIE; `unisim score` reads
    what is written.

    mmvp: Questions.csv and "MMVP Images". mme: a folder a subtask. mmie: answers as JSON with their pictures; the model
    is the judge, asked by the rubrics of FILE.

    A run that was cut off goes on when the command is given again: answers wait in OUT.part. A picture that cannot be
    read is named and costs its own question; the exit code is then 3.
    """
    output = Output(json, quiet, no_progress, color)
    _check(benchmark, mode, rubrics, questions, out)
    plan = _plan(benchmark, folder, mode, rubrics, questions, out, (template, max_new_tokens))
    for line in plan.remarks:
        output.warn(line)
    given, failures, asked = _ask(output, plan, vlm, benchmark, out, (device, dtype))
    failed = list(dict.fromkeys([*plan.failed, *((one.name, one.why) for one in failures)]))
    for name, why in failed:
        output.warn(failure(name, why))
    if failures:
        output.warn(f"each of {len(failures)} questions without an answer {UNANSWERED[benchmark]}")
        output.warn(f"{_part(out)} keeps the answers: the same command asks only those questions again")
    content = {
        "vlm": vlm,
        "benchmark": benchmark,
        "folder": str(folder),
        "out": str(out),
        "mode": mode,
        "template": template,
        "max_new_tokens": plan.asking.max_new_tokens,
        "device": device,
        "dtype": dtype,
        "questions": len(plan.questions),
        "asked": asked,
        "failed": [{"name": name, "error": why} for name, why in failed],
        **plan.content,
    }
    if benchmark == "mme":
        content["score"] = _mme_score(out, given, mode)
    output.result(content, lambda: _draw(output, content))
    if failed:
        raise typer.Exit(PARTIAL)


def _ask(
    output: Output, plan: Plan, vlm: str, benchmark: str, out: Path, where: tuple[str, str]
) -> tuple[Sequence[Any], Sequence[Any], int]:
    """The answers, written; what failed; how many questions were asked now."""
    from unisim import answers

    model = answers.load(vlm, *where)
    run = answers.run_of(model, benchmark, plan.questions, plan.asking)
    with answers.kept_answers(_part(out), run) as kept:
        with output.progress(f"asking {model.name}") as progress:
            given, failures, asked = answers.ask(model, plan.questions, plan.asking, kept, progress)
        if failures and all(one.failed is not None for one in given):
            first = failures[0]
            raise ValueError(
                f"[answer] no question has an answer; the first: {failure(first.name, first.why)}"
            )
        plan.write(given, model.name, f"{run['model']} {run['questions']} {run['settings']}")
        if not failures:
            kept.remove()
    return given, failures, asked


def _part(out: Path) -> Path:
    return out.parent / f"{out.name}.part"


def _check(benchmark: str, mode: str, rubrics: Path | None, questions: Path | None, out: Path) -> None:
    """What is wrong with the command itself, before a model is loaded."""
    if benchmark != "mmie" and (rubrics or questions):
        raise typer.BadParameter("--rubrics and --questions are of mmie")
    if benchmark == "mmie":
        if rubrics is None:
            raise typer.BadParameter(
                "--rubrics is missing: the judge's rubrics, a file that is not ours to ship"
            )
        if mode != "text":
            raise typer.BadParameter(
                "--mode probability: the judge of mmie writes its score, there are no choices"
            )
        if out.suffix == ".csv":
            raise typer.BadParameter("--out: .csv would be read as a table; JSON Lines are written")
    if not out.name or out.name == "..":
        raise typer.BadParameter(f"--out is {str(out)!r}, expected a name of its own")


def _plan(
    benchmark: str,
    folder: Path,
    mode: str,
    rubrics: Path | None,
    questions: Path | None,
    out: Path,
    said: tuple[str | None, int | None],
) -> Plan:
    from unisim.answers import Asking

    generates = mode == "text"
    # MME's two scores stand side by side, so that its questions are chosen on in either mode.
    chooses = benchmark == "mme" or not generates
    template, max_new_tokens = said
    asking = Asking(generates, chooses, max_new_tokens or MAX_NEW_TOKENS[benchmark], template)
    if benchmark == "mme":
        return _plan_mme(folder, out, asking)
    if out.is_dir():
        raise IsADirectoryError(21, "is a folder, expected the name of a file", str(out))
    if benchmark == "mmvp":
        return _plan_mmvp(folder, out, asking)
    return _plan_mmie(folder, rubrics, questions, out, asking)


def _plan_mmvp(folder: Path, out: Path, asking: Any) -> Plan:
    from unisim import answer_layouts, whole_files

    questions = answer_layouts.read_mmvp(folder)

    def write(answers: Sequence[Any], model: str, run: str) -> None:
        with whole_files.written_whole(out) as streams:
            streams[0].write(answer_layouts.mmvp_bytes(questions, answers, model, run))

    return Plan(questions, write, asking)


def _plan_mme(folder: Path, out: Path, asking: Any) -> Plan:
    from unisim import answer_layouts, whole_files

    if out.exists() and not (out.is_dir() and answer_layouts.is_mme_answers(out)):
        raise ValueError(f"[mme] {out}: holds other things than answers to MME; it would be replaced")
    questions, missing = answer_layouts.read_mme(folder)

    def write(answers: Sequence[Any], model: str, run: str) -> None:
        with whole_files.folder_made_whole(out) as made:
            answer_layouts.write_mme(made, questions, answers, asking.generates and asking.chooses)

    remarks = [f"{folder}: no questions of {', '.join(missing)}; in no total"] if missing else []
    return Plan(questions, write, asking, {"missing": missing}, remarks)


def _plan_mmie(folder: Path, rubrics: Path | None, questions: Path | None, out: Path, asking: Any) -> Plan:
    from unisim import answer_layouts, mmie, mmie_questions, whole_files

    assert rubrics is not None
    read = mmie.read_rubrics(rubrics)
    samples = mmie_questions.read_samples(questions or mmie_questions.records_file(folder), folder, read)

    def write(answers: Sequence[Any], model: str, run: str) -> None:
        lines = [
            dict(one.facts) | {"reply": given.response} | ({"failed": given.failed} if given.failed else {})
            for one, given in zip(samples.questions, answers, strict=True)
        ]
        with whole_files.written_whole(out) as streams:
            streams[0].write(answer_layouts.json_lines(lines))

    remarks = []
    if read.differ:
        remarks.append(
            f"{rubrics}: not the published rubric for {', '.join(read.differ)}; say so with the scores"
        )
    if samples.dropped:
        remarks.append(
            f"{len(samples.dropped)} samples have more than {mmie_questions.MOST} pictures and are dropped, as in the "
            f"authors' script: {', '.join(samples.dropped)}"
        )
    if samples.markers:
        remarks.append(
            f"<image> in a text stays text; the authors' script would put a picture there: {', '.join(samples.markers)}"
        )
    content = {"rubrics_differ": list(read.differ), "dropped": samples.dropped, "markers": samples.markers}
    failed = [
        (str(file), f"not there, left out of {name}; its text is kept, as in the authors' script")
        for name, file in samples.missing
    ]
    return Plan(samples.questions, write, asking, content, remarks, failed)


def _mme_score(out: Path, given: Sequence[Any], mode: str) -> dict[str, Any]:
    """The parsed score and, where answers were generated, that of the more probable of Yes and No."""
    import unisim

    coverage = [one.coverage for one in given if one.coverage is not None]
    scores = {mode: unisim.score_mme(out)}
    if mode == "text":
        scores["probability"] = unisim.score_mme(out / "probability")
    found: dict[str, Any] = {"coverage": sum(coverage) / len(coverage)}
    for name, score in scores.items():
        other = sum(one.other for one in score.subtasks)
        found[name] = {
            "subtasks": {one.name: one.score for one in score.subtasks},
            "perception": score.perception,
            "cognition": score.cognition,
            "other": other / sum(one.questions for one in score.subtasks),
        }
    return found


def _draw(out: Output, content: dict[str, Any]) -> None:
    path = content["out"]
    if score := content.get("score"):
        ways = [name for name in ("text", "probability") if name in score]
        rows = [
            (name, *(f"{score[way]['subtasks'][name]:.2f}" for way in ways))
            for name in score[ways[0]]["subtasks"]
        ]
        rows += [(name, *(f"{score[way][name]:.2f}" for way in ways)) for name in ("perception", "cognition")]
        rows.append(("share of other", *(f"{score[way]['other']:.3f}" for way in ways)))
        titles = {"text": ">by text", "probability": ">by probability"}
        out.table(("", *(titles[way] for way in ways)), rows, title=f"MME of {content['vlm']}")
        print(f"coverage of Yes and No: {score['coverage']:.4g}")
    print(f"{content['questions']} questions, {content['asked']} asked now: {path}")
    more = (
        f" --questions {Path(content['folder']) / 'Questions.csv'}" if content["benchmark"] == "mmvp" else ""
    )
    print(f"unisim score {content['benchmark']} {path}{more}")
