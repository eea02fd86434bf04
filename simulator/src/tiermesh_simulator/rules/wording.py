"""Words an answer from results, quoting their figures as they stand; nothing is added up here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from tiermesh_simulator.rules.lexicon import overlap, words
from tiermesh_simulator.rules.results import (
    Clarification,
    Column,
    Other,
    Passage,
    Proposal,
    Refusal,
    Result,
    Table,
)

NO_RESULT: Final = "I found no matching records for that."
_SUPERLATIVE: Final = re.compile(
    r"^\s*(?:who|which \w+(?: \w+)?)\s+(?P<verb>.*?)\s*\b"
    r"(?P<sup>the most|the least|the fewest|the highest|the lowest|most|least|fewest)\b"
    r"\s*(?P<rest>[^?.!\n]*)",
    re.IGNORECASE,
)
_ISO_DAY: Final = re.compile(r"^\d{4}-\d{2}(?:-\d{2})?")
_NAMED: Final = 5


def word_results(results: Sequence[Result], question: str) -> str:
    """Return the answer for the results of one turn."""
    useful = [result for result in results if not isinstance(result, Refusal)]
    pieces = [word_result(result, question) for result in useful or results]
    return " ".join(dict.fromkeys(piece for piece in pieces if piece)) or NO_RESULT


def word_result(result: Result, question: str) -> str:
    """Return the words for one result."""
    if isinstance(result, Table):
        return _table(result, question)
    if isinstance(result, tuple):
        return _passages(result, question)
    if isinstance(result, Refusal):
        return f"I could not look that up: {result.message.rstrip('.')}."
    if isinstance(result, Proposal):
        return f"I have prepared this for you: {result.summary.rstrip('.')}. Nothing is changed until you confirm it."
    if isinstance(result, Clarification):
        options = f" ({', '.join(result.options)})" if result.options else ""
        return f"{result.question.rstrip('?')}{options}?"
    return _other(result)


def _other(result: Other) -> str:
    text = result.text.strip()
    return _sentences(text, 3) if text and text not in ("null", "[]", "{}") else NO_RESULT


def figure(cell: str | None, column: Column) -> str:
    """Return a cell with its unit; whole decimals lose their zeros unless they are money."""
    if cell is None:
        return "not known"
    money = len(column.unit) == 3 and column.unit.isupper()
    if not money and re.fullmatch(r"-?\d+\.0+", cell):
        cell = cell.partition(".")[0]
    if not column.unit or column.unit.lower() in ("count", "share", "ratio") or not column.measure:
        return cell
    unit = column.unit[:-1] if cell in ("1", "-1") and column.unit in ("days", "hours", "minutes") else column.unit
    return f"{cell} {unit}"


def _table(table: Table, question: str) -> str:
    if not table.rows:
        return NO_RESULT
    measures = [at for at, column in enumerate(table.columns) if column.measure]
    labels = [at for at, column in enumerate(table.columns) if not column.measure]
    shown = [at for at in labels if not _is_key(table.columns[at], labels, table)]
    labels = shown or labels
    if len(table.rows) == 1 and (not labels or len(table.columns) > 3 or not measures):
        text = _record(table, labels, measures, question)
    elif not measures:
        text = _listing(table, labels)
    else:
        text = _ranking(table, labels, _best_measure(table, measures, question), question)
    if table.truncated:
        text += " Only the first rows are shown."
    return text


def _is_key(column: Column, labels: Sequence[int], table: Table) -> bool:
    """Return whether a column is an id beside a name."""
    return column.name.lower().endswith("id") and any(
        not table.columns[at].name.lower().endswith("id") for at in labels
    )


def _best_measure(table: Table, measures: Sequence[int], question: str) -> int:
    asked = words(question)
    return max(measures, key=lambda at: (round(overlap(table.columns[at].name, asked), 3), -at))


def _name(row: Sequence[str | None], labels: Sequence[int]) -> str:
    parts = [row[at] or "not known" for at in labels[:2]]
    return parts[0] + (f" ({parts[1]})" if len(parts) > 1 else "")


def _record(table: Table, labels: Sequence[int], measures: Sequence[int], question: str) -> str:
    """One row: what the question names, else the first figures and facts."""
    row = table.rows[0]
    asked = words(question)
    if not labels and len(measures) == 1:
        column = table.columns[measures[0]]
        return f"The {column.label.lower()} for this: {figure(row[measures[0]], column)}."
    everything = sorted([*labels, *measures])
    named = [at for at in everything if overlap(table.columns[at].name, asked) >= 0.5 and row[at] is not None]
    chosen = named[:4] or [at for at in everything if row[at] is not None][:5]
    who = next((row[at] for at in labels if "name" in table.columns[at].name.lower() and at not in named), None)
    facts = [
        f"{table.columns[at].label.lower()} {figure(row[at], table.columns[at])}" for at in chosen if row[at] != who
    ]
    return f"{who + ': ' if who else 'Here is what I found: '}{_joined(facts)}."


def _listing(table: Table, labels: Sequence[int]) -> str:
    names = [_name(row, labels) for row in table.rows]
    more = ", and more in the table" if len(names) > 2 * _NAMED else ""
    return f"I found: {_joined(names[: 2 * _NAMED]) if not more else ', '.join(names[: 2 * _NAMED])}{more}."


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
    first, rest = rows[0], rows[1:_NAMED]
    match = _SUPERLATIVE.search(question)
    if match is not None:
        verb = match.group("verb") or "has"
        lead = f"{_name(first, labels)} {verb} {match.group('sup')} {match.group('rest')}".strip()
        lead = re.sub(r"\s+", " ", lead)
        others = [f"{_name(row, labels)} ({figure(row[measure], _bare(column))})" for row in rest[:3]]
        text = f"{lead}: {figure(first[measure], column)}"
        return text + (f", followed by {_joined(others)}." if others else ".")
    if len(rows) == 1:
        return f"{_name(first, labels)}: {figure(first[measure], column)} ({column.label.lower()})."
    pieces = [f"{_name(row, labels)} {figure(row[measure], column)}" for row in rows[:_NAMED]]
    more = " The rest is in the table." if len(rows) > _NAMED else ""
    return f"{column.label.capitalize()}: {_joined(pieces)}.{more}"


def _bare(column: Column) -> Column:
    money = len(column.unit) == 3 and column.unit.isupper()
    return column if money else Column(column.name, column.label, "", column.measure)


def _trend(table: Table, labels: Sequence[int], measure: int) -> str:
    column = table.columns[measure]
    rows = sorted((row for row in table.rows if row[measure] is not None), key=lambda row: row[labels[0]] or "")
    top = max(rows, key=lambda row: float(row[measure] or 0))
    return (
        f"{column.label.capitalize()} went from {figure(rows[0][measure], column)} in {rows[0][labels[0]]} to "
        f"{figure(rows[-1][measure], column)} in {rows[-1][labels[0]]}; the highest was {figure(top[measure], column)} "
        f"in {top[labels[0]]}."
    )


def _passages(passages: Sequence[Passage], question: str) -> str:
    asked = [word for word in words(question) if len(word) > 3]
    best = max(passages, key=lambda passage: sum(word in words(passage.text) for word in asked))
    source = f"According to “{best.source}”: " if best.source else ""
    return f"{source}{_sentences(best.text, 2)}"


def _sentences(text: str, count: int) -> str:
    body = " ".join(line for line in text.splitlines() if not line.startswith("#")) or text
    pieces = re.split(r"(?<=[.!?])\s+(?=[A-Z0-9])", " ".join(body.split()))
    said = " ".join(pieces[:count]).strip()
    return said if said.endswith((".", "!", "?")) else f"{said}."


def _joined(pieces: Sequence[str]) -> str:
    if len(pieces) < 2:
        return "".join(pieces)
    return f"{', '.join(pieces[:-1])} and {pieces[-1]}"
