"""What is known of a data set before it is read, and how its options are given."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from unisim.task_folder import TaskContent

Options = dict[str, tuple[str, str]]  # name: (default, what it does)


@dataclass(frozen=True)
class DataSet:
    """A data set that `unisim import NAME` reads. make(folder, seed, options) gives its items."""

    name: str
    task: str
    origin: str  # where its authors give it
    terms: str  # as far as its authors say
    make: Callable[[Path, int, dict[str, str]], TaskContent]
    attribute: str | None = None
    options: Options = field(default_factory=dict)


def chosen(data_set: DataSet, given: dict[str, str]) -> dict[str, str]:
    """All options of a data set, those not given at their defaults; ValueError for one that it does not have."""
    unknown = sorted(set(given) - set(data_set.options))
    if unknown:
        known = ", ".join(data_set.options) or "none"
        raise ValueError(f"[import] {data_set.name} has no option {unknown[0]!r}; its options: {known}")
    return {name: given.get(name, default) for name, (default, _) in data_set.options.items()}


def whole_number(name: str, given: str, least: int, most: int) -> int:
    """An option that counts something."""
    if not given.isascii() or not given.isdigit() or not least <= int(given) <= most:
        raise ValueError(
            f"[import] option {name} is {given!r}, expected a whole number from {least} to {most}"
        )
    return int(given)


def one_of(name: str, given: str, known: tuple[str, ...]) -> str:
    """An option that names one of a few."""
    if given not in known:
        raise ValueError(f"[import] option {name} is {given!r}, expected one of {', '.join(known)}")
    return given
