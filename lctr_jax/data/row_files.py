"""Rows of table files: CSV with a header, separated by commas, semicolons or tabs, and JSON lines."""

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lctr_jax.data.box_entry import read_lines, read_text, shorten

SUFFIXES = (".csv", ".tsv", ".jsonl")


@dataclasses.dataclass(frozen=True)
class FileRow:
    """A row: its values by column, strings in CSV files and any JSON values otherwise.

    Attributes:
        values: by column name as spelled in the file; columns that the row lacks are absent.
        where: file and line, for messages.
    """

    values: dict[str, Any]
    where: str


def read_rows(path: Path) -> list[FileRow]:
    """Read a table file.

    Raises:
        ValueError: it is not a text file, not a table, or a column occurs twice.
    """
    return _read_json_lines(path) if path.suffix.lower() == ".jsonl" else _read_csv(path)


def columns_of(rows: Sequence[FileRow]) -> list[str]:
    """Return the names of all columns in the order in which they occur."""
    return list(dict.fromkeys(name for row in rows for name in row.values))


def find_delimiter(header: str) -> str:
    """Return the character that separates the columns of a CSV file's header."""
    return max(",;\t", key=header.count)


def _read_csv(path: Path) -> list[FileRow]:
    text = read_text(path).lstrip()
    header = next(read_lines(path), ("", ""))[1]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=find_delimiter(header))
    rows = []
    try:
        names = [name.strip() for name in next(reader, [])]
        if twice := [name for index, name in enumerate(names) if name and name in names[:index]]:
            raise ValueError(f"{path}: its header has the column {shorten(twice[0])!r} twice")
        for cells in reader:
            if any(cell.strip() for cell in cells):
                values = dict(zip(names, (cell.strip() for cell in cells), strict=False))
                rows.append(FileRow(values, f"{path}:{reader.line_num}"))
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: not a CSV file: {error}") from error
    return rows


def _read_json_lines(path: Path) -> list[FileRow]:
    rows = []
    for where, line in read_lines(path):
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{where}: not a line of JSON: {shorten(' '.join(str(error).split()))}"
            ) from error
        if not isinstance(values, dict):
            raise ValueError(
                f'{where}: expected a JSON object such as {{"file_name": ...}}, got {shorten(line)}'
            )
        rows.append(FileRow(values, where))
    return rows
