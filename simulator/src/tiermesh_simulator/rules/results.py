"""Reads what tools have answered: tables, passages, proposals, clarifications, refusals, or any other value."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

_NUMBER: Final = re.compile(r"^-?\d+(?:\.\d+)?$")
_NEAREST: Final = re.compile(
    r"(?:nearest|did you mean|use one of|valid (?:values|choices)(?: are)?|try)\W*[:\s]\s*(.+?)(?:\.\s|\.$|$|;)",
    re.IGNORECASE,
)
_ARGUMENT: Final = re.compile(
    r"(?:argument|field|property|parameter)\s+[`'\"]?([A-Za-z_][\w.\[\]]*)[`'\"]?", re.IGNORECASE
)

_STRANGER: Final = re.compile(r"\W*[\"“](.{1,80}?)[\"”] is no (?:person|colleague|department)\b")
_IDENTITIES: Final = frozenset(
    {"year", "month", "quarter", "week", "day", "date", "rank", "position", "level", "below"}
)


@dataclass(frozen=True, slots=True)
class Column:
    """A column with its name for people."""

    name: str
    label: str
    unit: str
    measure: bool


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, as text or None."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str | None]]
    caption: str = ""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage of a document."""

    source: str
    text: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """The tool says that the arguments cannot be served."""

    message: str
    argument: str = ""
    nearest: Sequence[str] = ()

    @property
    def stranger(self) -> str:
        """The name of somebody, or of a place, that the tool does not know; empty when something else is wrong."""
        found = _STRANGER.match(self.message)
        return found.group(1) if found else ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A write that waits for the user's word."""

    summary: str


