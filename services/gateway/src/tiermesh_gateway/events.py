"""What flows: what executors say, what the gateway tells its client. Payloads that are only forwarded stay opaque."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any

from tiermesh_policy import Decision, Inputs, Route, Tier


class Kind(Enum):
    """What an event of the client's stream is."""

    DECISION = auto()
    TEXT = auto()
    TABLE = auto()
    TOOL = auto()
    SUPERSEDED = auto()
    CLARIFICATION = auto()
    PROPOSAL = auto()
    PILL = auto()
    ANSWER_DONE = auto()
    HEARTBEAT = auto()
    RECEIPT = auto()
    ROUTE_CHANGED = auto()


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the client's stream. For forwarded kinds the payload is the message as it came."""

    kind: Kind
    payload: Any = None


class Stop(Enum):
    """Why an answer ended."""

    COMPLETE = auto()
    MAX_TOKENS = auto()
    REFUSED = auto()
    FAILED = auto()
    CANCELLED = auto()
    DEADLINE = auto()
    CLARIFICATION = auto()


@dataclass(frozen=True, slots=True)
class AnswerEnd:
    """How an answer ended. Only a whole one is complete."""

    complete: bool
    stop: Stop
    error_reason: str = ""
    error_message: str = ""
    tier: Tier | None = None
    model: str = ""


@dataclass(frozen=True, slots=True)
class CallCost:
    """One settled model call, as far as the receipt needs it."""

    tag: str
    micros: int
    at_least: bool = False
    input: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    cache_read: int = 0
    output: int = 0
    prompt_version: str = ""


# What an executor says.


@dataclass(frozen=True, slots=True)
class Said:
    """Something that the client is to see; `text` is its words where it has some."""

    kind: Kind
    payload: Any
    text: str = ""


@dataclass(frozen=True, slots=True)
class Committed:
    """From here on a switch is not silent."""

    tier: Tier
    model: str


@dataclass(frozen=True, slots=True)
class Voided:
    """All text and tables so far are void."""

    cause: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LookUp:
    """What a tier looked up, as the next one may look it up again. `arguments` is JSON, `found` cut short."""

    tool: str
    arguments: str
    found: str


@dataclass(frozen=True, slots=True)
class Bounced:
    """A tier hands over."""

    cause: str
    detail: str = ""
    findings: str = ""
    to_aggregate: bool = False
    look_ups: Sequence[LookUp] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """Nothing to say yet."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of one execution."""

    end: AnswerEnd
    costs: tuple[CallCost, ...] = ()
    tool_calls: int = 0
    statements: int = 0


Saying = Said | Committed | Voided | Bounced | Waiting | Finished


# What the gateway says of itself.


@dataclass(frozen=True, slots=True)
class DecisionMade:
    """Always the first event."""

    decision_id: str
    decision: Decision
    # The classifier's scores as they came; None when it gave none.
    scores: Any
    request_id: str
    conversation_id: str
    turn: int
    trace_id: str
    # What was decided on, for the log.
    inputs: Inputs


@dataclass(frozen=True, slots=True)
class RouteChanged:
    """The turn went elsewhere than was decided."""

    route: Route
    cause: str
    detail: str


@dataclass(frozen=True, slots=True)
class Speculated:
    """How a turn went for which two tiers were started."""

    winner: Tier
    # What the other one cost up to its cancellation: estimated, where it was not told.
    loser_micros: int
    # What the turn would have waited longer if tier 2 had been started after tier 1 gave up; 0 where tier 1 won.
    seconds_saved: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds since the question came in; None for what did not happen."""

    classification: float
    first_answer_event: float | None
    answer_done: float | None
    first_pill: float | None
    total: float


@dataclass(frozen=True, slots=True)
class Receipt:
    """Always the last event."""

    request_id: str
    conversation_id: str
    decision_id: str
    route: Route
    tier: Tier
    model: str
    complete: bool
    costs: tuple[CallCost, ...]
    # True when a call's cost is not known for sure.
    at_least: bool
    timings: Timings
    tool_calls: int
    statements: int
    pills: int
    pills_missing_cause: str
    trace_id: str
    asked_at: datetime
    # None where one tier was started at a time.
    speculation: Speculated | None = None
    reserved_micros: int = 0


# What the suggester says.


@dataclass(frozen=True, slots=True)
class PillsDone:
    """The end of the pill track."""

    costs: tuple[CallCost, ...] = ()
    fallback_cause: str = ""
    dropped: dict[str, int] = field(default_factory=dict)
    # True when a call's cost is not known for sure.
    at_least: bool = False
