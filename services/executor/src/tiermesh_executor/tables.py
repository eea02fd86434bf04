"""Rows as the executor needs them: for a model to read, for figures to be checked, for people as plain words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

Cell = str | int | float | bool | None
CellType = Literal["string", "integer", "decimal", "double", "boolean", "date", "timestamp"]
NUMERIC: frozenset[CellType] = frozenset({"integer", "decimal", "double"})
MODEL_CHARACTERS = 24_000
_PLAIN_ROWS = 10


@dataclass(frozen=True, slots=True)
class Column:
    """See tiermesh.common.v1.Column."""

    name: str
    label: str
    type: CellType
    unit: str = ""
    currency: str = ""
    measure: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A bounded result. `source` is the message it came as, shown to the user untouched."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    truncated: bool = False
    notes: Sequence[str] = ()
    caption: str = ""
    statements: int = 0
    source: object = None


def number_of(cell: Cell, column: Column) -> Decimal | None:
    """The cell's value when it is a number."""
    if column.type not in NUMERIC or cell is None or isinstance(cell, bool):
        return None
    try:
        value = Decimal(str(cell))
    except ArithmeticError:
        return None
    return value if value.is_finite() else None


def for_model(table: Table, *, limit: int = MODEL_CHARACTERS) -> str:
    """Compact JSON; what does not fit is cut and the cut is announced."""
    columns = [_column_for_model(column) for column in table.columns]
    notes = [*table.notes]
    if table.truncated:
        notes.append("The result was cut by the row limit: do not speak of totals over all rows.")
    rows: list[str] = []
    used = len(json.dumps([columns, notes], ensure_ascii=False))
    for row in table.rows:
        text = json.dumps(list(row), ensure_ascii=False, separators=(",", ":"))
        used += len(text) + 1
        if used > limit:
            notes.append(
                f"Only the first {len(rows)} of {len(table.rows)} rows are shown here; the user sees all of them."
            )
            break
        rows.append(text)
    head = json.dumps(
        {"caption": table.caption, "columns": columns, "notes": notes}, ensure_ascii=False, separators=(",", ":")
    )
    return f'{head[:-1]},"rows":[{",".join(rows)}]}}'


def _column_for_model(column: Column) -> str | dict[str, str]:
    if column.currency:
        return {"name": column.name, "currency": column.currency}
    return {"name": column.name, "unit": column.unit} if column.unit else column.name


def in_plain_words(table: Table) -> str:
    """The rows as a sentence that needs no model, for when prose cannot be trusted or had."""
    if not table.rows:
        return "No records match."
    parts = [_row_words(table, row) for row in table.rows[:_PLAIN_ROWS]]
    hidden = len(table.rows) - len(parts)
    more = [f"and {hidden} more {'row' if hidden == 1 else 'rows'} in the table"] if hidden > 0 else []
    return "; ".join([*parts, *more]) + "."


def _row_words(table: Table, row: Sequence[Cell]) -> str:
    cells = list(zip(table.columns, row, strict=False))
    names = [str(cell) for column, cell in cells if not column.measure and cell is not None]
    values = [_value_words(column, cell) for column, cell in cells if column.measure]
    if not values:
        return ", ".join(f"{column.label or column.name} {cell}" for column, cell in cells if cell is not None)
    return f"{', '.join(names)}: {', '.join(values)}" if names else ", ".join(values)


def _value_words(column: Column, cell: Cell) -> str:
    label = (column.label or column.name).lower()
    value = number_of(cell, column)
    if value is None:
        return f"{label} {'unknown' if cell is None else cell}"
    if column.unit == "share":
        return f"{label} {value * 100:.1f} %"
    shown = f"{value:,f}"
    if "." in shown and not column.currency:
        shown = shown.rstrip("0").rstrip(".")
    unit = column.unit or column.currency
    return f"{shown} {unit}" if unit and unit.lower() in label else f"{label} {shown} {unit}".rstrip()
