"""Runs executions: what every one of them gets, how it may end, and what is told of it."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from opentelemetry import trace

from tiermesh_executor import telemetry as names
from tiermesh_executor.answer_events import AnswerEvent, AnswerStop, Bounced, Ended, Text
from tiermesh_executor.bounce.calibration import Stated
from tiermesh_executor.context import CallContext
from tiermesh_executor.deadline import Deadline
from tiermesh_executor.execution import Execution, Task
from tiermesh_executor.failures import (
    ContentRefusedError,
    ExecutionError,
    HandOverError,
    OutOfTimeError,
)
from tiermesh_executor.generate import Generated, GenerateTask, generate
from tiermesh_executor.ledger import Book, Line, UsageSink
from tiermesh_executor.models.calls import CallScope, ModelCalls
from tiermesh_executor.outlet import Outlet
from tiermesh_executor.prices import PriceList
from tiermesh_executor.prose import Prose
from tiermesh_executor.telemetry import ExecutorTelemetry

ModeName = Literal["answer", "aggregate"]


class Mode(Protocol):
    """A way to make an answer."""

    async def run(self, execution: Execution) -> Ended:
        """Raises HandOverError or ExecutionError."""
        ...


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to say of an execution when it is over."""

    ended: Ended
    ledger: Sequence[Line]
    tool_calls: int = 0
    statements: int = 0
    time_to_first_token: float | None = None
    held_back: float = 0.0
    stated: Stated | None = None


class Executor:
    """One deployment's executor."""

    def __init__(
        self,
        *,
        tier: int,
        models: ModelCalls,
        modes: Mapping[ModeName, Mode],
        prices: PriceList,
        sink: UsageSink,
        telemetry: ExecutorTelemetry,
    ) -> None:
        """`tier` is the deployment's."""
        self.tier = tier
        self._models = models
        self._modes = modes
        self._prices = prices
        self._sink = sink
        self._telemetry = telemetry

    async def execute(self, mode: ModeName, task: Task, deadline: Deadline, outlet: Outlet[AnswerEvent]) -> Report:
        """Streams the answer's events into `outlet`.

        Raises ExecutionError only when nothing was streamed yet; later the report says how it failed.
        """
        book = Book(task.context, self.tier, self._prices, self._sink, speculative=task.speculative)
        scope = CallScope(book, deadline, task.context.conversation_id, task.allowed_models, task.max_cost_micros)
        execution = Execution(task, scope, outlet, Prose(outlet.put, task.commit_point))
        span = trace.get_current_span()
        span.set_attributes({names.TIER: self.tier, names.MODE: mode})
        try:
            ended = await self._modes[mode].run(execution)
        except HandOverError as error:
            ended = await self._bounce(execution, error)
        except ExecutionError as error:
            if not outlet.accepted:
                raise
            ended = _failed(error, execution.prose.model)
        except asyncio.CancelledError:
            book.given_up()
            raise
        finally:
            self._observe(span, execution)
        span.set_attribute(names.STOP_REASON, ended.stop)
        return Report(
            ended,
            book.lines,
            execution.tool_calls,
            execution.statements,
            execution.time_to_first_token,
            execution.prose.held_back,
            execution.prose.stated,
        )

    async def generate(
        self,
        task: GenerateTask,
        context: CallContext,
        deadline: Deadline,
        outlet: Outlet[str],
        *,
        max_cost_micros: int = 0,
    ) -> tuple[Generated, Sequence[Line]]:
        """Raises ExecutionError."""
        book = Book(context, self.tier, self._prices, self._sink, speculative=False)
        scope = CallScope(book, deadline, context.conversation_id, max_cost_micros=max_cost_micros)
        span = trace.get_current_span()
        span.set_attributes({names.TIER: self.tier, names.TAG: task.tag})
        try:
            generated = await generate(self._models, task, scope, outlet)
        finally:
            self._observe_cost(span, book)
        return generated, book.lines

    async def _bounce(self, execution: Execution, error: HandOverError) -> Ended:
        execution.scope.book.supersede()
        self._telemetry.bounced(error.cause, self.tier)
        trace.get_current_span().set_attribute(names.BOUNCE_CAUSE, error.cause)
        findings = execution.findings_text
        look_ups = tuple(execution.look_ups)
        await execution.outlet.put(Bounced(error.cause, error.detail, findings, error.redirect, look_ups))
        return Ended(AnswerStop.FAILED, execution.prose.model, "", f"Handed over: {error.detail}.")

    def _observe(self, span: trace.Span, execution: Execution) -> None:
        prose = execution.prose
        span.set_attributes(
            {
                names.TOOL_CALLS: execution.tool_calls,
                names.STATEMENTS: execution.statements,
                names.HELD_BACK_MS: round(prose.held_back * 1000, 3),
                names.HELD_SENTENCES: prose.held_sentences,
            }
        )
        self._telemetry.sentences_held(prose.held_sentences)
        self._observe_cost(span, execution.scope.book)

    def _observe_cost(self, span: trace.Span, book: Book) -> None:
        lines = book.lines
        read = sum(line.usage.cache_read for line in lines)
        prompt = sum(line.usage.prompt for line in lines)
        span.set_attributes(
            {
                names.MODEL_CALLS: len(lines),
                names.COST_MICROS: book.cost_micros,
                names.CACHE_HIT_SHARE: round(read / prompt, 4) if prompt else 0.0,
            }
        )
        for line in lines:
            self._telemetry.attempted(line)


def _failed(error: ExecutionError, model: str) -> Ended:
    match error:
        case ContentRefusedError():
            stop = AnswerStop.REFUSED
        case OutOfTimeError():
            stop = AnswerStop.DEADLINE
        case _:
            stop = AnswerStop.FAILED
    return Ended(stop, model, error.reason, error.message)


def merge_events(one: AnswerEvent, other: AnswerEvent) -> AnswerEvent | None:
    """Prose that waits for the same write goes out as one."""
    if isinstance(one, Text) and isinstance(other, Text):
        return Text(one.text + other.text)
    return None
