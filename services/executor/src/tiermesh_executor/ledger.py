"""Every model call is booked: the intent before it, the settlement after it, however it ends.

Where the lines go (`UsageSink`) and what they look like on the wire is elsewhere.
"""

import asyncio
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Protocol

from tiermesh_executor.context import CallContext
from tiermesh_executor.models.events import Usage
from tiermesh_executor.prices import PriceList


class Outcome(StrEnum):
    """What became of a call; the words of the contract's CallOutcome."""

    INTENDED = "INTENDED"
    SERVED = "SERVED"
    SUPERSEDED = "SUPERSEDED"
    LOST_SPECULATION = "LOST_SPECULATION"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Line:
    """One model call. A line of the same id with a higher revision replaces an earlier one."""

    entry_id: str
    context: CallContext
    tag: str
    tier: int
    provider: str
    model: str
    prompt_version: str
    attempt: int
    started_at: datetime
    revision: int = 0
    usage: Usage = field(default_factory=Usage)
    cost_micros: int = 0
    at_least: bool = True
    price_version: str = ""
    outcome: Outcome = Outcome.INTENDED
    time_to_first_token: float | None = None
    duration: float = 0.0
    provider_request_id: str = ""


class UsageSink(Protocol):
    """Takes lines for good; never raises and never holds a question up for long."""

    async def record(self, line: Line) -> None:
        """Returns when the line is safe."""
        ...

    def record_soon(self, line: Line) -> None:
        """Returns at once, also while the caller is being cancelled."""
        ...


class OpenCall:
    """A call under way: what is learnt of it until it is settled."""

    def __init__(self, line: Line) -> None:
        """Starts the clock."""
        self.line = line
        self.usage = Usage()
        self.model = line.model
        self.request_id = ""
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()
        self._first_token: float | None = None

    def first_token(self) -> None:
        """The model began to speak."""
        if self._first_token is None:
            self._first_token = self._clock() - self._started

    @property
    def time_to_first_token(self) -> float | None:
        """In seconds, None before it."""
        return self._first_token

    @property
    def duration(self) -> float:
        """Seconds so far."""
        return self._clock() - self._started


class Book:
    """The calls of one execution."""

    def __init__(
        self, context: CallContext, tier: int, prices: PriceList, sink: UsageSink, *, speculative: bool
    ) -> None:
        """One per execution."""
        self._context = context
        self._tier = tier
        self._prices = prices
        self._sink = sink
        self._speculative = speculative
        self._lines: dict[str, Line] = {}

    @property
    def lines(self) -> list[Line]:
        """The settled calls, in the order in which they began."""
        return [line for line in self._lines.values() if line.outcome is not Outcome.INTENDED]

    @property
    def cost_micros(self) -> int:
        """What is settled so far."""
        return sum(line.cost_micros for line in self._lines.values())

    async def begin(self, *, tag: str, provider: str, model: str, prompt_version: str, attempt: int) -> OpenCall:
        """Writes the intent; the call may start when this returns."""
        line = Line(
            entry_id=uuid.uuid4().hex,
            context=self._context,
            tag=tag,
            tier=self._tier,
            provider=provider,
            model=model,
            prompt_version=prompt_version,
            attempt=attempt,
            started_at=datetime.now(UTC),
        )
        self._lines[line.entry_id] = line
        await self._sink.record(line)
        return OpenCall(line)

    def settle(self, call: OpenCall, outcome: Outcome, *, complete: bool) -> Line:
        """`complete`: the provider reported all it will bill, if only that it bills nothing."""
        if outcome is Outcome.CANCELLED and self._speculative:
            outcome = Outcome.LOST_SPECULATION
        # An endpoint may answer under a name of its own; the configured one has the price then.
        priced = call.model if self._prices.knows(call.model) else call.line.model
        cost = self._prices.cost(priced, call.usage, complete=complete)
        unbilled = complete and call.usage == Usage()
        line = replace(
            call.line,
            revision=1,
            model=call.model,
            usage=call.usage,
            cost_micros=0 if unbilled else cost.micros,
            at_least=not unbilled and cost.at_least,
            price_version=cost.version,
            outcome=outcome,
            time_to_first_token=call.time_to_first_token,
            duration=call.duration,
            provider_request_id=call.request_id,
        )
        self._lines[line.entry_id] = line
        self._sink.record_soon(line)
        return line

    def supersede(self) -> None:
        """The execution handed over: what its calls said is replaced by another answer."""
        self._correct(Outcome.SUPERSEDED)

    def given_up(self) -> None:
        """The execution was cancelled: of a branch that lost, what earlier calls said reached nobody either."""
        if self._speculative:
            self._correct(Outcome.LOST_SPECULATION)

    def _correct(self, outcome: Outcome) -> None:
        for line in list(self._lines.values()):
            if line.outcome is Outcome.SERVED:
                corrected = replace(line, revision=line.revision + 1, outcome=outcome)
                self._lines[line.entry_id] = corrected
                self._sink.record_soon(corrected)
