"""Rows of a CSV file with a header, read strictly: every complaint names the file and the line."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path


def rows(operation: str, file: Path, wanted: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, row) of a CSV that has the columns `wanted`; empty lines are passed over.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is not UTF-8 or no CSV, lacks a column, or has a row of another number of columns than the header.
    """
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"[{operation}] {file}: not UTF-8 at byte {error.start}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = [name for name in wanted if name not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(
                f"[{operation}] {file}: has no column {missing[0]!r}; its columns: {reader.fieldnames}"
            )
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(
                    f"[{operation}] {file}:{reader.line_num}: another number of columns than the header"
                )
            yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(f"[{operation}] {file}:{reader.line_num}: {error}") from error
