"""What a command says and where: results on stdout, everything else on stderr."""

import contextlib
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import typer

from unisim import __version__

Progress = Callable[[int, int], None]

PARTIAL = 3  # exit code: finished, but some inputs failed


def one_line(text: object) -> str:
    """Text for a terminal: no control characters, no line breaks, no bytes that are not text."""
    shown = str(text).encode(errors="surrogateescape").decode(errors="replace")
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)


def reason(error: BaseException) -> str:
    """An error's own words, on one line; the file's name first where only the exception knows it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return one_line(f"{os.fsdecode(error.filename)}: {error.strerror}")
    return one_line(f"out of memory {error}" if isinstance(error, MemoryError) else str(error))


def failure(file: str, error: BaseException | str) -> str:
    """A failed input and why; its name is not said twice."""
    text = error if isinstance(error, str) else reason(error)
    return f"failed: {text}" if file in text else f"failed: {file}: {text}"


def strict(value: Any) -> Any:
    """The value with infinite and undefined numbers as None: JSON has no word for them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: strict(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [strict(each) for each in value]
    return value


@dataclass
class Output:
    """The streams of one command, as its options and the terminal want them."""

    as_json: bool = False
    quiet: bool = False
    no_progress: bool = False
    color: str = "auto"

    def say(self, line: str) -> None:
        """One line for people, on stderr; nothing with --quiet."""
        if not self.quiet:
            print(one_line(line), file=sys.stderr, flush=True)

    def warn(self, line: str) -> None:
        """One line on stderr, whatever the options."""
        print(f"unisim: {one_line(line)}", file=sys.stderr, flush=True)

    @property
    def shows_progress(self) -> bool:
        """Progress is for a person who watches: off with --quiet, --no-progress, or when stderr is no terminal."""
        return (
            not self.quiet
            and not self.no_progress
            and sys.stderr.isatty()
            and os.environ.get("TERM") != "dumb"
        )

    @contextlib.contextmanager
    def progress(self, label: str) -> Iterator[Progress | None]:
        """A bar on stderr while the block runs: call what it yields with (done, total). None when no one watches."""
        if not self.shows_progress:
            yield None
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True, **self._color_options()), transient=True) as bar:
            task = bar.add_task(label, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)

    def result(self, content: dict[str, Any], draw: Callable[[], None]) -> None:
        """The command's result: with --json one object on stdout, else what `draw` prints."""
        with quiet_end():
            if self.as_json:
                print(json.dumps(strict({"unisim": __version__, **content}), allow_nan=False))
            else:
                draw()
            sys.stdout.flush()

    def table(
        self, columns: Sequence[str], rows: Sequence[Sequence[object]], title: str | None = None
    ) -> None:
        """A table on stdout; a column whose name begins with ">" is aligned to the right."""
        from rich.box import SIMPLE
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        class PipeConsole(Console):
            def on_broken_pipe(self) -> None:  # Console's own ends the process with 1
                raise BrokenPipeError

        console: Console = PipeConsole(**self._color_options())
        if not console.is_terminal:
            console = PipeConsole(**self._color_options(), width=10_000)  # never cut a name that a script reads
        if title is not None:  # a table's own title is wrapped to the table's width
            console.print(Text(one_line(title), style="bold"))
        table = Table(box=SIMPLE, pad_edge=False)
        for name in columns:
            right = name.startswith(">")
            table.add_column(name.removeprefix(">"), justify="right" if right else "left", overflow="fold")
        for row in rows:
            table.add_row(*(Text(one_line(cell)) for cell in row))
        console.print(table)

    def _color_options(self) -> dict[str, Any]:
        if self.color == "always":
            return {"force_terminal": True}
        return {"no_color": True, "highlight": False} if self.color == "never" else {}


@contextlib.contextmanager
def quiet_end() -> Iterator[None]:
    """Whoever reads our stdout may stop at any time: then we stop too, without a word."""
    try:
        yield
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(0) from None
