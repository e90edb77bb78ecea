"""Tables, lists and folders of data sets that strangers made: read strictly, and every complaint says where.

Whatever is wrong in a file is a ValueError that names file and line (or record), what was found and what was expected;
what cannot be opened is an OSError with the file's name.
"""

import csv
import errno
import io
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from unisim.task_folder import Item, inside

T = TypeVar("T")

MOST_BYTES = 1 << 30  # of a table or list
PICTURES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def home(data: Path, places: Sequence[str], marker: str) -> str:
    """The first of `places` below `data` that holds `marker`: "" or a path that ends with "/".

    Data sets are unpacked with their outer folder and without it; both are taken.
    """
    for place in places:
        if (data / place / marker).exists():
            return place
    others = ", ".join(repr(place) for place in places if place)
    hint = f" (nor is it below {others})" if others else ""
    raise FileNotFoundError(errno.ENOENT, f"{os.strerror(errno.ENOENT)}{hint}", str(data / marker))


def names_in(folder: Path, endings: Sequence[str] = ()) -> list[str]:
    """The names in a folder, sorted by their bytes: those with one of the endings, whatever the case of its letters.

    Without endings, the names of its folders. Hidden ones are left out.
    """
    found = []
    for name in sorted(os.listdir(folder), key=os.fsencode):
        wanted = name.lower().endswith(tuple(endings)) if endings else (folder / name).is_dir()
        if wanted and not name.startswith("."):
            found.append(words(name, f"{folder}"))
    return found


def picture(data: Path, path: str, where: str) -> str:
    """The path, if it stays inside `data` and is a file there; `where` is what names it."""
    try:
        inside(path)
    except ValueError as error:
        raise ValueError(f"[import] {where}: {error}") from None
    if not (data / path).is_file():
        reason = "is no file" if (data / path).exists() else os.strerror(errno.ENOENT)
        raise FileNotFoundError(errno.ENOENT, f"{reason}, but {where} names it", str(data / path))
    return path


def words(value: str, where: str) -> str:
    """The text, if there is any and it can be written as UTF-8."""
    if not value.strip():
        raise ValueError(f"[import] {where}: found an empty text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"[import] {where}: found {value!r}, which is no Unicode text") from None
    return value


def read_text(file: Path) -> str:
    """A whole file as UTF-8, without the mark that some programs put in front."""
    size = file.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"[import] {file}: {size} bytes, expected at most {MOST_BYTES}")
    data = file.read_bytes()
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"[import] {file}, line {line}: found the byte {data[error.start]:#04x}, expected UTF-8"
        ) from None


@dataclass(frozen=True)
class Row:
    """A row of a table; a column is given by name or by position."""

    table: "Table"
    line: int
    cells: list[str]

    @property
    def where(self) -> str:
        return f"{self.table.file}, line {self.line}"

    def cell(self, column: str | int) -> str:
        return self.cells[self.table.position(column)].strip()

    def text(self, column: str | int) -> str:
        """The cell as it stands, not empty."""
        return words(self.cells[self.table.position(column)], self._named(column))

    def number(self, column: str | int, least: float = -math.inf, most: float = math.inf) -> float:
        return number(self.cell(column), self._named(column), least, most)

    def whole(self, column: str | int, least: float = 0) -> int:
        value = self.number(column, least)
        if not value.is_integer():
            raise ValueError(f"[import] {self._named(column)}: found {value}, expected a whole number")
        return int(value)

    def word(self, column: str | int, known: Sequence[str]) -> str:
        """The cell, one of a few words."""
        found = self.cell(column)
        if found not in known:
            raise ValueError(
                f"[import] {self._named(column)}: found {shown(found)}, expected one of {', '.join(known)}"
            )
        return found

    def _named(self, column: str | int) -> str:
        return f"{self.where}, {self.table.header[self.table.position(column)]}"


