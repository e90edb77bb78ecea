"""unisim score mmvp, mmvp-vlm, mmie, pope: answers already collected, by the benchmark's own rules."""

from pathlib import Path
from typing import Annotated, Any

import typer

from unisim.cli.options import Color, Json
from unisim.cli.output import Output

AnswerFile = Annotated[str, typer.Argument(metavar="FILE", help="The answers.")]


def score_mmvp(
    answers: Annotated[
        str, typer.Argument(metavar="FILE", help="Answers, JSON Lines; or a folder that holds both.")
    ],
    questions: Annotated[
        str | None, typer.Option("--questions", help="Questions.csv; found by itself where FILE is a folder.")
    ] = None,
    patterns: Annotated[
        str | None, typer.Option("--patterns", help="CSV Index,Pattern: visual patterns of the questions.")
    ] = None,
    corrected: Annotated[
        bool,
        typer.Option("--corrected", help="Exchange the labels of 99, 100 and 279, 280, reported as swapped."),
    ] = False,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Score a vision-language model's answers to MMVP (Tong et al., arXiv 2401.06209).

    A line of FILE is a JSON object with question_id, from 1, and "response", whose option is read by rule, or
    "verdict", a judge's yes or no. Both accuracies are printed: per question (chance 1/2) and per pair, both right
    (chance 1/4), which is what the paper has.
    """
    import unisim

    out = Output(json, color=color)
    file, table = _mmvp_files(answers, questions)
    score = unisim.score_mmvp(file, table, corrected=corrected, patterns=patterns)
    keys = (
        "rule",
        "corrected",
        "questions",
        "right",
        "question_accuracy",
        "pairs",
        "right_pairs",
        "pair_accuracy",
    )
    content = {key: getattr(score, key) for key in (*keys, "unparsable")}
    found = [_of(p, "pattern", "questions", "right", "accuracy") for p in score.patterns]

    def draw() -> None:
        rows = [
            ("questions", repr(score.question_accuracy), str(score.right), str(score.questions)),
            ("pairs", repr(score.pair_accuracy), str(score.right_pairs), str(score.pairs)),
        ]
        rows += [(p.pattern, repr(p.accuracy), str(p.right), str(p.questions)) for p in score.patterns]
        out.table(("", ">accuracy", ">right", ">of"), rows, title=f"MMVP of {file}, by {score.rule}")
        print(f"{score.unparsable} answers could not be read and count as wrong")

    out.result({"file": file, **content, "patterns": found}, draw)


def _mmvp_files(answers: str, questions: str | None) -> tuple[str, str]:
    """The answers and the questions; in a folder, the one file of answers beside Questions.csv."""
    folder = Path(answers)
    if not folder.is_dir():
        if questions is None:
            raise typer.BadParameter("--questions is missing: the benchmark's Questions.csv")
        return answers, questions
    lines = sorted(file for file in folder.iterdir() if file.suffix in (".jsonl", ".json"))
    if len(lines) != 1:
        names = ", ".join(file.name for file in lines) or "none"
        raise ValueError(f"{answers}: expected one file of answers, .jsonl or .json; found {names}")
    return str(lines[0]), questions if questions is not None else str(folder / "Questions.csv")


def _of(one: Any, *keys: str) -> dict[str, Any]:
    return {key: getattr(one, key) for key in keys}


def score_mmvp_vlm(
    scores: Annotated[str, typer.Argument(metavar="FILE", help="CSV pair,pattern,i1t1,i2t1,i1t2,i2t2.")],
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="OTHER",
            help="Another such file, what `unisim score mmvp --json` printed, or a CSV pattern,accuracy in percent.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="OUT.html", help="A page for people, with plots.")
    ] = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Score similarities of two images and two statements a pair by the rule of MMVP-VLM (arXiv 2401.06209).

    i1t2 is the similarity of the first image and the second statement. A pair is right if each statement takes its
    own image. Without the column pattern, FILE holds the benchmark's 135 pairs in its order. All in percent; chance is
    25.

    --against asks whether another model finds the same visual patterns hard: Pearson's r over the patterns, with
    Fisher's 95 % interval. MMVP's nine patterns may go by the names of MMVP or of MMVP-VLM.
    """
    import unisim
    from unisim import visual_patterns, whole_files

    out = Output(json, color=color)
    score = unisim.score_mmvp_vlm(scores)
    keys = ("pairs", "right", "average", "text", "group")
    content: dict[str, Any] = {"file": scores, **_of(score, *keys)}
    content["patterns"] = [_of(p, "pattern", "pairs", "right", "accuracy") for p in score.patterns]
    mine, found = visual_patterns.of_mmvp_vlm(scores, score), None
    if against is not None:
        found = visual_patterns.compare_patterns(mine, visual_patterns.read_patterns(against))
        content |= _comparison(found)
    if report:
        from unisim import benchmark_report

        with whole_files.written_whole(report) as streams:
            streams[0].write(benchmark_report.patterns_page(mine, found).encode())
    content["report"] = str(report) if report else None
    out.result(content, lambda: _draw_mmvp_vlm(out, score, content))


def _comparison(found: Any) -> dict[str, Any]:
    others = [{"pattern": name, "accuracy": value} for name, value in found.b.percent.items()]
    correlation = _of(found.correlation, "r", "interval", "patterns")
    against = {"file": found.b.file, "average": found.b.mean, "patterns": others}
    return {"against": against, "correlation": correlation}


def _draw_mmvp_vlm(out: Output, score: Any, content: dict[str, Any]) -> None:
    columns = ["pattern", ">accuracy", ">right", ">pairs"]
    rows = [[p.pattern, f"{p.accuracy:.1f}", str(p.right), str(p.pairs)] for p in score.patterns]
    rows.append(["average", f"{score.average:.1f}", str(score.right), str(score.pairs)])
    if other := content.get("against"):
        columns.append(f">{other['file']}")
        for row, value in zip(
            rows, [p["accuracy"] for p in other["patterns"]] + [other["average"]], strict=True
        ):
            row.append(f"{value:.1f}")
    out.table(columns, rows, title=f"MMVP-VLM of {content['file']}")
    if "correlation" in content:
        low, high = content["correlation"]["interval"]
        print(
            f"r {content['correlation']['r']:.3f}, 95 % interval {low:.3f} to {high:.3f}, "
            f"{len(content['correlation']['patterns'])} patterns"
        )
    if content["report"]:
        print(content["report"])


def score_mmie(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Scores or a judge's replies: JSON, JSON Lines or CSV.")
    ],
    people: Annotated[
        str | None, typer.Option("--people", help="People's scores of the same samples: how the two agree.")
    ] = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Score answers to MMIE (Xia et al., arXiv 2410.10139) from a judge's replies or raw scores of 0 to 6.

    A record has "id", which contains SA, PBL or MSR, and "score" or "reply"; "field", "criterion" and "error" are
    optional. Means are over the samples with a score in range; the others are counted. The weighted average is the
    published one, of all three categories by their sizes.
    """
    import unisim

    out = Output(json, color=color)
    score = unisim.score_mmie(file)
    content: dict[str, Any] = {
        "file": file,
        "all": _group(score.all),
        "categories": {group.name: _group(group) for group in score.categories},
        "weighted": score.weighted,
        "fields": {group.name: _group(group) for group in score.fields},
        "criteria": [{"category": g.category, "criterion": g.name, **_group(g)} for g in score.criteria],
        "errors": score.errors,
    }
    if people is not None:
        from unisim import mmie

        content["agreement"] = mmie.agreement(file, people)
    out.result(content, lambda: _draw_mmie(out, score, content))


def _group(group: Any) -> dict[str, Any]:
    return _of(group, "mean", "percent", "kept", "dropped")


def _draw_mmie(out: Output, score: Any, content: dict[str, Any]) -> None:
    rows = []
    for group in (*score.categories, score.all, *score.fields, *score.criteria):
        name = f"{group.category} {group.name}" if group.category not in ("", group.name) else group.name
        mean = ("", "") if group.mean is None else (f"{group.mean:.3f}", f"{group.percent:.2f}")
        rows.append((name, *mean, str(group.kept), str(group.dropped)))
    if score.weighted is not None:
        rows.append(("weighted average", "", f"{score.weighted:.2f}", "", ""))
    out.table(("", ">mean of 6", ">percent", ">kept", ">dropped"), rows, title=f"MMIE of {content['file']}")
    errors = [(c, label, str(n)) for c, labels in score.errors.items() for label, n in labels.items()]
    if errors:
        out.table(("category", "error", ">samples"), errors)
    if "agreement" in content:
        out.table(("agreement", "value"), [(key, repr(value)) for key, value in content["agreement"].items()])


def score_pope(
    answers: AnswerFile,
    labels: Annotated[
        str | None, typer.Option("--labels", help="Labels by question_id, where the answers have none.")
    ] = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Score answers to POPE (Li et al., arXiv 2305.10355): is the object there?

    A record of FILE (JSON Lines or a JSON array) has the reply in "response", "answer" or "text", and "label", yes or
    no. A reply is no if its first sentence has the word No, no or not, else yes.
    """
    import unisim

    out = Output(json, color=color)
    score = unisim.score_pope(answers, labels=labels)
    keys = ("questions", "accuracy", "precision", "recall", "f1", "yes_ratio", "tp", "fn", "tn", "fp")

    def draw() -> None:
        rows = [
            (part.category or "all", *(repr(getattr(part, key)) for key in keys[:6]))
            for part in (*score.categories, score)
        ]
        out.table(("", *(f">{key}" for key in keys[:6])), rows, title=f"POPE of {answers}")

    categories = {part.category: _of(part, *keys) for part in score.categories}
    out.result({"file": answers, **_of(score, *keys), "categories": categories}, draw)
