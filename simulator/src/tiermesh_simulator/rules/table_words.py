"""Words for tables: one record, a ranking, a comparison, a trend, a list. Figures stand as they stand in the rows."""

from __future__ import annotations

import calendar
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final

from tiermesh_simulator.rules.choice import asks_what_if
from tiermesh_simulator.rules.entities import amount_in
from tiermesh_simulator.rules.lexicon import content_words, overlap, words
from tiermesh_simulator.rules.results import Column, Table, is_identity

NO_RESULT: Final = "I found no matching records for that."
_SUPERLATIVE: Final = re.compile(
    r"^\s*(?:who|which of \w+ \w+|which \w+(?: \w+)?)\s+(?P<verb>.*?)\s*\b"
    r"(?P<sup>the most|the least|the fewest|the highest|the lowest|most|least|fewest)\b"
    r"\s*(?P<rest>[^?.!\n]*)",
    re.IGNORECASE,
)
_ISO_DAY: Final = re.compile(r"^\d{4}-\d{2}(?:-\d{2})?")
_UNIT: Final = r"(?!\s+(?:day|week|month|quarter|year|hour|\d+)s?\b)"
_NEXT: Final = re.compile(rf"\b(?:next|upcoming){_UNIT}", re.IGNORECASE)
_LATEST: Final = re.compile(rf"\b(?:last|latest|newest|most recent){_UNIT}", re.IGNORECASE)
_OWN: Final = re.compile(r"\bmy\b", re.IGNORECASE)
_SUPPOSED: Final = re.compile(
    r"\b(\d+(?:[.,]\d+)?|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\s+(?:\w+\s+)?days?\b", re.I
)
_CURRENT: Final = re.compile(r"^\s*what(?:'s| is) my\b", re.IGNORECASE)
_NAMED: Final = 5
# A cell of more words than this is a text that somebody wrote.
_TELLING: Final = 4


def figure(cell: str | None, column: Column) -> str:
    """Return a cell with its unit; whole decimals lose their zeros unless they are money."""
    if cell is None:
        return "not known"
    if column.measure and column.unit == "share" and re.fullmatch(r"-?\d+(?:\.\d+)?", cell):
        return f"{(Decimal(cell) * 100).quantize(Decimal('0.1')).normalize():f} %"
    money = len(column.unit) == 3 and column.unit.isupper()
    if not money and re.fullmatch(r"-?\d+\.0+", cell):
        cell = cell.partition(".")[0]
    if not column.measure and column.name.lower() == "month":
        return _month(cell)
    if not column.unit or column.unit.lower() in ("count", "share", "ratio") or not column.measure:
        return cell
    unit = column.unit[:-1] if cell in ("1", "-1") and column.unit in ("days", "hours", "minutes") else column.unit
    return f"{cell} {unit}"


def _month(cell: str) -> str:
    match = re.match(r"^(\d{4})-(0[1-9]|1[0-2])(?:-01)?$", cell)
    return f"{calendar.month_name[int(match.group(2))]} {match.group(1)}" if match else cell


def word_table(table: Table, question: str, today: date | None = None) -> str:
    """Return the words for a table."""
    if not table.rows:
        return NO_RESULT
    table = _nearest_in_time(table, question, today)
    if not table.rows:
        return NO_RESULT
    measures = [at for at, column in enumerate(table.columns) if column.measure]
    labels = _labels(table)
    if asks_what_if(question) and (said := _supposed(table, labels, question)):
        return said
    if len(table.rows) == 1 and (not labels or len(table.columns) > 3 or not measures):
        text = _record(table, labels, measures, question)
    elif not measures:
        text = _listing(table, labels)
    else:
        text = _ranking(table, labels, _best_measure(table, measures, question), question)
    return f"{text} Only the first rows are shown." if table.truncated else text


def _nearest_in_time(table: Table, question: str, today: date | None) -> Table:
    """For "the next …" and "my last …" keep the one row that is meant."""
    dated = next((at for at in range(len(table.columns)) if _ISO_DAY.match(table.rows[0][at] or "")), None)
    if dated is None or today is None or len(table.rows) < 2:
        return table
    days = sorted(row[dated] or "" for row in table.rows if row[dated])
    if _NEXT.search(question):
        wanted = next((day for day in days if day >= today.isoformat()), None)
        rows = [row for row in table.rows if wanted is not None and row[dated] == wanted]
        return replace(table, rows=tuple(rows[:1]), truncated=False)
    if _LATEST.search(question) or _CURRENT.search(question):
        past = [day for day in days if day <= today.isoformat()] or days
        return replace(table, rows=tuple(row for row in table.rows if row[dated] == past[-1])[:1], truncated=False)
    return table


