"""What the domain asks of the world. `adapters` keep these promises; tests may, too."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, Protocol, TypeVar

from tiermesh_policy import Decision, Health, Route, Tier

from tiermesh_gateway.conversations import Conversation, Exchange, TurnRecord
from tiermesh_gateway.events import DecisionMade, LookUp, PillsDone, Receipt, Saying
from tiermesh_gateway.question import Owner, Question, Scored, Turn

T = TypeVar("T")


class ExecutorLostError(Exception):
    """An executor that did not answer to its end. `same_tier` says whether another replica of it may be asked."""

    def __init__(self, reason: str, message: str, *, same_tier: bool) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.same_tier = same_tier


class ExecutorRefusedError(Exception):
    """An executor that will not answer this, wherever it is asked."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message


class OutOfTimeError(Exception):
    """The question's time is up."""


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of an executor."""

    turn: Turn
    route: Route
    scored: Scored | None
    exchanges: Sequence[Exchange]
    findings: str
    bulk_tools_only: bool
    # Seconds that it may take.
    timeout: float
    # Most that it may cost; 0 is no limit of its own.
    most_micros: int = 0
    # A branch that may lose: it proposes nothing.
    speculative: bool = False
    # Tier 1 hands over when it states less; None leaves it to the executor.
    least_stated_confidence: float | None = None
    # Tier 1 hands over when what it states has been worth less; None asks nothing.
    least_right_confidence: float | None = None
    # What was said before the exchanges, in short.
    earlier: str = ""
    # What the tier that handed over had looked up.
    look_ups: Sequence[LookUp] = ()


class Classifier(Protocol):
    """Scores a turn."""

    async def classify(self, turn: Turn, conversation: Conversation) -> Scored | None:
        """The scores; None when they did not come in time, whatever the cause."""
        ...


@dataclass(frozen=True, slots=True)
class Clicked:
    """A pill that was clicked, with the classification that it carried."""

    pill_id: str
    scored: Scored


class PillTokens(Protocol):
    """Reads what a clicked pill carries."""

    def clicked(self, turn: Turn) -> Clicked | None:
        """What the question's token says; None when it has none, or one that is not good for this turn."""
        ...


class Executors(Protocol):
    """The models."""

    def execute(self, execution: Execution) -> AbstractAsyncContextManager[AsyncIterator[Saying]]:
        """Start an execution; leaving the block stops it. The iterator raises the errors of this module."""
        ...


class PillFeed(Protocol):
    """What the pill track hears of the answer; never waits, never fails."""

    def said(self, text: str) -> None:
        """A run of the answer's prose."""
        ...

    def showed(self, table: Any) -> None:
        """A table of the answer."""
        ...

    def restarted(self, cause: str) -> None:
        """The answer so far is void."""
        ...

    def completed(self, complete: bool) -> None:
        """The answer is done."""
        ...


@dataclass(frozen=True, slots=True)
class OnePill:
    """A pill, ready to be shown."""

    text: str
    payload: Any


class PillTrack(PillFeed, Protocol):
    """One conversation with the suggester, beside one answer."""

    def pills(self) -> AsyncIterator[OnePill | PillsDone]:
        """Pills as they come. Ends by itself; raises PillsMissingError when the suggester failed."""
        ...


class PillsMissingError(Exception):
    """The suggester failed; the argument is a stable word for the receipt."""


class Suggester(Protocol):
    """Opens pill tracks."""

    def begin(
        self, turn: Turn, scored: Scored | None, conversation: Conversation, route: Route, *, with_model: bool
    ) -> AbstractAsyncContextManager[PillTrack]:
        """Start a track; leaving the block stops it. Without the model the pills are the pack's own words."""
        ...


class Summarizer(Protocol):
    """Condenses what no longer fits into an executor's context."""

    async def condense(self, turn: Turn, earlier: str, exchanges: Sequence[Exchange]) -> str:
        """The summary so far with these exchanges in it; empty when there is none to be had."""
        ...


class HeldElsewhereError(Exception):
    """Another turn of the conversation is being answered, in whichever process."""


class Conversations(Protocol):
    """What is remembered of conversations, for all replicas: a turn is held from its beginning to its end.

    All raise StoreUnavailable when the store is away.
    """

    async def open_turn(self, owner: Owner, conversation_id: str, token: str) -> None:
        """Make an empty conversation and hold its first turn."""
        ...

    async def begin_turn(self, owner: Owner, conversation_id: str, token: str) -> Conversation | None:
        """Hold the conversation and read it; None when this person has none of that id. HeldElsewhereError."""
        ...

    async def end_turn(self, owner: Owner, conversation_id: str, token: str, record: TurnRecord | None) -> None:
        """Add the turn, if there is one, and let go."""
        ...

    async def note_summary(self, owner: Owner, conversation_id: str, text: str, turns: int) -> None:
        """Keep what was said up to a turn, in short; one that reaches less far than what is kept changes nothing."""
        ...

    async def note_pills(self, owner: Owner, conversation_id: str, texts: Sequence[str]) -> None:
        """Remember which pills were shown."""
        ...

    async def note_answer(self, owner: Owner, made: DecisionMade, receipt: Receipt) -> None:
        """Keep what explains an answer."""
        ...


