"""One question through the whole gateway, with scripted services behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import pytest
from tiermesh.common.v1 import answer_pb2, routing_pb2
from tiermesh.executor.v1 import executor_service_pb2 as executor_pb
from tiermesh_runtime.errors import RpcError, from_call


async def refused(call: Any) -> RpcError:
    """How a stream was refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async for _ in call:
            pass
    return from_call(caught.value)


async def test_an_answer_is_decision_first_then_the_answer_then_pills_then_the_receipt(
    suite: Any, say: Any, script: Any
) -> None:
    suite.tier1.script = script(say.committed(), say.text("You have "), say.text("12 days."), say.done())
    asked = await suite.ask()
    assert asked.kinds() == ["decision", "text", "text", "answer_done", "pill", "receipt"]
    assert [event.sequence for event in asked.events] == [1, 2, 3, 4, 5, 6]
    assert asked.text == "You have 12 days."
    assert asked.done.complete


async def test_the_decision_names_route_reasons_threshold_runner_up_and_scores(suite: Any) -> None:
    decision = (await suite.ask()).decision.decision
    assert decision.route == routing_pb2.ROUTE_TIER1
    assert [reason.rule for reason in decision.reasons] == ["confidence_reaches_the_threshold"]
    assert (decision.threshold.value, decision.threshold.version) == (0.6, "default")
    assert decision.otherwise.route == routing_pb2.ROUTE_TIER2
    assert decision.otherwise.estimated_cost_micros > 0
    assert decision.policy_version == "test-1"
    assert decision.scores.intent.label == "leave.balance"


async def test_a_bulk_question_goes_to_tier_1_in_aggregate_mode_with_its_scores(
    suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite.classifier.scores = scores(intent="leave.history", cardinality="team", aggregation="rank")
    suite.tier1.script = script(say.committed(), say.table(3), say.text("Ada took most."), say.done())
    asked = await suite.ask("Who took the most leave this year?")
    (request,) = suite.tier1.requests
    assert request.mode == executor_pb.EXECUTE_MODE_AGGREGATE
    assert request.scores.scope.slots.domain.value == "leave"
    assert asked.decision.decision.route == routing_pb2.ROUTE_AGGREGATE
    assert asked.decision.decision.otherwise.estimated_data_calls == 50
    assert len(asked.of("table")[0].rows) == 3
    assert asked.receipt.route == routing_pb2.ROUTE_AGGREGATE


async def test_doubt_goes_to_tier_2_and_high_scope_there_gets_bulk_tools_only(
    suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite.classifier.scores = scores(intent="leave.history", cardinality="team", multi_step="yes")
    suite.tier2.script = script(say.committed(2), say.text("Because."), say.done(tier=2))
    asked = await suite.ask("Why does my team take so little leave?")
    (request,) = suite.tier2.requests
    assert request.mode == executor_pb.EXECUTE_MODE_ANSWER
    assert request.bulk_tools_only
    assert asked.receipt.tier == routing_pb2.TIER_2
    assert suite.tier1.requests == []


async def test_a_person_may_ask_for_a_higher_tier(suite: Any) -> None:
    asked = await suite.ask(min_tier=routing_pb2.TIER_2)
    assert asked.decision.decision.route == routing_pb2.ROUTE_TIER2
    assert len(suite.tier2.requests) == 1


async def test_the_receipt_adds_up_both_tracks_and_explains_itself_later(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.committed(), say.text("x"), say.done(micros=100))
    asked = await suite.ask(request_id="r-1")
    receipt = asked.receipt
    assert receipt.cost.total_micros == 107
    assert {each.tag: each.cost_micros for each in receipt.cost.per_tag} == {"answer-simple": 100, "suggest": 7}
    assert not receipt.cost.at_least
    assert receipt.cost.cache_hit_share == 0.6
    assert (receipt.tool_calls, receipt.statements, receipt.pills, receipt.complete) == (1, 1, 1, True)
    timings = receipt.timings
    moments = [timings.first_answer_event, timings.answer_done, timings.total]
    assert [each.ToNanoseconds() for each in moments] == sorted(each.ToNanoseconds() for each in moments)
    explained = await suite.explain("r-1")
    assert explained.receipt == receipt
    assert explained.decision == asked.decision.decision


async def test_a_bounce_before_anything_was_shown_is_silent_and_hands_its_findings_on(
    suite: Any, say: Any, script: Any
) -> None:
    look_ups = [executor_pb.LookUp(tool="leave_balance", arguments=f'{{"year": {n}}}', found="12") for n in range(9)]
    bounce = say.bounce("escalate_tool", findings="balance is 12", look_ups=look_ups)
    suite.tier1.script = script(bounce, say.done("FAILED"))
    suite.tier2.script = script(say.committed(2), say.text("12 days."), say.done(tier=2))
    asked = await suite.ask(no_pills=True)
    assert asked.kinds() == ["decision", "route_changed", "text", "answer_done", "receipt"]
    changed = asked.of("route_changed")[0]
    assert (changed.route, changed.cause) == (routing_pb2.ROUTE_TIER2, "escalate_tool")
    assert suite.tier2.requests[0].prior_findings == "balance is 12"
    assert list(suite.tier2.requests[0].look_ups) == look_ups[:8], "no more than a request may hold"
    assert asked.receipt.cost.model_calls == 2


async def test_a_bounce_after_something_was_shown_supersedes_it(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.committed(), say.text("Wrong."), say.bounce("ungrounded"), say.done("FAILED"))
    suite.tier2.script = script(say.committed(2), say.text("Right."), say.done(tier=2))
    asked = await suite.ask(no_pills=True)
    expected = ["decision", "text", "superseded", "route_changed", "text", "answer_done", "receipt"]
    assert asked.kinds() == expected
    assert asked.of("superseded")[0].cause == "bounce"
    assert asked.text == "Right."


async def test_the_fan_out_guard_sends_a_loop_to_the_bulk_path(suite: Any, say: Any) -> None:
    async def tier1(request: Any, _context: Any) -> Any:
        if request.mode == executor_pb.EXECUTE_MODE_AGGREGATE:
            yield say.committed()
            yield say.table(2)
            yield say.done()
        else:
            yield say.bounce("fan_out", aggregate=True)
            yield say.done("FAILED")

    suite.tier1.script = tier1
    asked = await suite.ask(no_pills=True)
    changed = asked.of("route_changed")[0]
    assert (changed.route, changed.cause) == (routing_pb2.ROUTE_AGGREGATE, "fan_out")
    assert asked.receipt.route == routing_pb2.ROUTE_AGGREGATE
    assert asked.done.complete


async def test_a_bulk_call_that_bounces_goes_to_tier_2_with_bulk_tools_only(
    suite: Any, say: Any, script: Any, scores: Any
) -> None:
    suite.classifier.scores = scores(intent="leave.history", aggregation="sum")
    suite.tier1.script = script(say.bounce("slots_incomplete"), say.done("FAILED"))
    suite.tier2.script = script(say.done(tier=2))
    asked = await suite.ask(no_pills=True)
    assert suite.tier2.requests[0].bulk_tools_only
    assert asked.done.complete


async def test_a_bounce_with_nowhere_to_go_is_no_success(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.bounce("cannot"), say.done("FAILED"))
    suite.tier2.script = script(say.bounce("cannot"), say.done("FAILED", tier=2))
    asked = await suite.ask(no_pills=True)
    assert not asked.done.complete
    assert asked.done.error_reason == "NO_ROUTE_AVAILABLE"
    assert not asked.receipt.complete


async def test_a_truncated_answer_is_never_presented_as_success(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.committed(), say.text("You ha"), say.done("MAX_TOKENS", complete=True))
    asked = await suite.ask()
    assert not asked.done.complete
    assert asked.done.error_reason == "ANSWER_TRUNCATED"
    assert not asked.receipt.complete


async def test_a_content_refusal_is_final_and_not_routed_around(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.done("REFUSED", reason="CONTENT_REFUSED"))
    asked = await suite.ask(no_pills=True)
    assert asked.done.stop_reason == answer_pb2.AnswerDone.STOP_REASON_REFUSED
    assert suite.tier2.requests == []


async def test_a_superseding_inside_one_executor_goes_through(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(
        say.committed(), say.text("12"), say.superseded("unverified_figures"), say.text("13"), say.done()
    )
    asked = await suite.ask(no_pills=True)
    assert asked.kinds() == ["decision", "text", "superseded", "text", "answer_done", "receipt"]
    assert asked.text == "13"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"text": ""}, "text"),
        ({"text": " \n"}, "text"),
        ({"text": "x" * 8001}, "text"),
        ({"text": "x", "conversation_id": "no spaces"}, "conversation_id"),
        ({"text": "x", "request_id": "no/slash"}, "request_id"),
        ({"text": "x", "time_zone": "Mars/Olympus"}, "time_zone"),
        ({"text": "x", "min_tier": 9}, "min_tier"),
    ],
)
async def test_a_bad_field_is_named(suite: Any, fields: dict[str, Any], field: str) -> None:
    refusal = await refused(suite.call(**fields))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert [each.field for each in refusal.violations] == [field]
    assert suite.classifier.requests == []