def _labels(table: Table) -> list[int]:
    """The columns that name a row: no ids, no ranks beside names, nothing that is the same in every row."""
    labels = [at for at, column in enumerate(table.columns) if not column.measure]
    named = [at for at in labels if not _is_key(table.columns[at], table)] or labels
    if len(table.rows) < 2:
        return named
    differing = [at for at in named if len({row[at] for row in table.rows}) > 1]
    return differing or named[:1]


def _is_key(column: Column, table: Table) -> bool:
    """Return whether a column is an id or a rank; a day or a month names its row well enough."""
    whole = all(re.fullmatch(r"-?\d+", row[at] or "0") for at in [table.columns.index(column)] for row in table.rows)
    return column.name.lower().endswith("id") or (is_identity(column.name) and whole) or (whole and not column.measure)


def _best_measure(table: Table, measures: Sequence[int], question: str) -> int:
    """The measure that the question names; what is derived from another one comes after it."""
    asked = words(question)
    names = [table.columns[at].name for at in measures]

    def rank(at: int) -> tuple[bool, float, int]:
        name = table.columns[at].name
        derived = any(name != other and name.startswith(f"{other}_") for other in names)
        return not derived, round(overlap(name, asked), 3), -at

    return max(measures, key=rank)


def _name(row: Sequence[str | None], labels: Sequence[int], table: Table) -> str:
    parts = [figure(row[at], table.columns[at]) for at in labels[:2]]
    return parts[0] + (f" ({parts[1]})" if len(parts) > 1 else "")


def _supposed(table: Table, labels: Sequence[int], question: str) -> str:
    """What is left, and whether the days that are supposed would fit; nothing is subtracted here."""
    at = next((at for at, column in enumerate(table.columns) if column.measure and _is_left(column)), None)
    days = amount_in(question, "day")
    if at is None:
        return ""
    row = max(table.rows, key=lambda one: float(one[at] or 0))
    of = next((row[label] for label in labels if "type" in table.columns[label].name.lower() and row[label]), None)
    text = f"You have {figure(row[at], table.columns[at])}{f' of {of.lower()}' if of else ''} left"
    match = _SUPPOSED.search(question)
    if days is None or match is None:
        return f"{text}."
    fits = "would fit" if days <= float(row[at] or 0) else "would be too many"
    return f"{text}; {match.group(1).lower()} more {'day' if days == 1 else 'days'} {fits}."


def _is_left(column: Column) -> bool:
    return bool({"remain", "remaining", "left", "balance"} & set(words(column.name)))


def _record(table: Table, labels: Sequence[int], measures: Sequence[int], question: str) -> str:
    """One row: what the question names, else the first figures and facts."""
    row = table.rows[0]
    if not labels and len(measures) == 1:
        column = table.columns[measures[0]]
        return f"{column.label.capitalize()}: {figure(row[measures[0]], column)}."
    everything = [at for at in sorted([*labels, *measures]) if row[at] is not None]
    if not measures and (said := _event(row, everything, question)):
        return said
    asked = content_words(question)
    exact = [at for at in everything if _is_named(table.columns[at], asked)]
    alike = [at for at in everything if overlap(table.columns[at].name, asked) >= 0.5]
    named = exact or [at for at in alike if not is_identity(table.columns[at].name)]
    if len(named) == 1 and _OWN.search(question):
        column = table.columns[named[0]]
        return f"Your {column.label.lower()} is {figure(row[named[0]], column)}."
    who = next((row[at] for at in labels if {"employee", "name"} & set(words(table.columns[at].name))), None)
    told = [at for at in everything if at not in named and len((row[at] or "").split()) > _TELLING]
    chosen = [at for at in [*named[:4], *told[:1]] or everything if row[at] != who][:5]
    facts = [f"{table.columns[at].label.lower()} {figure(row[at], table.columns[at])}" for at in chosen]
    if not facts:
        return f"I found {who or 'one record'}."
    return f"{who + ': ' if who else 'Here is what I found: '}{_joined(facts).rstrip('.')}."