class ClaimState(Enum):
    """What became of asking for a request id."""

    MINE = auto()
    # Another process answers it, or is about to let go of it.
    RUNNING = auto()
    # It was answered within the last minute; the events are there.
    DONE = auto()
    # It belongs to other words.
    ANOTHER_QUESTION = auto()


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has a request id."""

    state: ClaimState
    events: bytes = b""


class Requests(Protocol):
    """Request ids of all replicas. A process that died has none."""

    async def claim(self, owner: Owner, request_id: str, asked: bytes, token: str) -> Claim:
        """Take the id for one run, or learn who has it and what it said."""
        ...

    async def finish(self, owner: Owner, request_id: str, token: str, events: bytes) -> None:
        """Keep what a run said, for whoever asks again."""
        ...

    async def give_up(self, owner: Owner, request_id: str, token: str) -> None:
        """Let the id go: it may be asked for again."""
        ...


@dataclass(frozen=True, slots=True)
class Refused:
    """A reservation that does not fit, with what the day holds already."""

    spent_micros: int
    reserved_micros: int


class Budgets(Protocol):
    """What tenants have spent and reserved, per day; exact over all replicas."""

    async def reserve(
        self, reservation_id: str, tenant: str, day: str, micros: int, limit: int | None
    ) -> Refused | None:
        """Reserve, or add to a reservation of the same id. Without limit it always fits."""
        ...

    async def settle(self, reservation_id: str, micros: int) -> None:
        """Book what it came to and give back the rest. Settling again does nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Present:
    """The moment of a step: seconds since 1970, this process and all that are alive."""

    now: float
    holder: str
    alive: frozenset[str]


# From the state as it is (JSON, empty at first) to the next, and a result. Pure: it may run in another thread.
Step = Callable[[Mapping[str, Any], Present], tuple[Mapping[str, Any], T]]


class Accounts(Protocol):
    """What replicas count together, per tenant and topic: steps come one after the other, whoever takes them."""

    async def change(self, tenant: str, topic: str, step: Step[T]) -> T:
        """Take one step. StoreUnavailable when none was taken."""
        ...


class OutcomeSource(Enum):
    """Where the word on an answer comes from."""

    THUMB = auto()
    HUMAN_OVERRIDE = auto()
    BOUNCE = auto()
    PILL_CLICK = auto()
    ABANDONED = auto()
    COMPLETION = auto()
    SHADOW = auto()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an answer, from one source."""

    outcome_id: str
    decision_id: str
    tenant: str
    source: OutcomeSource
    # Evidence that tier 1 was right (1) or not (0), and how much it weighs.
    success: float
    weight: float
    at: datetime
    # How the turn ended, with what came of a turn as a whole.
    receipt: Receipt | None = None
    bounce_cause: str = ""


class Recorder(Protocol):
    """The decision log. Takes records without waiting and loses none."""

    def decided(self, turn: Turn, made: DecisionMade, position: str, at: datetime) -> None:
        """A decision."""
        ...

    def became(self, outcome: Outcome) -> None:
        """An outcome."""
        ...

    def sampled(
        self, turn: Turn, made: DecisionMade, answered: Any, drawn_with: float, at: datetime, *, shadow: bool = False
    ) -> None:
        """Question and answer of a turn that a judge is to read; `shadow` for one that nobody was shown."""
        ...

    def showed_pills(self, turn: Turn, decision_id: str, answered_by: Tier, pills: Sequence[Any], at: datetime) -> None:
        """Pills that were shown, in order."""
        ...

    def clicked_pill(self, tenant: str, pill_id: str, decision_id: str, at: datetime) -> None:
        """A pill that was clicked; `decision_id` is of the turn that it led to, empty when there is none."""
        ...


class Surroundings(Protocol):
    """What goes with the task that answers: identity for inner calls, trace."""

    def enter(self, question: Question, conversation_id: str) -> str:
        """Bind this task to the question and its conversation ("" for none); the trace id."""
        ...

    def enter_shadow(self, question: Question) -> None:
        """Bind this task to a run of tier 1 that nobody is shown, with a principal of that purpose."""
        ...

    def decided(self, turn: Turn, decision: Decision, confidence: float | None) -> None:
        """Note the decision in the trace."""
        ...

    def answered(self, receipt: Receipt) -> None:
        """Note the end in the trace."""
        ...


class HealthSource(Protocol):
    """What is up."""

    def now(self) -> Health:
        """The suite's health as far as the gateway sees it."""
        ...
