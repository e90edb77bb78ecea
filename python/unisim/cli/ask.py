"""unisim ask VLM PROMPT [IMAGE ...] [--choices A B]"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from unisim.cli.options import Color, Device, DType, Json, NoProgress, Quiet
from unisim.cli.output import Output


class ManyChoices(TyperCommand):
    """--choices A B C: every word up to the next option is a choice, as in most tools that take a list.

    A choice that begins with a dash is given by itself: --choices=-1.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        spread: list[str] = []
        taking = missing = False  # missing: none has followed its --choices yet
        for place, word in enumerate(args):
            is_option = word.startswith("-") and len(word) > 1
            if taking and not is_option:
                spread += ["--choices", word]
                missing = False
                continue
            if missing:
                break
            if word == "--":
                spread += args[place:]
                break
            taking = word == "--choices" or word.startswith("--choices=")
            missing = word == "--choices"
            if not missing:
                spread.append(word)
        if missing:
            raise typer.BadParameter("--choices misses a choice; one that begins with a dash is --choices=-1")
        return list(super().parse_args(ctx, spread))


def ask(
    vlm: Annotated[str, typer.Argument(metavar="VLM", help="Folder of a vision-language model.")],
    prompt: Annotated[str, typer.Argument(metavar="PROMPT", help="<image> marks where a picture stands.")],
    images: Annotated[
        list[str] | None,
        typer.Argument(metavar="IMAGE...", help="Pictures, in order; without marks they stand in front."),
    ] = None,
    choices: Annotated[
        list[str] | None,
        typer.Option(
            "--choices",
            metavar="A B...",
            help="Answers to choose from, every word up to the next option: pictures stand before it. Without "
            "choices it generates.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option("--template", help="Instead of the folder's own; raw: PROMPT is rendered already."),
    ] = None,
    length: Annotated[
        Literal["sum", "mean"] | None,
        typer.Option("--length", help="Of a choice's log probabilities; sum if nothing is said."),
    ] = None,
    first_token: Annotated[
        bool, typer.Option("--first-token", help="Choose by the first token of each choice alone.")
    ] = False,
    max_new_tokens: Annotated[
        int | None,
        typer.Option("--max-new-tokens", min=1, help="Of a generated answer; 64 if nothing is said."),
    ] = None,
    show_prompt: Annotated[
        bool, typer.Option("--show-prompt", help="Print what the model sees and compute nothing.")
    ] = False,
    device: Device = "cpu",
    dtype: DType = "float32",
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Ask a vision-language model about pictures: how probable each answer is, or what it says by itself.

    The probabilities are over the choices; coverage is that of all choices together: where it is low the model wanted
    to say something else.
    """
    _check(choices, length, first_token, max_new_tokens)
    import unisim

    out = Output(json, quiet, no_progress, color)
    model = unisim.Vlm.load(vlm, device=device, dtype=dtype)
    pictures = [unisim.read_image(file) for file in images or []]
    content: dict[str, Any] = {"vlm": vlm, "images": images or [], "device": device, "dtype": dtype}
    if show_prompt:
        seen = model.prompt(pictures, prompt, template=template)
        out.result(content | _prompt(seen), lambda: _draw_prompt(out, seen))
    elif choices:
        chosen = model.choose(
            pictures, prompt, choices, template=template, length=length or "sum", first_token=first_token
        )
        out.result(content | _choices(choices, chosen), lambda: _draw_choices(out, choices, chosen))
    else:
        with out.progress("tokens") as progress:
            text = model.generate(
                pictures, prompt, max_new_tokens or 64, template=template, progress=progress or _nothing
            )
        out.result(content | {"text": text}, lambda: print(text))


def _check(
    choices: list[str] | None, length: str | None, first_token: bool, max_new_tokens: int | None
) -> None:
    """No option is given that would do nothing, and no picture as a choice."""
    for choice in choices or []:
        if Path(choice).suffix and Path(choice).is_file():
            raise typer.BadParameter(
                f"--choices takes every word up to the next option, and {choice} is a file: pictures stand before it"
            )
    if not choices:
        for option, given in (("--length", length), ("--first-token", first_token)):
            if given:
                raise typer.BadParameter(f"{option} needs --choices")
    elif max_new_tokens is not None:
        raise typer.BadParameter("--max-new-tokens is of a generated answer; with --choices none is")


def _nothing(done: int, total: int) -> None:
    """A progress that draws nothing: between two tokens Ctrl-C is looked at all the same."""


def _prompt(seen: Any) -> dict[str, Any]:
    pictures = [{"at": at, "tokens": rows} for at, rows in seen.pictures]
    return {"prompt": seen.text, "tokens": len(seen.ids), "pictures": pictures}


def _draw_prompt(out: Output, seen: Any) -> None:
    print(seen.text)
    rows = [(f"picture {k}", str(at), str(rows)) for k, (at, rows) in enumerate(seen.pictures, 1)]
    of_pictures = sum(rows for _, rows in seen.pictures)
    rows += [("text", "", str(len(seen.ids) - of_pictures)), ("all", "", str(len(seen.ids)))]
    out.table(("", ">at", ">tokens"), rows)


def _choices(choices: list[str], chosen: Any) -> dict[str, Any]:
    each = zip(choices, chosen.probabilities, chosen.log_probabilities, strict=True)
    return {
        "choices": [{"text": text, "probability": p, "log_probability": l} for text, p, l in each],
        "best": choices[chosen.best],
        "coverage": chosen.coverage,
    }


def _draw_choices(out: Output, choices: list[str], chosen: Any) -> None:
    rows = [
        (f"{p:.4f}", f"{l:.4f}", text)
        for text, p, l in zip(choices, chosen.probabilities, chosen.log_probabilities, strict=True)
    ]
    out.table((">probability", ">log p", "choice"), rows)
    print(f"coverage {chosen.coverage:.4g}")
