"""One tagged call over the candidates of its row: retries, failover, deadline, booking.

A failure is survived silently as long as nothing of the call has been shown; the
caller says whether that is so. A circuit breaker per candidate belongs in
`_Attempts`, which decides what is tried next.
"""

import asyncio
import random
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from tiermesh_executor.deadline import Deadline
from tiermesh_executor.failures import CostLimitError, ModelsUnavailableError, OutOfTimeError, from_provider
from tiermesh_executor.ledger import Book, OpenCall, Outcome
from tiermesh_executor.models.events import (
    ModelEvent,
    Opaque,
    Restarted,
    Started,
    Stop,
    TextDelta,
    ToolCall,
    ToolCallStarted,
    UsageSeen,
)
from tiermesh_executor.models.provider import FINAL, RETRYABLE, UNBILLED, ErrorKind, Provider, ProviderError
from tiermesh_executor.models.request import ModelRequest, Prompt
from tiermesh_executor.tags import Candidate, TagRow, TagTable

TRIES_PER_CANDIDATE = 2
MAX_ATTEMPTS = 5
# Waiting longer for a model that asked for patience is worse than another model.
_PATIENCE_SECONDS = 2.0
_BACKOFF_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class CallScope:
    """What all calls of one execution share."""

    book: Book
    deadline: Deadline
    conversation_id: str = ""
    allowed_models: frozenset[str] = frozenset()
    # In micro-dollars; 0 is no limit.
    max_cost_micros: int = 0


class ModelCalls:
    """The executor's own door to the providers."""

    def __init__(self, *, tags: TagTable, providers: Mapping[str, Provider], tier: int) -> None:
        """`tier` is the deployment's: candidates for other tiers are not for it."""
        self._tags = tags
        self._providers = providers
        self._tier = tier
        self._log = structlog.get_logger("tiermesh_executor.calls")

    def row(self, tag: str) -> TagRow:
        """Raises UnknownTagError."""
        return self._tags.row(tag)

    async def stream(
        self, tag: str, prompt: Prompt, scope: CallScope, *, shown: Callable[[], bool] = lambda: False
    ) -> AsyncGenerator[ModelEvent, None]:
        """Yields until `Stop`; `Restarted` voids what this call has yielded before.

        `shown` says whether some of it has reached the user: then a failure ends the call.
        Raises ExecutionError. Close it (`aclosing`) to stop the provider.
        """
        row = self._tags.row(tag)
        deadline = scope.deadline.within(row.deadline_ms / 1000)
        attempts = _Attempts(self._candidates(row, scope))
        first: ProviderError | None = None
        while (candidate := attempts.next()) is not None:
            if scope.max_cost_micros and scope.book.cost_micros >= scope.max_cost_micros:
                raise CostLimitError(
                    "This answer has used up what it may cost; ask for a higher limit or a simpler answer."
                )
            yielded = False
            try:
                async with aclosing(
                    self._once(
                        tag=tag,
                        row=row,
                        candidate=candidate,
                        prompt=prompt,
                        scope=scope,
                        deadline=deadline,
                        attempt=attempts.made,
                    )
                ) as events:
                    async for event in events:
                        yielded = yielded or isinstance(event, TextDelta | ToolCallStarted | ToolCall | Opaque)
                        yield event
                return
            except ProviderError as error:
                first = first or error
                self._log.warning(
                    "model_call_failed", tag=tag, model=candidate.model, kind=error.kind, attempt=attempts.made
                )
                if error.kind in FINAL or shown():
                    reported = error if error.kind in FINAL - {ErrorKind.DEADLINE} else first
                    raise from_provider(reported, tag, attempts.made, shown=shown()) from error
                pause = attempts.failed(candidate, error)
                if pause >= deadline.remaining():
                    raise from_provider(first, tag, attempts.made, shown=False) from error
                if yielded:
                    yield Restarted(error.kind.value)
                await asyncio.sleep(pause)
        if first is not None and first.kind is not ErrorKind.DEADLINE:
            raise from_provider(first, tag, attempts.made, shown=False) from first
        raise ModelsUnavailableError(tag, first, attempts.made)

    def _candidates(self, row: TagRow, scope: CallScope) -> list[Candidate]:
        return [
            candidate
            for candidate in row.candidates
            if (not candidate.tiers or self._tier in candidate.tiers)
            and (not scope.allowed_models or candidate.model in scope.allowed_models)
        ]

    async def _once(
        self,
        *,
        tag: str,
        row: TagRow,
        candidate: Candidate,
        prompt: Prompt,
        scope: CallScope,
        deadline: Deadline,
        attempt: int,
    ) -> AsyncGenerator[ModelEvent, None]:
        """One attempt, booked whatever becomes of it."""
        if deadline.remaining() <= 0:
            raise OutOfTimeError("The time for the answer ran out before a model could be asked.")
        call = await scope.book.begin(
            tag=tag,
            provider=candidate.provider,
            model=candidate.model,
            prompt_version=row.prompt_version,
            attempt=attempt,
        )
        outcome, complete = Outcome.CANCELLED, False
        try:
            request = self._request(row, candidate, prompt, deadline, scope.conversation_id)
            async with aclosing(self._providers[candidate.provider].stream(request)) as events:
                async for event in events:
                    _observe(call, event)
                    if isinstance(event, Stop):
                        outcome, complete = Outcome.SERVED, True
                    yield event
        except ProviderError as error:
            call.request_id = call.request_id or error.request_id
            outcome, complete = Outcome.FAILED, error.kind in UNBILLED and call.time_to_first_token is None
            raise
        finally:
            scope.book.settle(call, outcome, complete=complete)

    def _request(
        self, row: TagRow, candidate: Candidate, prompt: Prompt, deadline: Deadline, conversation_id: str
    ) -> ModelRequest:
        return ModelRequest(
            model=candidate.model,
            prompt=prompt,
            max_tokens=min(row.max_tokens, prompt.max_tokens or row.max_tokens),
            effort=candidate.effort,
            thinking=candidate.thinking,
            forced_tools=self._tags.traits(candidate.model).forced_tools,
            cache=row.cache,
            first_token_seconds=row.first_token_ms / 1000,
            stall_seconds=row.stall_ms / 1000,
            expires_at=deadline.expires_at,
            conversation_id=conversation_id,
        )


class _Attempts:
    """Which candidate comes next, and how long to wait for it."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._queue = deque(candidates)
        self._tries: dict[int, int] = {}
        self.made = 0

    def next(self) -> Candidate | None:
        if not self._queue or self.made >= MAX_ATTEMPTS:
            return None
        self.made += 1
        return self._queue[0]

    def failed(self, candidate: Candidate, error: ProviderError) -> float:
        """Returns the pause before the next attempt, in seconds."""
        tries = self._tries[id(candidate)] = self._tries.get(id(candidate), 0) + 1
        alone = len(self._queue) == 1
        wait = error.retry_after if error.retry_after is not None else _BACKOFF_SECONDS * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        again = error.kind in RETRYABLE and tries < TRIES_PER_CANDIDATE
        if again and (wait <= _PATIENCE_SECONDS or alone):
            return wait
        self._queue.popleft()
        return 0.0


def _observe(call: OpenCall, event: ModelEvent) -> None:
    match event:
        case Started(model, request_id):
            call.model, call.request_id = model or call.model, request_id
        case TextDelta() | ToolCallStarted():
            call.first_token()
        case UsageSeen(usage):
            call.usage = usage
