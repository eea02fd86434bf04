"""Services that are away, die, stall or fail while a question is being answered."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, routing_pb2
from tiermesh.suggester.v1 import suggester_service_pb2 as suggester_pb
from tiermesh_gateway.adapters.suggester import _GrpcTrack, _Telling
from tiermesh_runtime.errors import RpcError, from_call

COST_FIRST = "  failure_policy: cost_first\n"

# Questions that are answered while one reader does not read: an executor that nothing holds up is done by then.
_OTHERS = 60


def fails(code: grpc.StatusCode, reason: str, *before: Any) -> Any:
    async def script(_request: Any, _context: Any) -> Any:
        for response in before:
            yield response
        raise RpcError(code, reason, "It failed.")

    return script


def dies_once(*before: Any, then: Any) -> Any:
    """An executor whose first stream is cut, and whose second is `then`."""
    runs = []

    async def script(request: Any, context: Any) -> Any:
        runs.append(request)
        if len(runs) > 1:
            async for response in then(request, context):
                yield response
            return
        for response in before:
            yield response
        await context.abort(grpc.StatusCode.UNAVAILABLE, "socket closed")

    return script


async def test_without_a_classifier_quality_first_takes_tier_2(suite: Any) -> None:
    await suite.stop("classifier")
    asked = await suite.ask()
    assert asked.decision.decision.route == routing_pb2.ROUTE_TIER2
    assert [each.rule for each in asked.decision.decision.reasons] == ["classifier_is_down"]
    assert not asked.decision.decision.HasField("scores")
    assert asked.done.complete


async def test_without_a_classifier_cost_first_takes_tier_1(start_suite: Any) -> None:
    suite = await start_suite(policy=COST_FIRST)
    await suite.stop("classifier")
    assert (await suite.ask()).decision.decision.route == routing_pb2.ROUTE_TIER1


async def test_a_classifier_that_stalls_costs_its_budget_and_no_more(start_suite: Any) -> None:
    suite = await start_suite(classify_seconds=0.1)
    stalled = asyncio.Event()

    async def never(_request: Any) -> Any:
        try:
            await asyncio.Event().wait()
        finally:
            stalled.set()

    suite.classifier.answer = never
    asked = await suite.ask()
    assert asked.decision.decision.route == routing_pb2.ROUTE_TIER2
    assert 0.1 <= asked.receipt.timings.classification.ToNanoseconds() / 1e9 < 1.0
    await asyncio.wait_for(stalled.wait(), 2)


async def test_a_tier_1_that_is_away_is_replaced_by_tier_2_silently(suite: Any) -> None:
    await suite.stop("executor_tier1")
    asked = await suite.ask(no_pills=True)
    assert "superseded" not in asked.kinds()
    assert asked.receipt.route == routing_pb2.ROUTE_TIER2
    assert asked.done.complete
    # The channel knows by now, and so does the next decision.
    again = await suite.ask(no_pills=True)
    assert again.decision.decision.route == routing_pb2.ROUTE_TIER2
    assert again.kinds() == ["decision", "answer_done", "receipt"]


async def test_a_tier_2_that_is_away_is_said_before_anything_else_under_quality_first(suite: Any, scores: Any) -> None:
    suite.classifier.scores = scores(multi_step="yes")
    await suite.stop("executor_tier2")
    refusal = None
    async with asyncio.timeout(10):
        while refusal is None:
            # Until the channel has noticed, the answer itself says that it failed.
            try:
                assert not (await suite.ask(no_pills=True)).done.complete
            except grpc.aio.AioRpcError as error:
                refusal = from_call(error)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_ROUTE_AVAILABLE")
    assert refusal.retry_after is not None


async def test_a_tier_2_that_is_away_goes_down_under_cost_first(start_suite: Any, scores: Any) -> None:
    suite = await start_suite(policy=COST_FIRST)
    suite.classifier.scores = scores(multi_step="yes")
    await suite.stop("executor_tier2")
    asked = await suite.ask(no_pills=True)
    assert asked.receipt.route == routing_pb2.ROUTE_TIER1
    assert asked.done.complete


async def test_an_executor_that_dies_before_it_showed_anything_is_replaced_silently(
    suite: Any, say: Any, script: Any
) -> None:
    answer = script(say.committed(), say.text("12 days."), say.done())
    suite.tier1.script = dies_once(then=answer)
    asked = await suite.ask(no_pills=True)
    assert asked.kinds() == ["decision", "text", "answer_done", "receipt"]
    assert len(suite.tier1.requests) == 2


async def test_an_executor_that_dies_mid_answer_is_superseded_by_a_new_answer(
    suite: Any, say: Any, script: Any
) -> None:
    answer = script(say.committed(), say.text("12 days."), say.done())
    suite.tier1.script = dies_once(say.committed(), say.text("You ha"), then=answer)
    asked = await suite.ask(no_pills=True)
    assert asked.kinds() == ["decision", "text", "superseded", "text", "answer_done", "receipt"]
    assert asked.of("superseded")[0].cause == "executor_lost"
    assert asked.text == "12 days."
    assert asked.done.complete
    assert asked.receipt.cost.at_least


async def test_a_tier_whose_models_all_failed_hands_over_to_the_next(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.done("FAILED", reason="MODELS_UNAVAILABLE"))
    suite.tier2.script = script(say.committed(2), say.text("12 days."), say.done(tier=2))
    asked = await suite.ask(no_pills=True)
    assert asked.of("route_changed")[0].cause == "provider_failed"
    assert asked.done.complete
    assert len(suite.tier1.requests) == 1


async def test_when_every_tier_failed_the_answer_says_how_it_began(suite: Any) -> None:
    for executor in (suite.tier1, suite.tier2):
        executor.script = fails(grpc.StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE")
    asked = await suite.ask(no_pills=True)
    assert asked.kinds()[-2:] == ["answer_done", "receipt"]
    assert asked.kinds().count("answer_done") == 1
    assert not asked.done.complete
    assert asked.done.error_reason == "MODELS_UNAVAILABLE"


async def test_a_fault_inside_leaks_nothing(suite: Any) -> None:
    suite.tier1.script = fails(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    asked = await suite.ask(no_pills=True)
    assert asked.done.error_reason == "INTERNAL"
    assert "It failed" not in asked.done.error_message
    assert suite.tier2.requests == []


async def test_a_stalled_executor_ends_with_the_deadline_told_in_time(suite: Any, say: Any) -> None:
    async def stalls(_request: Any, _context: Any) -> Any:
        yield say.committed()
        yield say.text("Well, ")
        await asyncio.Event().wait()

    suite.tier1.script = stalls
    asked = await suite.ask(timeout=1.5, no_pills=True)
    assert asked.done.stop_reason == answer_pb2.AnswerDone.STOP_REASON_DEADLINE
    assert not asked.done.complete
    assert asked.kinds()[-1] == "receipt"


async def test_a_suggester_that_has_told_its_end_has_not_failed_though_its_stream_breaks() -> None:
    async def broken_off() -> Any:
        yield suggester_pb.SuggestResponse(done=suggester_pb.SuggestDone(fallback_cause="model_unavailable"))
        raise grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, grpc.aio.Metadata(), grpc.aio.Metadata())

    call: Any = broken_off()
    track = _GrpcTrack(_Telling(suggester_pb.SuggestRequest()), call, lambda pill, scores: "")
    assert [each.fallback_cause async for each in track.pills()] == ["model_unavailable"]


@pytest.mark.parametrize("way", ["away", "fails", "garbage"])
async def test_a_suggester_in_trouble_costs_the_pills_and_nothing_else(
    suite: Any, say: Any, script: Any, way: str
) -> None:
    suite.tier1.script = script(say.committed(), say.text("12 days."), say.done())

    async def breaks(_requests: Any) -> Any:
        yield say.pill("One came through")
        raise RpcError(grpc.StatusCode.INTERNAL, "INTERNAL", "broken")

    async def nothing(_requests: Any) -> Any:
        yield say.pills_done("model_unavailable")

    suite.suggester.script = breaks if way == "fails" else nothing
    if way == "away":
        await suite.stop("suggester")
    asked = await suite.ask()
    assert asked.text == "12 days."
    assert asked.done.complete
    causes = {"away": "suggester_unavailable", "fails": "", "garbage": "model_unavailable"}
    assert asked.receipt.pills_missing_cause == causes[way]
    assert asked.receipt.pills == (1 if way == "fails" else 0)


async def test_pills_that_are_late_end_with_their_deadline_after_the_answer(start_suite: Any, say: Any) -> None:
    suite = await start_suite(policy="")

    async def late(requests: Any) -> Any:
        async for _ in requests:
            pass
        await asyncio.Event().wait()
        yield say.pill("never")

    suite.suggester.script = late
    began = time.monotonic()
    asked = await suite.ask()
    assert time.monotonic() - began >= 1.0
    assert asked.receipt.pills_missing_cause == "late"
    await asyncio.wait_for(suite.suggester.left.wait(), 2)


async def test_pills_come_while_the_answer_streams_and_never_hold_it_up(suite: Any, say: Any) -> None:
    pill_seen = asyncio.Event()

    async def early(requests: Any) -> Any:
        yield say.pill("Early bird")
        async for _ in requests:
            pass
        yield say.pills_done()

    async def waits_for_the_pill(_request: Any, _context: Any) -> Any:
        yield say.committed()
        yield say.text("One ")
        await pill_seen.wait()
        yield say.text("two.")
        yield say.done()

    suite.suggester.script, suite.tier1.script = early, waits_for_the_pill
    kinds = []
    async for event in suite.call("x"):
        kinds.append(event.WhichOneof("event"))
        if kinds[-1] == "pill":
            pill_seen.set()
    assert kinds.index("pill") < kinds.index("answer_done")
    assert kinds.count("text") == 2


async def test_the_suggester_hears_the_answer_as_it_comes_and_what_became_void(
    suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite.classifier.scores = scores(intent="leave.history", aggregation="rank", cardinality="team")
    suite.tier1.script = script(
        say.committed(), say.table(9), say.text("A"), say.superseded("unverified_figures"), say.text("B"), say.done()
    )
    await suite.ask("Who took most?")
    kinds = [request.WhichOneof("event") for request in suite.suggester.heard]
    assert kinds[0] == "begin"
    assert [kind for kind in kinds if kind != "answer_text"] == [
        "begin",
        "table",
        "answer_restarted",
        "answer_completed",
    ]
    begin, table = suite.suggester.heard[0].begin, suite.suggester.heard[kinds.index("table")].table
    assert (begin.question, begin.route, begin.count) == ("Who took most?", routing_pb2.ROUTE_AGGREGATE, 3)
    assert begin.scores.intent.label == "leave.history"
    assert (table.rows, len(table.sample)) == (9, 5)
    assert suite.suggester.heard[-1].answer_completed.complete


async def test_a_tenant_or_a_question_without_pills_gets_none(start_suite: Any) -> None:
    suite = await start_suite()
    assert (await suite.ask(no_pills=True)).receipt.pills_missing_cause == "not_wanted"
    assert suite.suggester.heard == []


async def test_a_client_that_goes_away_stops_every_hop_within_200_ms(suite: Any, say: Any) -> None:
    async def endless(_request: Any, _context: Any) -> Any:
        yield say.committed()
        while True:
            yield say.text("and ")
            await asyncio.sleep(0.01)

    async def waits(_requests: Any) -> Any:
        await asyncio.Event().wait()
        yield say.pill("never")

    suite.tier1.script, suite.suggester.script = endless, waits
    call = suite.call("x")
    async for event in call:
        if event.WhichOneof("event") == "text":
            break
    began = time.monotonic()
    call.cancel()
    async with asyncio.timeout(2):
        await suite.tier1.left.wait()
        await suite.suggester.left.wait()
    assert time.monotonic() - began < 0.2


async def test_a_reader_that_stops_reading_holds_up_its_executor_and_nobody_else(suite: Any, say: Any) -> None:
    produced = 0
    words = "x" * 50_000
    flooding = asyncio.Event()

    async def floods(_request: Any, _context: Any) -> Any:
        nonlocal produced
        yield say.committed()
        if flooding.is_set():
            yield say.done()
            return
        flooding.set()
        for _ in range(2_000):
            yield say.text(words)
            produced += 1
        yield say.done()

    suite.tier1.script = floods
    call = suite.call("x", no_pills=True, timeout=60)
    await call.read()
    await flooding.wait()
    # The time that it has to run ahead is that of other people's whole questions: nobody waits for a standstill.
    for _ in range(_OTHERS):
        assert (await suite.ask(no_pills=True)).done.complete
    # Whatever sits in windows and buffers of two hops is far from the 100 MB that were on offer.
    assert 0 < produced * len(words) < 20_000_000
    rest = await suite.rest(call)
    assert produced == 2_000
    assert rest[-1].WhichOneof("event") == "receipt"


async def test_insights_may_be_away_and_nothing_is_lost(suite: Any) -> None:
    await suite.stop("insights")
    assert (await suite.ask()).done.complete
