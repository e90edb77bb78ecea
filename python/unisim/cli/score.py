"""unisim score: what a published rule makes of answers already collected."""

from typing import Annotated, Any

import typer

from unisim.cli import score_answers, score_mme
from unisim.cli.help import add
from unisim.cli.options import Color, Json
from unisim.cli.output import Output

score_app = typer.Typer(help="Score answers already collected, by a published benchmark's rule.")

TableFile = Annotated[str, typer.Argument(metavar="FILE", help="A table, CSV in UTF-8 with its header.")]


def score_2afc(file: TableFile, json: Json = False, color: Color = "auto") -> None:
    """Score distances against the votes of people: the 2AFC score of Zhang et al. (CVPR 2018).

    FILE has the header d0,d1,vote: two distances from one reference, and the share of people, in [0, 1], who found the
    second more similar. An item counts the share that agrees with the smaller distance, half where they are equal.
    """
    from unisim import vote_tables

    found = vote_tables.score_2afc(file)

    def draw() -> None:
        low, high = found["interval"]
        rows = [("2AFC", repr(found["score"])), ("95 % interval", f"{low!r} to {high!r}")]
        rows += [("items", str(found["n"])), ("equal distances", str(found["ties"]))]
        Output(color=color).table(("", ">value"), rows, title=f"2AFC of {file}")

    Output(json, color=color).result({"file": file, **found}, draw)


add(score_app, score_2afc, "unisim score 2afc votes.csv --json", name="2afc")


def score_mos(file: TableFile, json: Json = False, color: Color = "auto") -> None:
    """Score a metric against mean opinions: correlations, and the error after a logistic fit (Sheikh et al. 2006).

    FILE has the header score,mos: the metric's number and the mean opinion of people on one item. Spearman and Kendall
    are of the numbers as they are; Pearson and RMSE after the five-parameter logistic has been fitted to them.
    """
    from unisim import vote_tables

    found = vote_tables.score_mos(file)

    def draw() -> None:
        Output(color=color).table(("", ">value", ">low", ">high"), _mos_rows(found), title=f"MOS of {file}")

    Output(json, color=color).result({"file": file, **found}, draw)


def _mos_rows(found: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    def row(name: str) -> tuple[str, str, str, str]:
        low, high = map(repr, found[f"{name}_interval"]) if f"{name}_interval" in found else ("", "")
        return name, repr(found[name]), low, high

    rows = [row(name) for name in ("spearman", "kendall", "pearson", "rmse")]
    return [*rows, ("items", str(found["n"]), "", "")]


add(score_app, score_mos, "unisim score mos opinions.csv", name="mos")
add(score_app, score_mme.score_mme, "unisim score mme answers/mine answers/other --json", name="mme")
add(
    score_app,
    score_answers.score_mmvp,
    "unisim score mmvp answers.jsonl --questions Questions.csv",
    name="mmvp",
)
add(
    score_app,
    score_answers.score_mmvp_vlm,
    "unisim score mmvp-vlm clip.csv --against llava.csv --report patterns.html",
    name="mmvp-vlm",
)
add(score_app, score_answers.score_mmie, "unisim score mmie replies.json --people people.csv", name="mmie")
add(score_app, score_answers.score_pope, "unisim score pope answers.jsonl --labels labels.jsonl", name="pope")
