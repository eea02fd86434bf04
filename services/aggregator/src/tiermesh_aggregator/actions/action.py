"""What an action is: how it is checked, and what performing it writes."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

import sqlalchemy as sa

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.failures import BadFieldError

Rows = Sequence[Sequence[Any]]
Ask = Callable[[sa.sql.ClauseElement], Awaitable[Rows]]
"""Runs one statement: read-only while proposing, inside the write transaction while performing."""


@dataclass(frozen=True)
class Draft:
    """A checked action, ready to be confirmed."""

    arguments: Mapping[str, Any]
    """All that performing needs; plain JSON."""
    summary: str
    fields: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Setting:
    """Who acts, and when."""

    catalog: Catalog
    person: str
    today: date


class Action(Protocol):
    """One write of the pack. Both steps raise BadFieldError or UnknownNameError when it does not hold."""

    name: str
    tool: str
    description: str
    schema: Mapping[str, Any]
    tables: frozenset[str]
    """Tables that the pack must have for it."""

    async def draft(self, arguments: Mapping[str, Any], setting: Setting, ask: Ask) -> Draft:
        """Checks against the data as it is now; writes nothing."""
        ...

    async def perform(self, draft: Draft, setting: Setting, ask: Ask) -> str:
        """Writes a draft that has just been checked again in the same transaction; returns the record's id."""
        ...


dated: Mapping[str, Any] = {"type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}


def calendar_day(given: object, field: str) -> date:
    """A day as arguments give it. Raises BadFieldError."""
    try:
        return date.fromisoformat(str(given))
    except ValueError:
        raise BadFieldError(field, "This is no day of the calendar.") from None


def fresh_id(prefix: str) -> str:
    """A new record's id. Not the one after the highest: whoever writes sees only some of the records."""
    return f"{prefix}{uuid.uuid4().hex[:12].upper()}"


def schema(properties: Mapping[str, Any], required: Sequence[str]) -> dict[str, Any]:
    """JSON Schema of an action's arguments."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": list(required),
        "properties": dict(properties),
    }
