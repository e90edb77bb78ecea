"""Models and metrics as the command line names them: NAME[,key=value...]."""

import re
from typing import Any

import typer

_OPTION = re.compile(r",([a-z_]+)=([^,=]*)$")

OPTIONS = {"layer": int, "pool": str}  # what may follow the name of an encoder or of its metric


def asked(options: dict[str, Any], device: str, dtype: str) -> dict[str, Any]:
    """The options of a metric, with --device and --dtype where they are not the usual: what was not asked for is left
    to the metric, since those without a model know neither."""
    usual = (("device", device, "cpu"), ("dtype", dtype, "float32"))
    return options | {key: value for key, value, default in usual if value != default}


def split(text: str) -> tuple[str, dict[str, Any]]:
    """The name and its options: "F,layer=9,pool=mean" is "F" and {"layer": 9, "pool": "mean"}.

    A comma that no key=value follows belongs to the name.
    """
    options: dict[str, Any] = {}
    name = text
    while found := _OPTION.search(name):
        key, value = found.groups()
        if key not in OPTIONS:
            raise typer.BadParameter(f"{text!r}: unknown option {key!r}; known are {', '.join(OPTIONS)}")
        if key in options:
            raise typer.BadParameter(f"{text!r}: {key} is given twice")
        try:
            options[key] = OPTIONS[key](value)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: {key} takes a whole number, not {value!r}") from None
        name = name[: found.start()]
    if not name:
        raise typer.BadParameter(f"{text!r} names nothing")
    return name, options
