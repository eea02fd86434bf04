"""What a tool is, and what it may answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tiermesh_aggregator.handbook import Passage
from tiermesh_aggregator.query import Moment, ResultTable, Viewer

Arguments = Mapping[str, Any]


class Kind(StrEnum):
    """What a tool touches."""

    ENTITY_LOOKUP = "entity_lookup"
    BULK = "bulk"
    SEARCH = "search"
    PROPOSAL = "proposal"


@dataclass(frozen=True)
class Call:
    """Who calls, when, and how long it may take."""

    viewer: Viewer
    tenant: str
    moment: Moment
    timeout: float
    answer_id: str = ""
    """What ties the calls of one answer together."""


@dataclass(frozen=True)
class Proposal:
    """A write that waits for the user's word."""

    proposal_id: str
    action: str
    summary: str
    fields: tuple[tuple[str, str], ...]
    token: str
    expires_at: float


@dataclass(frozen=True)
class Passages:
    """What a search found."""

    passages: tuple[Passage, ...]


Result = ResultTable | Passages | Proposal


@dataclass(frozen=True)
class Tool:
    """One tool; `run` raises an AggregatorError when the arguments cannot be served."""

    name: str
    description: str
    schema: Mapping[str, Any]
    kind: Kind
    run: Callable[[Arguments, Call], Awaitable[Result]]
    intents: tuple[str, ...]
    domain: str = ""
    entity_argument: str = ""
    bulk_alternative: str = ""
