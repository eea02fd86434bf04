"""Whether answers hold the figures that plain SQL gives: the questions of `checked.yaml`, and the check itself."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import duckdb
import yaml

from bench.cost.workload import Talk, Turn

_FIGURE = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?")
_WORDS = {"no": 0, "none": 0, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5}


@dataclass(frozen=True)
class Checked:
    """One question and what SQL says: rows of a name (empty where there is none) and a figure."""

    text: str
    measure: str
    expected: tuple[tuple[str, Decimal], ...]

    def talk(self, number: int) -> Talk:
        """As a question of the workload, asked by somebody who sees everybody."""
        return Talk((Turn(f"checked-{number}", self.text, "aggregate", "", "org", ""),))


def read_checked(path: Path, database: Path, today: date) -> list[Checked]:
    """Ask the database for every expected answer; nobody else may hold it meanwhile."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return [
            Checked(
                each["text"], each["measure"], _expected(connection.execute(_filled(each["sql"], today)).fetchall())
            )
            for each in yaml.safe_load(path.read_text(encoding="utf-8"))
        ]


def exact(checked: Checked, tables: Sequence[Mapping[str, Any]], text: str) -> bool:
    """True when one table's column, or else the prose, says every expected figure beside its name.

    Of a table the rows must come in the expected order; a longer table (a ranking of ten) holds its first rows.
    """
    return any(_in_table(checked.expected, table) for table in tables) or (not tables and _in_text(checked, text))


def contradicts(checked: Checked, tables: Sequence[Mapping[str, Any]], text: str) -> bool:
    """True when an answer tells the measure that was asked for, with other figures than SQL's.

    One that tells another measure took the question for another one: not exact, but its figures are SQL's.
    """
    told = {column["name"] for table in tables for column in table.get("columns", []) if column.get("measure")}
    return checked.measure in told and not exact(checked, tables, text)


def _in_table(expected: Sequence[tuple[str, Decimal]], table: Mapping[str, Any]) -> bool:
    rows = table.get("rows", [])
    if len(rows) < len(expected):
        return False
    measures = [place for place, column in enumerate(table.get("columns", [])) if column.get("measure")]
    for place in measures:
        figures = [_decimal(row[place]) for row in rows]
        if len(expected) == 1 and not expected[0][0]:
            # A single figure: of a table with a row for each group it would be a sum that nobody said.
            if len(rows) == 1 and _same(figures[0], expected[0][1]):
                return True
            continue
        found = {
            (str(cell), figure) for row, figure in zip(rows, figures, strict=True) for cell in row if figure is not None
        }
        in_order = [figure for figure in figures[: len(expected)] if figure is not None]
        named = all(any(name == cell and _same(figure, value) for cell, figure in found) for name, value in expected)
        ordered = len(in_order) == len(expected) and all(
            _same(figure, value) for figure, (_, value) in zip(in_order, expected, strict=True)
        )
        if named and ordered:
            return True
    return False


def _in_text(checked: Checked, text: str) -> bool:
    found = figures_of(text)
    return all(
        any(_same(figure, value) for figure in found) and name.casefold() in text.casefold()
        for name, value in checked.expected
    )


def figures_of(text: str) -> list[Decimal]:
    """Return the figures of a text, small number words included."""
    found = [figure for figure in (_decimal(each) for each in _FIGURE.findall(text)) if figure is not None]
    return found + [Decimal(_WORDS[word]) for word in re.findall(r"[a-z]+", text.casefold()) if word in _WORDS]


def _same(found: Decimal | None, expected: Decimal) -> bool:
    return found is not None and abs(found - expected) <= Decimal("0.005")


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value).replace(",", ""))
    except InvalidOperation:
        return None


def _expected(rows: Sequence[Sequence[Any]]) -> tuple[tuple[str, Decimal], ...]:
    return tuple((str(row[0]) if len(row) > 1 else "", Decimal(str(row[-1]))) for row in rows)


def _filled(sql: str, today: date) -> str:
    return str(sql).format(year=today.year, today=today.isoformat())