@dataclass(frozen=True, slots=True)
class Clarification:
    """A question back."""

    question: str
    options: Sequence[str]


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else, as text."""

    text: str


Result = Table | tuple[Passage, ...] | Refusal | Proposal | Clarification | Other


def read_result(text: str, *, failed: bool = False) -> Result:
    """Read the text of a tool result."""
    from tiermesh_simulator.rules.dialogue import cut_json

    try:
        values: Sequence[Any] = [json.loads(text)]
    except (ValueError, RecursionError):
        values = cut_json(text)[0]
    if failed:
        return _refusal(values[0] if values and isinstance(values[0], Mapping) else {}, text)
    for value in values:
        found = read_value(value)
        if found is not None:
            return found
    return Other(text.strip())


def read_value(value: object) -> Result | None:  # noqa: PLR0911 - a list of cases
    """Read a JSON value; None when it is none of the known shapes."""
    if isinstance(value, list):
        return _passages(value) or _records(value)
    if not isinstance(value, Mapping):
        return None
    for key, reader in (("table", read_value), ("result", read_value), ("data", read_value), ("passages", _passages)):
        if isinstance(value.get(key), (Mapping, list)):
            found = reader(value[key])
            if found is not None:
                return found
    if isinstance(value.get("refusal"), Mapping) or isinstance(value.get("error"), (Mapping, str)):
        return _refusal(value, "")
    if isinstance(value.get("rows"), list):
        return _table(value)
    proposal = value.get("proposal") if isinstance(value.get("proposal"), Mapping) else value
    if isinstance(proposal, Mapping) and isinstance(proposal.get("summary"), str):
        return Proposal(proposal["summary"])
    asked = value.get("clarification") if isinstance(value.get("clarification"), Mapping) else value
    if isinstance(asked, Mapping) and "options" in asked:
        question = asked.get("question_to_user") or asked.get("question")
        if isinstance(question, str):
            return Clarification(question, tuple(str(option) for option in asked["options"] or ()))
    scalars = {key: item for key, item in value.items() if not isinstance(item, (Mapping, list))}
    return _records([scalars]) if scalars else None


def _refusal(value: Mapping[str, Any], text: str) -> Refusal:
    inner = value.get("refusal") or value.get("error")
    value = inner if isinstance(inner, Mapping) else value
    message = str(value.get("message") or value.get("error") or text or "the tool could not serve this").strip()
    nearest = value.get("nearest") or value.get("suggestions")
    found = _ARGUMENT.search(message)
    argument = str(value.get("argument") or value.get("field") or (found.group(1) if found else ""))
    if isinstance(nearest, list):
        return Refusal(message, argument, tuple(str(item) for item in nearest))
    named = _NEAREST.search(message)
    values = re.findall(r"[\w][\w .&-]*\w|\w", named.group(1)) if named else []
    return Refusal(message, argument, tuple(re.split(r"\s+or\s+", values[0])[:1] + values[1:]) if values else ())


def _passages(value: object) -> tuple[Passage, ...] | None:
    if not isinstance(value, list) or not value:
        return None
    found = []
    for item in value:
        if not isinstance(item, Mapping) or not isinstance(item.get("text"), str):
            return None
        source = item.get("title") or item.get("source") or item.get("name") or ""
        if not source and len(item) == 1:
            return None
        found.append(Passage(str(source), item["text"]))
    return tuple(found)


def _records(value: list[Any]) -> Table | None:
    if not value or not all(isinstance(item, Mapping) for item in value):
        return None
    names = list(dict.fromkeys(key for item in value for key in item))
    return _table({"columns": names, "rows": [[item.get(name) for name in names] for item in value]})


def _table(value: Mapping[str, Any]) -> Table:
    raw_rows = value["rows"]
    raw_columns = value.get("columns")
    if not isinstance(raw_columns, list) or not raw_columns:
        first = next((row for row in raw_rows if isinstance(row, Mapping) and "values" not in row), {})
        raw_columns = list(first)
    names = [_column_name(column) for column in raw_columns]
    rows = [_row(row, names) for row in raw_rows]
    columns = [_column(raw, names[at], [row[at] for row in rows]) for at, raw in enumerate(raw_columns)]
    return Table(tuple(columns), tuple(rows), str(value.get("caption") or ""), value.get("truncated") is True)


def _column_name(column: object) -> str:
    return str(column.get("name") or column.get("label") or "") if isinstance(column, Mapping) else str(column)


def _column(raw: object, name: str, cells: Sequence[str | None]) -> Column:
    known = [cell for cell in cells if cell is not None]
    numeric = bool(known) and all(_NUMBER.match(cell) for cell in known)
    identity = is_identity(name)
    if not isinstance(raw, Mapping):
        return Column(name, _for_people(name), _unit_of(name), numeric and not identity)
    measure = bool(raw.get("measure")) if "measure" in raw else numeric and not identity
    unit = str(raw.get("currency") or raw.get("unit") or _unit_of(name))
    return Column(name, str(raw.get("label") or _for_people(name)), unit, measure or (numeric and not identity))


def is_identity(name: str) -> bool:
    """Return whether a column orders or identifies its rows, so that its numbers are no figures."""
    last = name.lower().replace(" ", "_").split("_")[-1]
    return name.lower().endswith("id") or last in _IDENTITIES


def _for_people(name: str) -> str:
    return name.replace("_", " ").strip()


def _unit_of(name: str) -> str:
    last = name.lower().split("_")[-1]
    return last if last in ("days", "hours", "minutes", "eur", "usd") else ""


def _row(row: object, names: Sequence[str]) -> tuple[str | None, ...]:
    if isinstance(row, Mapping) and isinstance(row.get("values"), list):
        row = row["values"]
    if isinstance(row, Mapping):
        row = [row.get(name) for name in names]
    cells = [_cell(value) for value in row] if isinstance(row, list) else [_cell(row)]
    return tuple((cells + [None] * len(names))[: len(names)])


def _cell(value: object) -> str | None:
    if isinstance(value, Mapping):
        value = next((value[key] for key in ("text", "integer", "number", "boolean", "value") if key in value), None)
    if value is None:
        return None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