async def test_inner_calls_carry_a_principal_of_the_person_and_the_context_of_the_turn(suite: Any) -> None:
    asked = await suite.ask(subject="E00042", time_zone="America/New_York")
    (request,), (who,) = suite.tier1.requests, suite.tier1.principals
    assert (who.tenant, who.subject, who.roles) == ("acme", "E00042", frozenset({"employee"}))
    assert (who.pack_version, who.purpose) == ("hr@1.0.0", "question")
    assert request.context.request_id == asked.decision.request_id == who.request_id
    assert (request.context.tenant, request.context.pack_version) == ("acme", "hr@1.0.0")
    assert (request.context.time_zone, request.context.locale) == ("America/New_York", "en-GB")
    assert (request.context.conversation_id, request.context.turn) == (asked.decision.conversation_id, 1)


async def test_a_heartbeat_keeps_an_idle_stream_open_but_never_comes_first(start_suite: Any, say: Any) -> None:
    suite = await start_suite(heartbeat_seconds=0.05)
    beaten, classify = asyncio.Event(), asyncio.Event()
    scores = suite.classifier.scores

    async def slow(_request: Any) -> Any:
        await classify.wait()
        return scores

    async def quiet(_request: Any, _context: Any) -> Any:
        yield say.committed()
        await beaten.wait()
        yield say.text("At last.")
        yield say.done()

    suite.classifier.answer, suite.tier1.script = slow, quiet
    kinds = []
    call = suite.call("x", no_pills=True)
    asyncio.get_running_loop().call_later(0.2, classify.set)
    async for event in call:
        kinds.append(event.WhichOneof("event"))
        if kinds[-1] == "heartbeat":
            beaten.set()
    assert kinds[0] == "decision"
    assert "heartbeat" in kinds
    assert kinds[-1] == "receipt"


async def test_answers_on_intents_that_the_tenant_names_are_judged_before_they_are_shown(
    start_suite: Any, scores: Any
) -> None:
    suite = await start_suite(policy="  judged_intents: [leave.balance]\n")
    await suite.ask()
    suite.classifier.scores = scores(intent="leave.policy")
    await suite.ask("May I carry days over?")
    assert [request.judge_before_release for request in suite.tier1.requests] == [True, False]
