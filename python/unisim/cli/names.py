"""Models and metrics as the command line names them: NAME[,key=value...]."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import typer

_OPTION = re.compile(r",([a-z_]+)=([^,=]*)$")



def _yes(value: str) -> bool:
    if value not in ("yes", "no"):
        raise ValueError("yes or no")
    return value == "yes"


# What may follow the name of an encoder or of a metric, and how a value is said to be wrong.
OPTIONS: dict[str, tuple[Callable[[str], Any], str]] = {
    "layer": (int, "a whole number"),
    "pool": (str, "a name"),
    "mode": (str, "a name"),
    "swap": (_yes, "yes or no"),
    "shots": (int, "a whole number"),
    "seed": (int, "a whole number"),
    "reason": (_yes, "yes or no"),
    "template": (str, "a name"),
}


def asked(options: dict[str, Any], device: str, dtype: str) -> dict[str, Any]:
    """The options of a metric, with --device and --dtype where they are not the usual: what was not asked for is left
    to the metric, since those without a model know neither."""
    usual = (("device", device, "cpu"), ("dtype", dtype, "float32"))
    return options | {key: value for key, value, default in usual if value != default}


ENCODER = ("layer", "pool")
METRIC = tuple(OPTIONS)


def split(text: str, known: Sequence[str] = ENCODER) -> tuple[str, dict[str, Any]]:
    """The name and its options: "F,layer=9,pool=mean" is "F" and {"layer": 9, "pool": "mean"}.

    A comma that no key=value follows belongs to the name.
    """
    options: dict[str, Any] = {}
    name = text
    while found := _OPTION.search(name):
        key, value = found.groups()
        if key not in known:
            raise typer.BadParameter(f"{text!r}: unknown option {key!r}; known are {', '.join(known)}")
        if key in options:
            raise typer.BadParameter(f"{text!r}: {key} is given twice")
        reads, kind = OPTIONS[key]
        try:
            options[key] = reads(value)
        except ValueError:
            raise typer.BadParameter(f"{text!r}: {key} takes {kind}, not {value!r}") from None
        name = name[: found.start()]
    if not name:
        raise typer.BadParameter(f"{text!r} names nothing")
    return name, options
