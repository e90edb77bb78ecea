"""The commands, put together, and what becomes of their errors."""

import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from unisim.cli import get
from unisim.cli.output import one_line

app = typer.Typer(
    name="unisim",
    help="How alike things look, or how well they belong together, to a person.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _example(*lines: str) -> str:
    return "Example:\n\n" + "\n\n".join(lines)


def _version(asked: bool) -> None:
    if asked:
        from unisim.cli.versions import lines

        print("\n".join(lines()))
        raise typer.Exit


@app.callback(
    invoke_without_command=True,
    epilog=_example("unisim get lpips-alex", "unisim compare lpips-alex a.jpg b.jpg"),
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


app.command(epilog=_example("unisim get dinov2-vits14-saliency"))(get.get)


_ended_by = signal.SIGINT  # which signal a KeyboardInterrupt stands for


def _terminate(number: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as an interrupt does; only the exit code tells them apart."""
    global _ended_by
    _ended_by = signal.SIGTERM
    raise KeyboardInterrupt


def _error(error: BaseException) -> int:
    if os.environ.get("UNISIM_TRACEBACK") == "1":
        raise error
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    elif isinstance(error, MemoryError):
        text = f"out of memory {text}"
    elif not isinstance(error, OSError | ValueError | RuntimeError):  # our mistake, not the caller's
        text = f"{type(error).__name__}: {text} (UNISIM_TRACEBACK=1 shows where)"
    print(f"unisim: error: {one_line(text)}", file=sys.stderr)
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
