"""Which candidate is tried next in one call, and when: bounded retries, patience, larger windows.

A pure plan over a clock; the calling is in `calls`.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tiermesh_executor.models.breaker import Breaker
from tiermesh_executor.models.provider import ONCE_MORE, RETRYABLE, ErrorKind, ProviderError
from tiermesh_executor.tags import Candidate

TRIES_PER_CANDIDATE = 2
MAX_ATTEMPTS = 5
# Waiting longer for a model that asked for patience is worse than another model.
PATIENCE_SECONDS = 2.0
_BACKOFF_SECONDS = 0.25


@dataclass(slots=True)
class Option:
    """A candidate with what is known of it in this call."""

    candidate: Candidate
    breaker: Breaker
    window: int
    # Takes the beginning of its own answer as the last message.
    prefill: bool = False
    tries: int = 0
    # On the plan's clock.
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """What to do next."""

    option: Option
    pause: float


class Attempts:
    """One call's plan."""

    def __init__(
        self,
        options: Sequence[Option],
        clock: Callable[[], float],
        *,
        jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.5),  # noqa: S311 - jitter
    ) -> None:
        """`options` in order of preference."""
        self._options = list(options)
        self._clock = clock
        self._jitter = jitter
        self.made = 0
        self.failures: list[tuple[Candidate, ProviderError]] = []

    def next(self, remaining: float) -> Attempt | None:
        """None when nothing is left that can be tried within `remaining` seconds."""
        if self.made >= MAX_ATTEMPTS:
            return None
        now = self._clock()
        for option in self._options:
            pause = max(0.0, option.not_before - now)
            if pause <= PATIENCE_SECONDS and not option.breaker.wait() and pause < remaining:
                return self._begin(option, pause)
        # Patience that this very call was asked for is had when there is nobody else.
        patient = [option for option in self._options if option.not_before > now]
        waits = sorted((max(option.not_before - now, option.breaker.wait()), id(option), option) for option in patient)
        if waits and waits[0][0] < remaining:
            return self._begin(waits[0][2], waits[0][0])
        return None

    def failed(self, option: Option, error: ProviderError) -> None:
        """Decides whether the candidate comes again in this call."""
        self.failures.append((option.candidate, error))
        if error.kind is ErrorKind.CONTEXT_TOO_LONG:
            # What did not fit here fits only into a larger window.
            self._options = [other for other in self._options if other.window > option.window]
            return
        if error.kind is ErrorKind.PREFILL_REFUSED and option.prefill:
            option.prefill = False
            return
        self._options.remove(option)
        if option.tries >= TRIES_PER_CANDIDATE:
            return
        if error.kind in RETRYABLE:
            backoff = _BACKOFF_SECONDS * 2 ** (option.tries - 1) * self._jitter()
            option.not_before = self._clock() + (backoff if error.retry_after is None else error.retry_after)
            self._options.insert(0, option)
        elif error.kind in ONCE_MORE:
            # The others first: whatever broke the stream may still be there.
            self._options.append(option)

    @property
    def first(self) -> ProviderError | None:
        """How it began."""
        return self.failures[0][1] if self.failures else None

    def turned_away(self) -> ProviderError | None:
        """Why none of the candidates may be called, when all their circuits are open."""
        waits = sorted((option.breaker.wait(), id(option), option.breaker) for option in self._options)
        for wait, _, breaker in waits:
            if wait > 0 and isinstance(breaker.last, ProviderError):
                return ProviderError(
                    breaker.last.kind, f"the model is left alone for now, as it kept failing: {breaker.last}",
                    retry_after=wait,
                )  # fmt: skip
        return None

    def _begin(self, option: Option, pause: float) -> Attempt:
        self.made += 1
        option.tries += 1
        return Attempt(option, pause)
