"""From the database's rows to the rows that people see: values as text or numbers, ties, cuts, gaps, notes."""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

from tiermesh_aggregator.compiling.compiled import Compiled
from tiermesh_aggregator.failures import RateMissingError
from tiermesh_aggregator.query import Cell, ResultColumn, ResultTable

most_ties = 10


def present(compiled: Compiled, rows: Sequence[Sequence[Any]], fingerprint: str) -> ResultTable:
    """The table of one statement's rows."""
    rates, rate_notes = _rates(compiled, rows)
    suppressed, rows = _without_suppressed(compiled, rows)
    rows, tie_notes = _ties(compiled, rows)
    truncated = compiled.rank is None and len(rows) > compiled.limit
    rows = rows if compiled.rank is not None else rows[: compiled.limit]
    rows = _filled(compiled, rows) if not truncated else rows
    notes = [*compiled.notes, *rate_notes, *tie_notes]
    if truncated:
        notes.append(f"Only the first {compiled.limit} rows are shown; there are more.")
    if suppressed:
        noun = "group is" if suppressed == 1 else "groups are"
        notes.append(f"{suppressed} {noun} left out because too few people are in them.")
    notes += _emptiness(compiled, rows, suppressed)
    return ResultTable(
        columns=compiled.columns,
        rows=[[cell(value, column) for value, column in zip(row, compiled.columns, strict=False)] for row in rows],
        caption=compiled.caption,
        notes=tuple(notes),
        truncated=truncated,
        fingerprint=fingerprint,
        suppressed_groups=suppressed,
        rates_as_of=rates,
    )


def _rates(compiled: Compiled, rows: Sequence[Sequence[Any]]) -> tuple[date | None, list[str]]:
    """Day of the newest rate, in words as well. RateMissingError when an amount had none: a sum would be too small."""
    if compiled.rates is None or not rows:
        return None, []
    unrated, lacking, newest = rows[0][compiled.rates : compiled.rates + 3]
    if unrated:
        raise RateMissingError(int(unrated), "" if compiled.wide else str(lacking or ""), compiled.reporting)
    if newest is None:
        return None, []
    told = f"Converted to {compiled.reporting}, each amount at the rate of its day; newest rate used: {newest}."
    return newest, [told]


def _without_suppressed(compiled: Compiled, rows: Sequence[Sequence[Any]]) -> tuple[int, Sequence[Sequence[Any]]]:
    """In a wide scope a row without a group only carries the number of suppressed ones."""
    if compiled.suppressed is None:
        return 0, rows
    count = int(rows[0][compiled.suppressed]) if rows else 0
    return count, [row for row in rows if row[compiled.suppressed + 1]]


def _ties(compiled: Compiled, rows: Sequence[Sequence[Any]]) -> tuple[Sequence[Sequence[Any]], list[str]]:
    """A ranking ends where its limit says, but does not cut through a tie of a few."""
    if compiled.rank is None or not rows:
        return rows, []
    value, wanted = compiled.rank, rows[: compiled.limit]
    beyond = [row for row in rows[compiled.limit :] if row[value] == wanted[-1][value]]
    notes = []
    first = [row for row in rows if row[value] == rows[0][value]]
    if beyond and len(beyond) <= most_ties:
        notes.append(f"{len(beyond)} more than asked for: they tie with the last one.")
        wanted = [*wanted, *beyond]
    elif beyond:
        notes.append("More groups tie with the last one shown.")
    if len(first) > 1 and not (beyond and len(first) > len(wanted)):
        notes.append(f"{len(first)} share the first place.")
    return wanted, notes


def _filled(compiled: Compiled, rows: Sequence[Sequence[Any]]) -> Sequence[Sequence[Any]]:
    """Steps without a record: zero where nothing means zero, empty otherwise."""
    if compiled.fill is None:
        return rows
    place, steps = compiled.fill
    if len(steps) > compiled.limit:
        return rows
    known = {row[place]: row for row in rows}
    filled: list[Sequence[Any]] = []
    for step in steps:
        empty: list[Any] = [0 if index in compiled.zero_when_empty else None for index in range(len(compiled.columns))]
        empty[place] = step
        filled.append(known.pop(step, empty))
    # A record outside the steps is kept: the steps only add.
    return sorted([*filled, *known.values()], key=lambda row: str(row[place]))


def _emptiness(compiled: Compiled, rows: Sequence[Sequence[Any]], suppressed: int) -> list[str]:
    if not rows:
        return [] if suppressed else ["No records match."]
    measures = [index for index, column in enumerate(compiled.columns) if column.measure]
    values = [row[index] for row in rows for index in measures]
    if measures and all(value is None for value in values):
        return ["No records match, so there is no value."]
    if compiled.zero_when_empty and all(not value for value in values):
        return ["No records match: the figure is zero."]
    if compiled.figures and any(value is None for value in values):
        return ["An empty value means that there is nothing to compute it from."]
    return []


def cell(value: Any, column: ResultColumn) -> Cell:
    """One value as it is shown."""
    if value is None or isinstance(value, str):
        return value
    if column.kind == "decimal":
        return _decimal(Decimal(value), column)
    if column.kind == "double":
        return round(float(value), column.decimals)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    return value if isinstance(value, bool) else int(value)


def _decimal(value: Decimal, column: ResultColumn) -> str:
    """Money has cents, other figures no idle zeros."""
    if column.currency:
        return str(value.quantize(Decimal("0.01")))
    shown = format(value.quantize(Decimal("0.000001")).normalize(), "f")
    return "0" if shown == "-0" else shown
