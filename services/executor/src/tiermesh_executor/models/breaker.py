"""A circuit breaker: who keeps failing is left alone, probed by one request, and taken back.

One per candidate of a model and one per tool server. Knows outcomes and a clock. Which
errors speak against a model is `provider.ILL`; what is tried instead is decided in `attempts`.
"""

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

# What a healthy model's noise never reaches, and a broken one does within seconds.
FAILURES = 5
SHARE = 0.5
WINDOW = 20
WINDOW_SECONDS = 60.0
OPEN_SECONDS = 5.0
LONGEST_OPEN_SECONDS = 60.0
# While a probe is under way nobody else is let through; asking again sooner would not help.
_PROBING_SECONDS = 1.0


class State(StrEnum):
    """As circuit breakers call it."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One call that was let through; `epoch` tells a call of before the circuit opened from the probe."""

    epoch: int


class Breaker:
    """Of one model at one provider, or one tool server. What flaps opens it as surely as what is down."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_change: Callable[[State], None] = lambda _: None,
        open_seconds: float = OPEN_SECONDS,
        jitter: Callable[[], float] = lambda: random.uniform(0.9, 1.1),  # noqa: S311 - jitter
    ) -> None:
        """`on_change` hears of each new state."""
        self._clock = clock
        self._on_change = on_change
        self._open_seconds = open_seconds
        self._jitter = jitter
        self._outcomes: deque[tuple[float, bool]] = deque(maxlen=WINDOW)
        self._epoch = 0
        self._reopened = 0
        self._until = 0.0
        self._resting_until = 0.0
        self.state = State.CLOSED
        self.last: Exception | None = None

    def wait(self) -> float:
        """Seconds until a call may be made; 0 when it may be made now."""
        now = self._clock()
        match self.state:
            case State.CLOSED:
                wait = 0.0
            case State.OPEN:
                wait = self._until - now
            case State.HALF_OPEN:
                wait = _PROBING_SECONDS
        return max(0.0, wait, self._resting_until - now)

    def enter(self) -> Ticket:
        """A call begins. Of an open circuit whose time is up, it is the one probe."""
        if self.state is State.OPEN:
            self._epoch += 1
            self._become(State.HALF_OPEN)
        return Ticket(self._epoch)

    def succeeded(self, ticket: Ticket) -> None:
        """The model answered."""
        if ticket.epoch != self._epoch:
            return
        if self.state is State.HALF_OPEN:
            self._outcomes.clear()
            self._reopened = 0
            self._become(State.CLOSED)
        self._outcomes.append((self._clock(), True))

    def failed(self, ticket: Ticket, error: Exception) -> None:
        """The model failed in a way that speaks against it."""
        self.last = error
        if ticket.epoch != self._epoch or self.state is State.OPEN:
            return
        if self.state is State.HALF_OPEN:
            self._reopened += 1
            self._open()
            return
        now = self._clock()
        self._outcomes.append((now, False))
        recent = [good for moment, good in self._outcomes if moment > now - WINDOW_SECONDS]
        failures = recent.count(False)
        if failures >= FAILURES and failures >= SHARE * len(recent):
            self._open()

    def abandoned(self, ticket: Ticket) -> None:
        """The call ended without saying anything of the model: cancelled, or out of time."""
        if ticket.epoch == self._epoch and self.state is State.HALF_OPEN:
            # The probe told nothing: the next call is one.
            self._until = self._clock()
            self._become(State.OPEN)

    def rest(self, seconds: float) -> None:
        """The provider asked for patience: no call is made before that, whoever asks."""
        self._resting_until = max(self._resting_until, self._clock() + min(seconds, LONGEST_OPEN_SECONDS))

    def _open(self) -> None:
        seconds = min(self._open_seconds * 2**self._reopened, LONGEST_OPEN_SECONDS)
        self._until = self._clock() + seconds * self._jitter()
        self._epoch += 1
        self._become(State.OPEN)

    def _become(self, state: State) -> None:
        self.state = state
        self._on_change(state)


class Breakers:
    """The breakers of a process, by provider and model."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        on_change: Callable[[str, str, State], None] = lambda _provider, _model, _state: None,
        open_seconds: float = OPEN_SECONDS,
    ) -> None:
        """`on_change` hears of provider, model and the new state."""
        self._clock = clock
        self._on_change = on_change
        self._open_seconds = open_seconds
        self._all: dict[tuple[str, str], Breaker] = {}

    def of(self, provider: str, model: str) -> Breaker:
        """The one of a candidate, shared by all tags that name it."""
        known = self._all.get((provider, model))
        if known is None:
            known = self._all[provider, model] = Breaker(
                self._clock,
                on_change=lambda state: self._on_change(provider, model, state),
                open_seconds=self._open_seconds,
            )
        return known