def _is_named(column: Column, asked: Sequence[str]) -> bool:
    """Return whether a question says a column's own word; a period in the question asks for no column."""
    return not is_identity(column.name) and any(word in asked for word in words(column.name))


def _event(row: Sequence[str | None], shown: Sequence[int], question: str) -> str:
    """A name and its day, for "when is the next …"."""
    if not _NEXT.search(question) and not _LATEST.search(question):
        return ""
    day = next((row[at] for at in shown if _ISO_DAY.match(row[at] or "")), None)
    name = next((row[at] for at in shown if not _ISO_DAY.match(row[at] or "")), None)
    return f"{name} on {day}." if day and name else ""


def _listing(table: Table, labels: Sequence[int]) -> str:
    # What things are called comes before their days, and where they stand beside it.
    plain = [at for at in labels if not _ISO_DAY.match(table.rows[0][at] or "") and not _is_state(table.columns[at])]
    others = [at for at, column in enumerate(table.columns) if _is_state(column)] + list(labels)
    first = (plain or labels)[0]
    labels = [first, *[at for at in others if at != first][:1]]
    names = [_name(row, labels, table) for row in table.rows]
    more = ", and more in the table" if len(names) > 2 * _NAMED else ""
    return f"I found: {_joined(names[: 2 * _NAMED]) if not more else ', '.join(names[: 2 * _NAMED])}{more}."


def _is_state(column: Column) -> bool:
    return bool({"status", "state"} & set(words(column.name)))


def _ranking(table: Table, labels: Sequence[int], measure: int, question: str) -> str:
    column = table.columns[measure]
    rows = [row for row in table.rows if row[measure] is not None]
    if not rows:
        return NO_RESULT
    if not labels:
        figures = _joined([figure(row[measure], column) for row in rows[:_NAMED]])
        return f"The figures for {column.label.lower()} are {figures}."
    if len(rows) > 2 and _ISO_DAY.match(rows[0][labels[0]] or ""):
        return _trend(table, labels, measure)
    # Beside a name, a second column only tells namesakes apart.
    unique = len({row[labels[0]] for row in rows}) == len(rows)
    labels = labels[:1] if unique else labels
    first, rest = rows[0], rows[1:_NAMED]
    match = _SUPERLATIVE.search(question)
    if match is not None:
        verb = match.group("verb") or "has"
        lead = f"{_name(first, labels, table)} {verb} {match.group('sup')} {match.group('rest')}".strip()
        lead = re.sub(r"\s+", " ", lead)
        others = [f"{_name(row, labels, table)} ({figure(row[measure], _bare(column))})" for row in rest[:3]]
        text = f"{lead}: {figure(first[measure], column)}"
        return text + (f", followed by {_joined(others)}." if others else ".")
    if len(rows) == 1:
        return f"{_name(first, labels, table)}: {figure(first[measure], column)} ({column.label.lower()})."
    pieces = [f"{_name(row, labels, table)} {figure(row[measure], column)}" for row in rows[:_NAMED]]
    more = " The rest is in the table." if len(rows) > _NAMED else ""
    return f"{column.label.capitalize()}: {_joined(pieces)}.{more}"


def _bare(column: Column) -> Column:
    money = len(column.unit) == 3 and column.unit.isupper()
    return column if money or column.unit == "share" else replace(column, unit="")


def _trend(table: Table, labels: Sequence[int], measure: int) -> str:
    column, when = table.columns[measure], table.columns[labels[0]]
    rows = sorted((row for row in table.rows if row[measure] is not None), key=lambda row: row[labels[0]] or "")
    top = max(rows, key=lambda row: float(row[measure] or 0))
    start, end, peak = (
        f"{figure(row[measure], column)} in {figure(row[labels[0]], when)}" for row in (rows[0], rows[-1], top)
    )
    return f"{column.label.capitalize()} went from {start} to {end}; the highest was {peak}."


def _joined(pieces: Sequence[str]) -> str:
    if len(pieces) < 2:
        return "".join(pieces)
    return f"{', '.join(pieces[:-1])} and {pieces[-1]}"
