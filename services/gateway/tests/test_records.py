"""What is told to insights, what people say of answers, and actions."""

from __future__ import annotations

import asyncio
import zlib
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from tiermesh.gateway.v1 import gateway_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2 as insights_pb
from tiermesh_policy import Route, replay
from tiermesh_runtime.errors import RpcError, from_call
from tiermesh_runtime.testing import span_exporter

Source = insights_pb.Outcome.Source
Verdict = pb.RecordFeedbackRequest.Verdict


async def feedback(suite: Any, request_id: str, verdict: int, *, subject: str = "E00001", pill_id: str = "") -> None:
    request = pb.RecordFeedbackRequest(request_id=request_id, verdict=verdict, pill_id=pill_id)
    await suite.stub.RecordFeedback(request, metadata=suite.metadata(subject), timeout=10)


async def test_decisions_and_completions_reach_insights_with_a_hash_and_no_words(suite: Any) -> None:
    asked = await suite.ask("A secret question")
    await suite.insights.wait_for(lambda insights: insights.decisions and insights.outcomes)
    (record,), (outcome,) = suite.insights.decisions, suite.insights.outcomes
    assert record.decision == asked.decision.decision
    assert record.position == "opening"
    assert record.context.request_id == asked.decision.request_id
    assert "E00001" not in str(record)
    assert "secret" not in str(record)
    assert len(record.subject_hash) == 64
    assert (outcome.source, outcome.success, outcome.weight) == (Source.SOURCE_COMPLETION, 1.0, 0.2)
    assert outcome.decision_id == record.decision.decision_id
    who = suite.insights.principals[0]
    assert (who.tenant, who.purpose) == ("*", "record")


async def test_a_logged_decision_can_be_made_again_and_under_another_threshold(suite: Any, scores: Any) -> None:
    suite.classifier.scores = scores(confidence=0.7)
    asked = await suite.ask()
    await suite.insights.wait_for(lambda insights: insights.decisions)
    record = suite.insights.decisions[0].inputs
    again = replay(record)
    assert again.route is Route.TIER1
    assert [each.rule for each in again.reasons] == [each.rule for each in asked.decision.decision.reasons]
    assert replay(record, threshold=0.75).route is Route.TIER2
    assert b"days have I left" not in zlib.decompress(record)


async def test_a_bounce_is_evidence_against_tier_1(suite: Any, say: Any, script: Any) -> None:
    suite.tier1.script = script(say.bounce(), say.done("FAILED"))
    await suite.ask()
    await suite.insights.wait_for(lambda insights: len(insights.outcomes) == 2)
    bounce = next(each for each in suite.insights.outcomes if each.source == Source.SOURCE_BOUNCE)
    assert (bounce.success, bounce.weight) == (0.0, 1.0)


async def test_what_tier_2_answers_says_nothing_about_tier_1(suite: Any, scores: Any) -> None:
    suite.classifier.scores = scores(multi_step="yes")
    await suite.ask()
    await suite.insights.wait_for(lambda insights: insights.outcomes)
    assert suite.insights.outcomes[0].weight == 0.0


async def test_records_wait_on_disk_while_insights_is_away(start_suite: Any) -> None:
    suite = await start_suite()
    await suite.stop("insights")
    asked = await suite.ask()
    assert asked.done.complete
    spooled = (suite.folder / "spool.sqlite").read_bytes() + (suite.folder / "spool.sqlite-wal").read_bytes()
    assert asked.decision.decision.decision_id.encode() in spooled


async def test_a_word_on_an_answer_is_an_outcome_and_the_last_one_has_its_own_id(suite: Any) -> None:
    await suite.ask(request_id="r-1")
    for verdict in (Verdict.VERDICT_GOOD, Verdict.VERDICT_GOOD, Verdict.VERDICT_BAD):
        await feedback(suite, "r-1", verdict)
    await feedback(suite, "r-1", Verdict.VERDICT_PILL_CLICKED, pill_id="And last year?")
    await suite.insights.wait_for(lambda insights: len(insights.outcomes) == 5)
    thumbs = [each for each in suite.insights.outcomes if each.source == Source.SOURCE_THUMB]
    good, again, bad = thumbs
    assert (good.success, bad.success) == (1.0, 0.0)
    assert good.outcome_id == again.outcome_id != bad.outcome_id
    assert bad.at.ToNanoseconds() > good.at.ToNanoseconds()