class Table:
    """A CSV file with a header; blanks around the header's names do not count."""

    def __init__(self, file: Path, columns: Sequence[str] = (), least_columns: int = 1) -> None:
        self.file = file
        lines = csv.reader(io.StringIO(read_text(file), newline=""), strict=True)
        self.rows: list[Row] = []
        self.header: list[str] = []
        start = 1
        try:
            for cells in lines:
                if any(cell.strip() for cell in cells):
                    self._add(cells, start)
                start = lines.line_num + 1
        except csv.Error as error:
            raise ValueError(f"[import] {file}, line {lines.line_num}: found no CSV: {error}") from None
        if not self.header:
            raise ValueError(f"[import] {file}: found no line, expected a header")
        for column in columns:
            self.position(column)
        if len(self.header) < least_columns:
            raise ValueError(
                f"[import] {file}, line 1: found {len(self.header)} columns, expected {least_columns}"
            )

    def _add(self, cells: list[str], line: int) -> None:
        if not self.header:
            self.header = [cell.strip() for cell in cells]
            twice = [name for name in self.header if name and self.header.count(name) > 1]
            if twice:
                raise ValueError(f"[import] {self.file}, line {line}: the column {twice[0]!r} is there twice")
            return
        while len(cells) > len(self.header) and not cells[-1].strip():
            cells.pop()
        if len(cells) != len(self.header):
            raise ValueError(
                f"[import] {self.file}, line {line}: found {len(cells)} cells, expected {len(self.header)}"
            )
        self.rows.append(Row(self, line, cells))

    def has(self, *columns: str) -> bool:
        return all(column in self.header for column in columns)

    def position(self, column: str | int) -> int:
        if isinstance(column, int):
            return column
        try:
            return self.header.index(column)
        except ValueError:
            found = ", ".join(self.header)
            raise ValueError(
                f"[import] {self.file}, line 1: no column {column!r}; found {shown(found)}"
            ) from None


@dataclass(frozen=True)
class Record:
    """An object of a JSON list."""

    file: Path
    number: int  # from 1
    value: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.file}, record {self.number}"

    def at(self, kind: type[T], *path: str | int) -> T:
        """What lies at keys and places, of this kind."""
        value: Any = self.value
        for step in path:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                raise ValueError(f"[import] {self.where}: there is no {_path(path)}") from None
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(
                f"[import] {self.where}, {_path(path)}: found {shown(value)}, expected {_KINDS[kind]}"
            )
        return value

    def text(self, *path: str | int) -> str:
        return words(self.at(str, *path), f"{self.where}, {_path(path)}")

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        return [self.text(key, k) for k in range(len(self.at(list, key)))]


_KINDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number"}


def _path(path: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def read_records(file: Path) -> list[Record]:
    """A JSON file that is a list of objects."""
    return records(file, parsed(read_text(file), file))


def records(file: Path, values: Any) -> list[Record]:
    if not isinstance(values, list):
        raise ValueError(f"[import] {file}: found {shown(values)}, expected a list")
    for number, value in enumerate(values, 1):
        if not isinstance(value, dict):
            raise ValueError(f"[import] {file}, record {number}: found {shown(value)}, expected an object")
    return [Record(file, number, value) for number, value in enumerate(values, 1)]


def parsed(text: str, file: Path, line: int = 1) -> Any:
    """The value of JSON text that begins at this line; NaN and Infinity are not JSON."""

    def refuse(name: str) -> None:
        raise ValueError(f"{name} is no JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        line += error.lineno - 1
        raise ValueError(f"[import] {file}, line {line}: found no JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"[import] {file}, line {line} or later: found no JSON: {error}") from None


def number(given: object, where: str, least: float = -math.inf, most: float = math.inf) -> float:
    """A finite number of [least, most], from a text or a number."""
    try:
        value = float(given) if isinstance(given, str | int | float) else math.nan
    except (ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value) or not least <= value <= most or "_" in str(given):
        limits = "a number" if least == -math.inf == -most else f"a number from {least:g} to {most:g}"
        raise ValueError(f"[import] {where}: found {shown(given)}, expected {limits}")
    return value


def shown(value: object) -> str:
    """A value for a message, cut where it is long."""
    text = value if isinstance(value, str) and len(value) > 80 else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def drawn(limit: int, draw: Callable[[int], Item | None], where: str) -> list[Item]:
    """draw(0), draw(1), ... until there are `limit` items; None stands for a draw that the rule drops."""
    items: list[Item] = []
    for k in range(20 * limit + 1000):
        item = draw(k)
        if item is not None:
            items.append(item)
            if len(items) == limit:
                return items
    raise ValueError(f"[import] {where}: nearly every draw is dropped; {len(items)} of {limit} items found")
