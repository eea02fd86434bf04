"""Reads labelled JSON Lines; what is wrong is told with file, line and field. What the fields mean is the caller's."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


class RowsError(Exception):
    """A file that cannot be used; the message says where and what to do."""


def read_rows(path: Path, fields: Mapping[str, type]) -> Iterator[Mapping[str, Any]]:
    """Every row that has all the fields with the right types; the first that has not ends it with `RowsError`."""
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RowsError(f"{path}: cannot be read as UTF-8 text ({type(error).__name__})") from error
    for number, line in enumerate(content.split("\n"), start=1):
        if line.strip():
            yield _row(path, number, line, fields)


def _row(path: Path, number: int, line: str, fields: Mapping[str, type]) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RowsError(f"{path}:{number}: is no JSON object on one line") from error
    for name, kind in fields.items():
        if not isinstance(row, dict) or not isinstance(row.get(name), kind):
            raise RowsError(f'{path}:{number}: has no "{name}" of type {kind.__name__}; see docs/classifier.md')
    return dict(row)


def enough(found: Sequence[object], path: Path, least: int) -> None:
    """Raises `RowsError` when a file holds too little to fit or to measure on."""
    if len(found) < least:
        raise RowsError(f"{path}: holds {len(found)} usable rows, at least {least} are needed")
