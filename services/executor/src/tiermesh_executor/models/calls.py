"""One tagged call over the candidates of its row: attempts, failover, deadline, booking.

A failure is survived silently as long as nothing of the call has been shown, and
by going on from there afterwards; the caller says what was shown. What is tried
next is `attempts`' business, who is left alone the breakers'.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from tiermesh_executor.deadline import Deadline
from tiermesh_executor.failures import CostLimitError, ModelsUnavailableError, OutOfTimeError, from_provider
from tiermesh_executor.ledger import Book, OpenCall, Outcome
from tiermesh_executor.models.attempts import Attempts, Option
from tiermesh_executor.models.breaker import Breakers, Ticket
from tiermesh_executor.models.continuing import Seam, continued
from tiermesh_executor.models.events import (
    ModelEvent,
    Opaque,
    Restarted,
    Resumed,
    Started,
    Stop,
    TextDelta,
    ToolCall,
    ToolCallStarted,
    Usage,
    UsageSeen,
)
from tiermesh_executor.models.provider import FINAL, ILL, UNBILLED, ErrorKind, Provider, ProviderError
from tiermesh_executor.models.request import ModelRequest, Prompt
from tiermesh_executor.tags import Candidate, TagRow, TagTable

# A provider that asks for more patience than this is left alone by all calls until then.
_RESTING_SECONDS = 2.0
_SPOKEN = TextDelta | ToolCallStarted | ToolCall | Opaque


@dataclass(frozen=True, slots=True)
class CallScope:
    """What all calls of one execution share."""

    book: Book
    deadline: Deadline
    conversation_id: str = ""
    allowed_models: frozenset[str] = frozenset()
    # In micro-dollars; 0 is no limit.
    max_cost_micros: int = 0


@dataclass(frozen=True, slots=True)
class _Call:
    """One tagged call, as all its attempts see it."""

    tag: str
    row: TagRow
    prompt: Prompt
    scope: CallScope
    deadline: Deadline


class ModelCalls:
    """The executor's own door to the providers."""

    def __init__(
        self,
        *,
        tags: TagTable,
        providers: Mapping[str, Provider],
        tier: int,
        breakers: Breakers | None = None,
    ) -> None:
        """`tier` is the deployment's: candidates for other tiers are not for it."""
        self._tags = tags
        self._providers = providers
        self._tier = tier
        self._clock = asyncio.get_running_loop().time
        self._breakers = breakers or Breakers(self._clock)
        # Models that refused an answer's beginning as their own, whatever the table says.
        self._no_prefill: set[tuple[str, str]] = set()
        self._log = structlog.get_logger("tiermesh_executor.calls")

    def row(self, tag: str) -> TagRow:
        """Raises UnknownTagError."""
        return self._tags.row(tag)

    def known(self, tag: str) -> bool:
        """Whether the table has the tag."""
        return tag in self._tags.tags

    async def stream(
        self, tag: str, prompt: Prompt, scope: CallScope, *, shown: Callable[[], str] = str
    ) -> AsyncGenerator[ModelEvent, None]:
        """Yields until `Stop`; `Restarted` and `Resumed` void what this call has yielded before.

        `shown` is what has reached the user of it: the next attempt goes on from its end.
        Raises ExecutionError. Close it (`aclosing`) to stop the provider.
        """
        row = self._tags.row(tag)
        call = _Call(tag, row, prompt, scope, scope.deadline.within(row.deadline_ms / 1000))
        attempts = Attempts(self._options(row, scope), self._clock)
        seen = ""
        while (attempt := attempts.next(call.deadline.remaining())) is not None:
            if attempt.pause:
                await asyncio.sleep(attempt.pause)
            if scope.max_cost_micros and scope.book.cost_micros >= scope.max_cost_micros:
                raise CostLimitError(
                    "This answer has used up what it may cost; ask for a higher limit or a simpler answer."
                )
            spoke = False
            try:
                async with aclosing(self._attempt(call, attempt.option, attempts.made, seen)) as events:
                    async for event in events:
                        spoke = spoke or isinstance(event, _SPOKEN)
                        yield event
                return
            except ProviderError as error:
                attempts.failed(attempt.option, error)
                self._note(attempt.option, error, call, attempts.made)
                seen = shown()
                if error.kind in FINAL:
                    reported = error if error.kind is ErrorKind.REFUSED else attempts.first or error
                    raise from_provider(reported, tag, attempts.failures, shown=bool(seen)) from error
                if seen and prompt.json_schema is not None:
                    # Two halves of different makers are no document.
                    raise from_provider(error, tag, attempts.failures, shown=True) from error
                if seen:
                    yield Resumed(error.kind.value, seen)
                elif spoke:
                    yield Restarted(error.kind.value)
        if call.deadline.remaining() <= 0 and attempts.first is None:
            raise OutOfTimeError("The time for the answer ran out before a model could be asked.")
        first = attempts.first or attempts.turned_away()
        if first is None:
            raise ModelsUnavailableError(tag, None, ())
        raise from_provider(first, tag, attempts.failures, shown=bool(seen)) from first

    def _options(self, row: TagRow, scope: CallScope) -> list[Option]:
        found = []
        for candidate in row.candidates:
            if candidate.tiers and self._tier not in candidate.tiers:
                continue
            if scope.allowed_models and candidate.model not in scope.allowed_models:
                continue
            traits = self._tags.traits(candidate.model)
            key = (candidate.provider, candidate.model)
            prefill = traits.prefill and key not in self._no_prefill
            found.append(Option(candidate, self._breakers.of(*key), traits.context_window, prefill))
        return found

    def _note(self, option: Option, error: ProviderError, call: _Call, attempt: int) -> None:
        candidate = option.candidate
        if error.kind is ErrorKind.PREFILL_REFUSED:
            self._no_prefill.add((candidate.provider, candidate.model))
        if (error.retry_after or 0.0) > _RESTING_SECONDS:
            option.breaker.rest(error.retry_after or 0.0)
        self._log.warning(
            "model_call_failed",
            tag=call.tag,
            provider=candidate.provider,
            model=candidate.model,
            kind=error.kind,
            attempt=attempt,
        )

    async def _attempt(self, call: _Call, option: Option, number: int, seen: str) -> AsyncGenerator[ModelEvent, None]:
        """One attempt; the breaker hears how it went, and what was shown before is not said again."""
        ticket, healthy = option.breaker.enter(), False
        seam = Seam(seen)
        prompt = continued(call.prompt, seen, prefill=option.prefill)
        try:
            async with aclosing(self._once(call, option.candidate, prompt, number)) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        if text := seam.feed(event.text):
                            yield TextDelta(text)
                        continue
                    if isinstance(event, Stop | ToolCallStarted) and (text := seam.end()):
                        yield TextDelta(text)
                    healthy = healthy or isinstance(event, Stop)
                    yield event
        except ProviderError as error:
            healthy = _judge(option, ticket, error)
            raise
        finally:
            if healthy:
                option.breaker.succeeded(ticket)
            else:
                option.breaker.abandoned(ticket)

    async def _once(
        self, call: _Call, candidate: Candidate, prompt: Prompt, number: int
    ) -> AsyncGenerator[ModelEvent, None]:
        """One attempt, booked whatever becomes of it."""
        if call.deadline.remaining() <= 0:
            raise OutOfTimeError("The time for the answer ran out before a model could be asked.")
        opened = await call.scope.book.begin(
            tag=call.tag,
            provider=candidate.provider,
            model=candidate.model,
            prompt_version=call.row.prompt_version,
            attempt=number,
        )
        outcome, complete = Outcome.CANCELLED, False
        try:
            request = self._request(call, candidate, prompt)
            async with aclosing(self._providers[candidate.provider].stream(request)) as events:
                async for event in events:
                    _observe(opened, event)
                    if isinstance(event, Stop):
                        # A provider that reports no figures has not said that it was free.
                        outcome, complete = Outcome.SERVED, opened.usage != Usage()
                    yield event
        except ProviderError as error:
            opened.request_id = opened.request_id or error.request_id
            outcome, complete = Outcome.FAILED, error.kind in UNBILLED and opened.time_to_first_token is None
            raise
        finally:
            call.scope.book.settle(opened, outcome, complete=complete)

    def _request(self, call: _Call, candidate: Candidate, prompt: Prompt) -> ModelRequest:
        row, traits = call.row, self._tags.traits(candidate.model)
        temperature = None
        if row.temperature is not None and traits.max_temperature is not None:
            temperature = min(row.temperature, traits.max_temperature)
        return ModelRequest(
            model=candidate.model,
            prompt=prompt,
            max_tokens=min(row.max_tokens, prompt.max_tokens or row.max_tokens),
            effort=candidate.effort,
            thinking=candidate.thinking,
            temperature=temperature,
            forced_tools=traits.forced_tools,
            prefill=traits.prefill,
            cache=row.cache,
            cache_minimum_tokens=traits.cache_minimum_tokens,
            first_token_seconds=row.first_token_ms / 1000,
            stall_seconds=row.stall_ms / 1000,
            expires_at=call.deadline.expires_at,
            conversation_id=call.scope.conversation_id,
        )


def _judge(option: Option, ticket: Ticket, error: ProviderError) -> bool:
    """True for a failure that shows the model in good health, such as a refusal."""
    if error.kind in ILL:
        option.breaker.failed(ticket, error)
        return False
    return error.kind is not ErrorKind.DEADLINE


def _observe(call: OpenCall, event: ModelEvent) -> None:
    match event:
        case Started(model, request_id):
            call.model, call.request_id = model or call.model, request_id
        case TextDelta() | ToolCallStarted():
            call.first_token()
        case UsageSeen(usage):
            call.usage = usage
