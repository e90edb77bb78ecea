"""A command's help: its docstring's paragraphs, and an example at the end."""

import inspect
from collections.abc import Callable

import typer
from typer.core import TyperCommand


def example(*lines: str) -> str:
    return "Example:\n\n" + "\n\n".join(lines)


def add(
    app: typer.Typer,
    function: Callable[..., None],
    *example_lines: str,
    name: str | None = None,
    cls: type[TyperCommand] = TyperCommand,
) -> None:
    """Makes the function a command of the app, by its own name unless another is given."""
    paragraphs = inspect.cleandoc(function.__doc__ or "").split("\n\n")
    text = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)
    app.command(name, cls=cls, help=text, epilog=example(*example_lines))(function)
