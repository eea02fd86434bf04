"""Runs what a model calls in one turn: checked, in parallel under a limit, each within its time."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opentelemetry import trace

from tiermesh_executor.answer_events import ToolProgress, ToolState
from tiermesh_executor.execution import Execution
from tiermesh_executor.failures import HandOverError
from tiermesh_executor.models.events import ToolCall
from tiermesh_executor.schemas import problem_with
from tiermesh_executor.telemetry import ExecutorTelemetry
from tiermesh_executor.tools.arguments import arguments_of
from tiermesh_executor.tools.catalogue import READING, RefusalResult, TableResult, Tool, ToolResult, ToolServerError
from tiermesh_executor.tools.fanout import FanOutGuard

PARALLEL_CALLS = 4
CALL_SECONDS = 15.0
# Left for the model to say something about what came back.
_RESERVE_SECONDS = 1.0
# More than any honest question needs in one turn.
MAX_CALLS_PER_TURN = 16


@dataclass(frozen=True, slots=True)
class Called:
    """One call with what became of it: a result, or an error for the model."""

    call: ToolCall
    arguments: Mapping[str, Any]
    result: ToolResult | None = None
    error: str = ""
    # The model's own mistake, which it may mend once.
    mendable: bool = False
    # The same call was answered before in this execution.
    repeated: bool = False
    # Its server could not be reached, or is not well: nobody knows what it would have said.
    unreachable: bool = False

    @property
    def unknown_name(self) -> str:
        """The name in the call that nobody the caller may see has; empty where that was not the matter."""
        return self.result.unknown_name if isinstance(self.result, RefusalResult) else ""


class ToolRunner:
    """The tools of one execution."""

    def __init__(
        self, execution: Execution, tools: Sequence[Tool], guard: FanOutGuard, telemetry: ExecutorTelemetry
    ) -> None:
        """`tools` are those that the model was offered."""
        self._execution = execution
        self._tools = {tool.name: tool for tool in tools}
        self._guard = guard
        self._telemetry = telemetry
        self._limit = asyncio.Semaphore(PARALLEL_CALLS)
        # What was asked already: a model that goes in circles costs its server nothing.
        self._answered: dict[str, ToolResult] = {}

    async def run(self, calls: Sequence[ToolCall]) -> list[Called]:
        """In the order of `calls`. Raises HandOverError, before anything runs, for a loop over entities."""
        checked = [self._check(call) for call in calls]
        ready = [(self._tools[one.call.name], one.arguments) for one in checked if not one.error]
        try:
            self._guard.admit(ready)
        except HandOverError as refusal:
            self._telemetry.fan_out_refused(calls[0].name)
            await self._progress(calls[0], ToolState.REFUSED, refusal.detail)
            raise
        checked[MAX_CALLS_PER_TURN:] = [
            replace(one, error="Too many calls in one turn; ask for less.") for one in checked[MAX_CALLS_PER_TURN:]
        ]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._run(one)) for one in checked]
        return [task.result() for task in tasks]

    def reads(self, name: str) -> bool:
        """Whether a tool is offered and only reads, so that a call of it may be made twice."""
        tool = self._tools.get(name)
        return tool is not None and tool.kind in READING

    def _check(self, call: ToolCall) -> Called:
        tool = self._tools.get(call.name)
        if tool is None:
            names = ", ".join(sorted(self._tools)) or "none"
            return Called(call, {}, error=f"There is no tool {call.name!r}; there are: {names}.", mendable=True)
        arguments = arguments_of(call.arguments)
        if arguments is None:
            return Called(call, {}, error="The arguments are not a JSON object.", mendable=True)
        return Called(call, arguments, error=problem_with(arguments, tool.input_schema), mendable=True)

    async def _run(self, one: Called) -> Called:
        if one.error:
            await self._progress(one.call, ToolState.FAILED, "the call was not valid")
            return one
        if (known := self._answered.get(_key(one))) is not None:
            await self._progress(one.call, ToolState.SUCCEEDED, "known from before")
            return Called(one.call, one.arguments, known, repeated=True)
        async with self._limit:
            called = await self._call(one)
        if called.result is not None and not called.error:
            self._answered[_key(one)] = called.result
        return called

    async def _call(self, one: Called) -> Called:
        execution, call, tool = self._execution, one.call, self._tools[one.call.name]
        seconds = min(CALL_SECONDS, execution.scope.deadline.remaining() - _RESERVE_SECONDS)
        if seconds <= 0:
            return Called(call, one.arguments, error="There is no time left for this call.")
        await self._progress(call, ToolState.STARTED)
        execution.tool_calls += 1
        execution.waiting_for = tool.name
        started = time.perf_counter()
        with self._telemetry.tool_span(tool.name, call.call_id, tool.kind) as span:
            try:
                arguments = json.dumps(one.arguments, ensure_ascii=False)
                result = await tool.server.call(execution.task.context, tool.name, arguments, call.call_id, seconds)
            except ToolServerError as error:
                span.set_status(trace.StatusCode.ERROR, error.reason)
                self._telemetry.tool_called(tool.name, error.reason, time.perf_counter() - started)
                await self._progress(call, ToolState.FAILED, "the tool could not answer")
                return Called(call, one.arguments, error=error.message, unreachable=_unreachable(error))
            finally:
                execution.waiting_for = ""
        self._telemetry.tool_called(tool.name, "", time.perf_counter() - started)
        if isinstance(result, RefusalResult):
            await self._progress(call, ToolState.FAILED, "the call was not valid")
            return Called(call, one.arguments, result, result.message, mendable=True)
        await self._progress(call, ToolState.SUCCEEDED, _in_words(result))
        return Called(call, one.arguments, result)

    async def _progress(self, call: ToolCall, state: ToolState, detail: str = "") -> None:
        await self._execution.outlet.put(ToolProgress(call.call_id[:128], call.name[:64], state, detail))


def _unreachable(error: ToolServerError) -> bool:
    return error.in_trouble or error.reason == "TOOLS_UNAVAILABLE"


def _key(one: Called) -> str:
    return f"{one.call.name} {json.dumps(one.arguments, sort_keys=True, default=str)}"


def _in_words(result: ToolResult) -> str:
    if isinstance(result, TableResult):
        count = len(result.table.rows)
        return "1 row" if count == 1 else f"{count} rows"
    return ""
