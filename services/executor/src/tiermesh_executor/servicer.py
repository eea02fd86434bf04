"""`tiermesh.executor.v1.ExecutorService`: requests to tasks, events to messages, failures to codes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import grpc
from tiermesh.common.v1 import answer_pb2
from tiermesh.executor.v1 import executor_service_pb2 as pb
from tiermesh.executor.v1 import executor_service_pb2_grpc as rpc
from tiermesh_runtime import deadlines, principal

from tiermesh_executor.answer_events import AnswerEvent, Text
from tiermesh_executor.deadline import Deadline
from tiermesh_executor.executor import Executor, merge_events
from tiermesh_executor.failures import ExecutionError
from tiermesh_executor.outlet import Outlet
from tiermesh_executor.wire.requests import context_of_call, generate_task_from, task_from
from tiermesh_executor.wire.responses import done_of, event_of, generate_done_of, heartbeat, rpc_error

# Kept back so that the failure of a model can still be told within the caller's deadline.
_RESERVE_SECONDS = 0.1
_LONGEST_SECONDS = 180.0

Context = grpc.aio.ServicerContext[object, object]
T = TypeVar("T")
R = TypeVar("R")


class ExecutorServicer(rpc.ExecutorServiceServicer):
    """The door."""

    def __init__(self, executor: Executor, *, heartbeat_seconds: float) -> None:
        """A stream that has nothing to say gives a sign after `heartbeat_seconds`."""
        self._executor = executor
        self._heartbeat_seconds = heartbeat_seconds

    async def Execute(self, request: pb.ExecuteRequest, _context: Context) -> AsyncIterator[pb.ExecuteResponse]:
        """Streams one answer."""
        tier = self._executor.tier
        mode, task = task_from(request, principal.current(), tier)
        deadline = _deadline()
        outlet: Outlet[AnswerEvent] = Outlet(merge_events)
        work = self._executor.execute(mode, task, deadline, outlet)
        async with _producing(work, outlet) as report:
            async for event in outlet.read(lambda: Text(""), self._heartbeat_seconds):
                # Prose is never empty: an empty piece is the sign that nothing came.
                yield heartbeat() if event == Text("") else event_of(event, tier)
            yield done_of(await report(), tier)

    async def Generate(self, request: pb.GenerateRequest, _context: Context) -> AsyncIterator[pb.GenerateResponse]:
        """Streams one tagged call."""
        context = context_of_call(request.context, principal.current(), request.tag)
        task = generate_task_from(request)
        outlet: Outlet[str] = Outlet(lambda one, other: one + other)
        work = self._executor.generate(task, context, _deadline(), outlet, max_cost_micros=request.max_cost_micros)
        async with _producing(work, outlet) as outcome:
            async for text in outlet.read(str, self._heartbeat_seconds):
                if text:
                    yield pb.GenerateResponse(text=answer_pb2.TextChunk(text=text))
            generated, ledger = await outcome()
            yield generate_done_of(generated, ledger)


def _deadline() -> Deadline:
    return Deadline.after(deadlines.budget(_LONGEST_SECONDS, reserve=_RESERVE_SECONDS, hop="executor"))


@asynccontextmanager
async def _producing(work: Awaitable[R], outlet: Outlet[T]) -> AsyncIterator[Callable[[], Awaitable[R]]]:
    """Runs `work` beside the reading of its outlet; leaving the block stops it, and with it the provider."""

    async def produce() -> R:
        try:
            return await work
        finally:
            outlet.close()

    task = asyncio.ensure_future(produce())

    async def result() -> R:
        try:
            return await task
        except ExecutionError as error:
            raise rpc_error(error) from error

    try:
        yield result
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
