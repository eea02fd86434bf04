"""The stream over real gRPC: pills beside the answer, never dead ends, the pack's own words when the model fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import pill_pb2, table_pb2
from tiermesh.suggester.v1 import suggester_service_pb2 as pb
from tiermesh_runtime.errors import RpcError, from_call

BOOK, CARRY_OVER = "Book a day off next Friday", "What is the carry-over rule?"


async def sent(*requests: pb.SuggestRequest) -> AsyncIterator[pb.SuggestRequest]:
    for request in requests:
        yield request


async def collected(call: Any) -> tuple[list[pill_pb2.Pill], pb.SuggestDone]:
    events = [event async for event in call]
    assert events[-1].HasField("done")
    return [event.pill for event in events[:-1]], events[-1].done


async def events_of(call: Any) -> list[pb.SuggestResponse]:
    return [event async for event in call]


async def test_the_model_s_pills_are_checked_in_one_batch_and_streamed(stage: Any) -> None:
    stage.executor.go.set()
    pills, done = await collected(stage.suggest(sent(stage.begin())))
    assert len(pills) == 3
    assert {pill.source for pill in pills} == {pill_pb2.PILL_SOURCE_MODEL}
    assert len(stage.classifier.batches) == 1
    assert len(stage.classifier.batches[0]) == 4
    assert [entry.cost_micros for entry in done.ledger] == [42]
    assert done.fallback_cause == ""


async def test_the_model_is_asked_under_its_tag_with_a_stable_prefix(stage: Any) -> None:
    stage.executor.go.set()
    await collected(stage.suggest(sent(stage.begin())))
    await collected(stage.suggest(sent(stage.begin(question="Something else altogether?"))))
    first, second = stage.executor.requests
    assert (first.tag, second.tag) == ("suggest", "suggest")
    assert first.instructions == second.instructions
    assert first.messages[0].text != second.messages[0].text


async def test_early_mode_asks_the_model_before_the_answer_is_known(stage: Any) -> None:
    requests: asyncio.Queue[pb.SuggestRequest] = asyncio.Queue()
    requests.put_nowait(stage.begin(mode=pb.SUGGEST_MODE_EARLY))
    call = stage.suggest(stream_of(requests))
    await asyncio.wait_for(stage.executor.started.wait(), 5)
    call.cancel()


async def test_informed_mode_waits_for_the_table_and_tells_the_model_of_it(stage: Any) -> None:
    stage.executor.go.set()
    requests: asyncio.Queue[pb.SuggestRequest] = asyncio.Queue()
    requests.put_nowait(stage.begin(mode=pb.SUGGEST_MODE_INFORMED))
    requests.put_nowait(pb.SuggestRequest(answer_text="Asha leads."))
    call = stage.suggest(stream_of(requests))
    shape = pb.TableShape(columns=[table_pb2.Column(name="employee", label="Employee")], rows=10)
    requests.put_nowait(pb.SuggestRequest(table=shape))
    await collected(call)
    (asked,) = stage.executor.requests
    assert "Employee" in asked.messages[0].text
    assert "Asha leads." in asked.messages[0].text


async def test_a_person_without_reports_sees_no_team_pills(stage: Any) -> None:
    stage.executor.go.set()
    stage.classifier.cardinality = "team"
    intents = {text: name for name, intent in stage.pack.vocabulary.intents.items() for text in intent.suggestions}
    pills, done = await collected(stage.suggest(sent(stage.begin()), roles=("employee",)))
    # The rules are everybody's; all else is said to be about a team here.
    assert pills
    assert all(pill.text == CARRY_OVER or intents[pill.text].endswith(".policy") for pill in pills)
    assert done.dropped["not_visible"] == 3


async def test_dead_ends_fall_out_and_the_pack_fills_up(stage: Any) -> None:
    stage.executor.go.set()
    stage.classifier.changes = {
        "Show it by department": {"intent": "out_of_scope"},
        "Compare it with last year": {"probability": 0.1},
        "What is the carry-over rule?": {"ambiguous": "yes"},
        BOOK: {"stakes": "high"},
    }
    pills, done = await collected(stage.suggest(sent(stage.begin(count=2))))
    assert done.dropped == {"unknown_intent": 1, "low_confidence": 2, "sensitive": 1}
    assert [pill.source for pill in pills].count(pill_pb2.PILL_SOURCE_MODEL) == 0
    assert [pill.source for pill in pills].count(pill_pb2.PILL_SOURCE_FALLBACK) == 2
    assert done.fallback_cause == "too_few"


async def test_when_the_model_is_down_the_pack_s_own_words_come_marked_as_such(stage: Any) -> None:
    stage.executor.error = RpcError(grpc.StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE", "down")
    stage.executor.go.set()
    pills, done = await collected(stage.suggest(sent(stage.begin())))
    assert len(pills) == 3
    assert {pill.source for pill in pills} == {pill_pb2.PILL_SOURCE_FALLBACK}
    assert done.fallback_cause == "models_unavailable"


async def test_when_the_classifier_is_down_nothing_unchecked_of_the_model_is_shown(stage: Any) -> None:
    stage.classifier.error = RpcError(grpc.StatusCode.UNAVAILABLE, "NOT_READY", "down")
    stage.executor.go.set()
    pills, done = await collected(stage.suggest(sent(stage.begin())))
    assert {pill.source for pill in pills} == {pill_pb2.PILL_SOURCE_FALLBACK}
    assert done.fallback_cause == "classifier_down"
    # Nobody says what these lead to, so nobody else is asked to believe it.
    assert not any(event.HasField("scores") for event in await events_of(stage.suggest(sent(stage.begin()))))


async def test_a_turn_that_was_not_classified_costs_no_model_call(stage: Any) -> None:
    pills, done = await collected(stage.suggest(sent(stage.begin(scores=None))))
    assert stage.executor.requests == []
    assert done.fallback_cause == "classifier_down"
    assert all(pill.source == pill_pb2.PILL_SOURCE_FALLBACK for pill in pills)


async def test_pills_shown_before_in_the_conversation_are_not_shown_again(stage: Any) -> None:
    stage.executor.go.set()
    pills, done = await collected(stage.suggest(sent(stage.begin(shown=["show it by department"]))))
    assert "Show it by department" not in [pill.text for pill in pills]
    assert done.dropped["repeated"] == 1


async def test_a_caller_that_goes_away_stops_the_model(stage: Any) -> None:
    call = stage.suggest(sent(stage.begin()))
    await asyncio.wait_for(stage.executor.started.wait(), 5)
    call.cancel()
    await asyncio.wait_for(stage.executor.cancelled.wait(), 5)


async def test_a_stream_that_does_not_begin_is_refused(stage: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await collected(stage.suggest(sent(pb.SuggestRequest(answer_text="?"))))
    assert from_call(refused.value).reason == "INVALID_FIELD"


async def test_another_pack_version_is_refused(stage: Any) -> None:
    request = stage.begin()
    request.begin.context.pack_version = "hr@0.0.1"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await collected(stage.suggest(sent(request)))
    assert from_call(refused.value).reason == "PACK_VERSION_MISMATCH"


async def stream_of(queue: asyncio.Queue[pb.SuggestRequest]) -> AsyncIterator[pb.SuggestRequest]:
    while True:
        request = await queue.get()
        yield request
        if request.HasField("table"):
            return
