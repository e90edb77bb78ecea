"""unisim doctor [MODEL]"""

from typing import Annotated

import typer

from unisim.cli.options import Color, Json
from unisim.cli.output import Output


def doctor(
    model: Annotated[str | None, typer.Argument(metavar="[MODEL]", help="Look at this model too.")] = None,
    json: Json = False,
    color: Color = "auto",
) -> None:
    """Say what this installation consists of, and whether it computes what it should.

    Of a model: its files with their hashes, its preprocessing and activation, and one embedding; of a vision-language
    model its template, tokens a picture, memory needed, and one question. The exit code is 1 if any check fails.
    """
    from unisim import doctor as examination

    checks = [*examination.machine(), *examination.self_test()]
    if model is not None:
        checks += examination.model(model)
    ok = all(check.ok for check in checks)
    out = Output(json, color=color)
    out.result(
        {
            "ok": ok,
            "checks": [{"name": check.name, "ok": check.ok, "detail": check.detail} for check in checks],
            "device": "cpu",
            "dtype": "float32",
        },
        lambda: out.table(
            ("", "check", "found"), [("ok" if c.ok else "BAD", c.name, c.detail) for c in checks]
        ),
    )
    if not ok:
        raise typer.Exit(1)