@pytest.mark.parametrize(("request_id", "subject"), [("r-1", "E00002"), ("unknown", "E00001")])
async def test_only_ones_own_answers_can_be_judged_or_explained(suite: Any, request_id: str, subject: str) -> None:
    await suite.ask(request_id="r-1")
    for call in (
        feedback(suite, request_id, Verdict.VERDICT_BAD, subject=subject),
        suite.explain(request_id, subject=subject),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        refusal = from_call(caught.value)
        assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_REQUEST")


async def test_a_proposal_reaches_the_user_and_is_performed_as_the_one_who_confirms(
    suite: Any, say: Any, script: Any
) -> None:
    from tiermesh.common.v1 import answer_pb2
    from tiermesh.executor.v1 import executor_service_pb2 as executor_pb

    proposal = answer_pb2.Proposal(proposal_id="p1", action="leave.apply", token="sealed")
    suite.tier1.script = script(say.committed(), executor_pb.ExecuteResponse(proposal=proposal), say.done())
    asked = await suite.ask("Book me Friday off")
    token = asked.of("proposal")[0].token
    request = pb.ConfirmActionRequest(token=token)
    done = await suite.stub.ConfirmAction(request, metadata=suite.metadata("E00001"), timeout=10)
    assert (done.proposal_id, done.record_id, done.repeated) == ("p1", "r1", False)
    ((performed, who),) = suite.aggregator.requests
    assert performed.token == "sealed"
    assert (who.subject, who.tenant) == ("E00001", "acme")
    history = (await suite.ask("ok", conversation_id=asked.decision.conversation_id)).decision
    assert history.turn == 2


async def test_a_proposal_that_no_longer_holds_is_told_as_the_aggregator_said(suite: Any) -> None:
    suite.aggregator.refusal = RpcError(
        grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID", "The proposal has expired."
    )
    request = pb.ConfirmActionRequest(token="old")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await suite.stub.ConfirmAction(request, metadata=suite.metadata(), timeout=10)
    refusal = from_call(caught.value)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID")
    assert refusal.message == "The proposal has expired."


async def test_the_root_span_carries_the_decision_and_no_words(suite: Any, scores: Any) -> None:
    spans = span_exporter()
    suite.classifier.scores = scores(confidence=0.3)
    asked = await suite.ask("A secret question")

    def roots() -> list[Any]:
        return [each for each in spans.get_finished_spans() if each.name.endswith("GatewayService/Ask")]

    async with asyncio.timeout(5):
        while not roots():  # noqa: ASYNC110 - a span tells nobody that it ended
            await asyncio.sleep(0.01)
    root = next(each for each in roots() if each.kind is trace.SpanKind.SERVER)
    values = dict(root.attributes or {})
    assert values["tiermesh.route"] == "tier2"
    assert values["tiermesh.decision.rules"] == ("doubt_escalates",)
    assert (values["tiermesh.threshold"], values["tiermesh.confidence"]) == (0.6, 0.3)
    assert values["tiermesh.tenant"] == "acme"
    assert values["gen_ai.conversation.id"] == asked.decision.conversation_id
    assert values["tiermesh.answer.complete"] is True
    assert asked.decision.trace_id == trace.format_trace_id(root.context.trace_id)
    ours = [each for each in spans.get_finished_spans() if each.context.trace_id == root.context.trace_id]
    names = {each.name.rsplit("/", 1)[-1] for each in ours}
    assert {"Ask", "Classify", "Execute", "Suggest"} <= names
    assert "secret" not in str([each.to_json() for each in ours])
