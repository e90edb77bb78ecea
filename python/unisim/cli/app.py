"""The commands, put together, and what becomes of their errors."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from unisim.cli import (
    answer,
    ask,
    compare,
    convert,
    doctor,
    embed,
    evaluate,
    get,
    importing,
    leaderboard,
    mine,
    mmvp,
    models,
    score,
)
from unisim.cli.help import add, example
from unisim.cli.output import one_line, reason

app = typer.Typer(
    name="unisim",
    help="How alike things look, or how well they belong together, to a person.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from unisim.versions import versions

        print("\n".join(f"{name} {version}" for name, version in versions().items()))
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog=example("unisim get lpips-alex", "unisim compare lpips-alex a.jpg b.jpg"),
)
def unisim(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version, is_eager=True, help="Versions of unisim and what it uses."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        print(context.get_help())
        raise typer.Exit(2)


def _command(function: Callable[..., None], *example_lines: str, name: str | None = None) -> None:
    add(app, function, *example_lines, name=name)


_command(models.models, "unisim models --json")
_command(get.get, "unisim get dinov2-vits14-saliency")
_command(compare.compare, "unisim compare lpips-alex a.jpg b.jpg c.jpg --json")
_command(embed.embed, "unisim embed dinov2-vits14-saliency,layer=9,pool=mean photos -o rows.npy")
_command(
    mine.mine,
    "unisim mine photos --alike clip-rows.npy --apart dinov2-vits14-saliency -o pairs.csv --report pairs.html",
)
_command(importing.importing, "unisim import distortions photos -o task", name="import")
_command(evaluate.evaluate, "unisim evaluate task --metric lpips-alex --metric ssim --report report.html")
_command(leaderboard.leaderboard, "unisim leaderboard results.json --json")
add(
    app,
    ask.ask,
    'unisim ask llava-onevision-qwen2-0.5b "Which is sharper, <image> or <image>?" a.jpg b.jpg --choices A B',
    cls=ask.ManyChoices,
)
_command(answer.answer, "unisim answer llava-onevision-qwen2-0.5b mmvp MMVP -o answers.jsonl")
_command(doctor.doctor, "unisim doctor dinov2-vits14-saliency")
app.add_typer(score.score_app, name="score")
app.add_typer(mmvp.mmvp_app, name="mmvp")
app.add_typer(convert.convert_app, name="convert")


_ended_by = signal.SIGINT  # which signal a KeyboardInterrupt stands for


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as an interrupt does; only the exit code tells them apart."""
    global _ended_by
    _ended_by = signal.SIGTERM
    raise KeyboardInterrupt


def _error(error: Exception) -> int:
    if os.environ.get("UNISIM_TRACEBACK") == "1":
        raise error
    text = reason(error)
    if not isinstance(
        error, OSError | ValueError | RuntimeError | MemoryError
    ):  # our mistake, not the caller's
        text = f"{type(error).__name__}: {text} (UNISIM_TRACEBACK=1 shows where)"
    print(f"unisim: error: {text}", file=sys.stderr)
    return 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0 ok, 1 error, 2 usage, 3 some inputs failed, 130 and 143."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code: Any = app(args=arguments, prog_name="unisim", standalone_mode=False)
    except TyperException as error:  # the command line itself
        print(f"unisim: error: {one_line(error.format_message())} (see unisim --help)", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        return _error(error)
    if code == 130:  # what typer makes of a KeyboardInterrupt
        print("unisim: interrupted", file=sys.stderr)
        return 128 + _ended_by
    return code if isinstance(code, int) else 0
