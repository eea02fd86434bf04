"""The stream: reads what the answer brings, runs the track beside it, writes each pill when it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from opentelemetry import trace
from tiermesh.common.v1 import pill_pb2
from tiermesh.suggester.v1 import suggester_service_pb2 as pb
from tiermesh.suggester.v1 import suggester_service_pb2_grpc as rpc
from tiermesh_pack import Pack
from tiermesh_runtime.errors import RpcError, invalid_field
from tiermesh_runtime.principal import Principal, current

from tiermesh_suggester.clients import BatchClassifier, ExecutorModel
from tiermesh_suggester.fallback import Asked
from tiermesh_suggester.settings import SuggesterSettings
from tiermesh_suggester.track import Answer, ReadyPill, Track, Turn

if TYPE_CHECKING:  # the stubs' asynchronous side has a name for type checkers only
    from tiermesh.classifier.v1.classifier_service_pb2_grpc import ClassifierServiceAsyncStub
    from tiermesh.executor.v1.executor_service_pb2_grpc import ExecutorServiceAsyncStub

DEFAULT_COUNT = 3
KIND_VALUES = {
    "drill_down": pill_pb2.PILL_KIND_DRILL_DOWN,
    "compare": pill_pb2.PILL_KIND_COMPARE,
    "act": pill_pb2.PILL_KIND_ACT,
    "explain": pill_pb2.PILL_KIND_EXPLAIN,
}
Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True)
class Dependencies:
    """What every stream shares."""

    settings: SuggesterSettings
    pack: Pack
    executor: ExecutorServiceAsyncStub
    classifier: ClassifierServiceAsyncStub


class SuggesterServicer(rpc.SuggesterServiceServicer):
    """tiermesh.suggester.v1.SuggesterService."""

    def __init__(self, dependencies: Dependencies) -> None:
        self._with = dependencies

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
        principal = current()
        model = ExecutorModel(
            self._with.executor, begin.context, self._with.settings.model_seconds, begin.max_cost_micros
        )
        classifier = BatchClassifier(
            self._with.classifier, begin.context, begin.history, self._with.settings.classify_seconds
        )
        track = Track(self._with.pack, model, classifier, self._with.settings.min_intent_probability)
        answer = Answer()
        reading = asyncio.create_task(_follow(request_iterator, answer))
        count = 0
        try:
            async for ready in track.pills(_turn(begin, principal), answer):
                count += 1
                yield pb.SuggestResponse(pill=_pill(ready))
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
        _observe(track, count)
        yield pb.SuggestResponse(done=_done(track, model))


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
            case "table":
                answer.so_far.columns = tuple(column.label or column.name for column in request.table.columns)
                answer.so_far.rows = request.table.rows
                answer.enough.set()
            case "answer_restarted":
                answer.so_far.restart()
            case "answer_completed":
                answer.enough.set()
            case "begin":
                structlog.get_logger().warning("second_begin_ignored")
    answer.enough.set()


def _turn(begin: pb.SuggestBegin, principal: Principal) -> Turn:
    scores = begin.scores
    slots = scores.scope.slots
    return Turn(
        question=begin.question,
        asked=Asked(
            intent=scores.intent.label,
            aggregation=scores.scope.aggregation.label,
            domain=slots.domain.value or scores.intent.label.partition(".")[0],
            measure=next((slot.value for slot in slots.measures), ""),
            group_by=tuple(slot.value for slot in slots.group_by),
        ),
        mix={score.label: score.probability for score in scores.surround.distribution},
        roles=principal.roles,
        count=begin.count or DEFAULT_COUNT,
        shown=list(begin.shown),
        informed=begin.mode == pb.SUGGEST_MODE_INFORMED,
        classified=begin.HasField("scores"),
    )


def _pill(ready: ReadyPill) -> pill_pb2.Pill:
    return pill_pb2.Pill(
        pill_id=uuid.uuid4().hex,
        text=ready.candidate.text,
        kind=KIND_VALUES[ready.candidate.kind],
        source=pill_pb2.PILL_SOURCE_MODEL if ready.from_model else pill_pb2.PILL_SOURCE_FALLBACK,
    )


def _done(track: Track, model: ExecutorModel) -> pb.SuggestDone:
    done = pb.SuggestDone(dropped=track.dropped.counts, ledger=model.ledger, fallback_cause=track.fallback_cause)
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
