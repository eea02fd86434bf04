"""The stream: reads what the answer brings, runs the track beside it, writes each pill when it is ready."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from opentelemetry import trace
from tiermesh.suggester.v1 import suggester_service_pb2 as pb
from tiermesh.suggester.v1 import suggester_service_pb2_grpc as rpc
from tiermesh_pack import Pack
from tiermesh_runtime.errors import RpcError, invalid_field
from tiermesh_runtime.principal import current

from tiermesh_suggester.clients import BatchClassifier, ExecutorModel
from tiermesh_suggester.leading import Leading
from tiermesh_suggester.settings import SuggesterSettings
from tiermesh_suggester.spend import TenantSpend
from tiermesh_suggester.track import Answer, Checks, Track
from tiermesh_suggester.translation import cells_of, next_history, response_of, turn_of
from tiermesh_suggester.words import PackWords

if TYPE_CHECKING:  # the stubs' asynchronous side has a name for type checkers only
    from tiermesh.classifier.v1.classifier_service_pb2_grpc import ClassifierServiceAsyncStub
    from tiermesh.executor.v1.executor_service_pb2_grpc import ExecutorServiceAsyncStub

# Prose from which enough of an answer without a table is known.
ENOUGH_CHARACTERS = 500
Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True)
class Dependencies:
    """What every stream shares."""

    settings: SuggesterSettings
    pack: Pack
    executor: ExecutorServiceAsyncStub
    classifier: ClassifierServiceAsyncStub
    spend: TenantSpend = field(default_factory=TenantSpend)


class SuggesterServicer(rpc.SuggesterServiceServicer):
    """tiermesh.suggester.v1.SuggesterService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._with = dependencies
        pack, settings = dependencies.pack, dependencies.settings
        leading = Leading(pack, frozenset(settings.proposed_intents), settings.min_intent_probability)
        self._checks = Checks(pack, PackWords(pack), leading)

    async def Suggest(
        self, request_iterator: AsyncIterator[pb.SuggestRequest], context: Context
    ) -> AsyncIterator[pb.SuggestResponse]:
        """Stream pills for one turn; `done` is last."""
        begin = await _begin(request_iterator)
        if begin.context.pack_version != self._with.pack.identity:
            raise RpcError(
                grpc.StatusCode.FAILED_PRECONDITION,
                "PACK_VERSION_MISMATCH",
                f"the pack {self._with.pack.identity} is loaded, not {begin.context.pack_version}",
            )
        model = self._model(begin)
        classifier = BatchClassifier(
            self._with.classifier, begin.context, next_history(begin), self._with.settings.classify_seconds
        )
        track = Track(self._checks, model, classifier)
        answer = Answer()
        reading = asyncio.create_task(_follow(request_iterator, answer))
        count = 0
        try:
            async with contextlib.aclosing(track.pills(turn_of(begin, current().roles), answer)) as pills:
                async for ready in pills:
                    count += 1
                    yield response_of(ready)
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
        _observe(track, count)
        yield pb.SuggestResponse(done=_done(track, model))

    def _model(self, begin: pb.SuggestBegin) -> ExecutorModel:
        return ExecutorModel(
            self._with.executor,
            begin.context,
            self._with.spend,
            self._with.settings.model_seconds,
            begin.max_cost_micros,
            begin.max_cost_per_day_micros,
            begin.without_model,
        )


async def _begin(requests: AsyncIterator[pb.SuggestRequest]) -> pb.SuggestBegin:
    async for request in requests:
        if request.HasField("begin"):
            return request.begin
        break
    raise invalid_field("event", "the first message of the stream must be `begin`")


async def _follow(requests: AsyncIterator[pb.SuggestRequest], answer: Answer) -> None:
    """Take in the answer until the caller half-closes."""
    async for request in requests:
        match request.WhichOneof("event"):
            case "answer_text":
                answer.so_far.add_text(request.answer_text)
                if len(answer.so_far.text) >= ENOUGH_CHARACTERS:
                    answer.enough.set()
            case "table":
                table = request.table
                labels = [column.label or column.name for column in table.columns]
                answer.so_far.show_table(labels, table.rows, cells_of(table.sample))
                answer.enough.set()
            case "answer_restarted":
                answer.so_far.restart()
                answer.enough.clear()
            case "answer_completed":
                answer.failed = not request.answer_completed.complete
                answer.ended.set()
                answer.enough.set()
            case "begin":
                structlog.get_logger().warning("second_begin_ignored")
    answer.ended.set()
    answer.enough.set()


def _done(track: Track, model: ExecutorModel) -> pb.SuggestDone:
    done = pb.SuggestDone(
        dropped=track.dropped.counts,
        ledger=model.ledger,
        fallback_cause=track.fallback_cause,
        at_least=model.at_least,
    )
    if track.first_pill_seconds is not None:
        duration = Duration()
        duration.FromMicroseconds(round(track.first_pill_seconds * 1e6))
        done.time_to_first_pill.CopyFrom(duration)
    return done


def _observe(track: Track, count: int) -> None:
    span = trace.get_current_span()
    span.set_attribute("tiermesh.pills.count", count)
    span.set_attribute("tiermesh.pills.dropped", sum(track.dropped.counts.values()))
    if track.fallback_cause:
        span.set_attribute("tiermesh.pills.fallback_cause", track.fallback_cause)
