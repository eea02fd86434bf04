"""The RPCs that report: who may read, and what a report says of what was delivered."""

from __future__ import annotations

import grpc
import pytest
from tiermesh.common.v1 import routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

from .deliveries import NOW, decision, judged_log, outcome, selected
from .signed_client import Insights, refusal


async def test_what_was_delivered_comes_back_as_a_confidence_report(insights: Insights) -> None:
    decisions = [decision(1), decision(2), decision(3, confidence=0.15), decision(4, confidence=None)]
    stored = await insights.stub.RecordDecisions(
        pb.RecordDecisionsRequest(decisions=decisions), metadata=insights.recorder(), timeout=5
    )
    assert (stored.stored, stored.already_stored) == (4, 0)
    outcomes = pb.RecordOutcomesRequest(outcomes=[outcome(1, 1.0), outcome(2, 0.0)])
    await insights.stub.RecordOutcomes(outcomes, metadata=insights.recorder(), timeout=5)
    request = pb.ReportConfidenceRequest(selection=selected())
    report = await insights.stub.ReportConfidence(request, metadata=insights.reader(), timeout=5)
    assert (report.decisions, report.with_outcome) == (3, 2)
    assert len(report.bands) == 10
    assert report.bands[9].success.value == 0.5
    assert not report.bands[1].HasField("success")
    assert report.expected_calibration_error == pytest.approx(0.4)
    assert (report.threshold.value, report.threshold.version) == (0.8, "v7")


@pytest.mark.parametrize(("tenant", "roles"), [("other", ("router_admin",)), ("acme", ("employee",))])
async def test_reports_are_for_admins_of_the_tenant(insights: Insights, tenant: str, roles: tuple[str, ...]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.ReportConfidence(
            pb.ReportConfidenceRequest(selection=selected()), metadata=insights.reader(tenant, roles), timeout=5
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_an_axis_has_a_confidence_report_of_its_own(insights: Insights) -> None:
    record = decision(1)
    record.decision.scores.scope.cardinality.CopyFrom(scores_pb2.AxisScore(label="one", probability=0.35))
    await insights.decide(record)
    await insights.say(outcome(1, 1.0))
    request = pb.ReportConfidenceRequest(selection=selected(), axis="cardinality")
    report = await insights.stub.ReportConfidence(request, metadata=insights.reader(), timeout=5)
    assert [band.decisions for band in report.bands] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


async def test_an_unknown_axis_is_refused_with_those_that_there_are(insights: Insights) -> None:
    request = pb.ReportConfidenceRequest(selection=selected(), axis="mood")
    error = await refusal(insights.stub.ReportConfidence(request, metadata=insights.reader(), timeout=5))
    assert (error.reason, "cardinality" in error.message) == ("INVALID_FIELD", True)


async def test_cost_adds_up_per_tag_and_tier(insights: Insights) -> None:
    entries = [
        usage_pb2.LedgerEntry(
            entry_id=f"e{number}",
            revision=1,
            tenant="acme",
            tag=tag,
            tier=routing_pb2.Tier.ValueType(tier),
            cost_micros=cost,
            usage=usage_pb2.TokenUsage(input=10, cache_read=30, output=5),
            outcome=usage_pb2.CALL_OUTCOME_SERVED,
            started_at=NOW,
        )
        for number, (tag, tier, cost) in enumerate([("suggest", 2, 300), ("suggest", 2, 200), ("narrate", 1, 50)])
    ]
    await insights.stub.RecordUsage(pb.RecordUsageRequest(entries=entries), metadata=insights.recorder(), timeout=5)
    await insights.stub.RecordDecisions(
        pb.RecordDecisionsRequest(decisions=[decision(1), decision(2)]), metadata=insights.recorder(), timeout=5
    )
    report = await insights.stub.ReportCost(
        pb.ReportCostRequest(selection=selected()), metadata=insights.reader(), timeout=5
    )
    assert (report.total.total_micros, report.total.model_calls, report.questions) == (550, 3, 2)
    assert report.total.cache_hit_share == 0.75
    assert report.cost_per_question_micros == 275
    assert {tag.tag: tag.cost_micros for tag in report.total.per_tag} == {"suggest": 500, "narrate": 50}
    assert [(tier.tier, tier.calls) for tier in report.tiers] == [(1, 1), (2, 2)]


async def test_an_absurd_cost_of_one_call_does_not_take_the_report_away_from_all(insights: Insights) -> None:
    entries = [
        usage_pb2.LedgerEntry(
            entry_id=f"e{number}",
            revision=1,
            tenant="acme",
            tag="narrate",
            cost_micros=2**63 - 1,
            usage=usage_pb2.TokenUsage(input=2**64 - 1, output=2**64 - 1),
            outcome=usage_pb2.CALL_OUTCOME_SERVED,
            started_at=NOW,
        )
        for number in range(3)
    ]
    await insights.stub.RecordUsage(pb.RecordUsageRequest(entries=entries), metadata=insights.recorder(), timeout=5)
    report = await insights.stub.ReportCost(
        pb.ReportCostRequest(selection=selected()), metadata=insights.reader(), timeout=5
    )
    assert (report.total.total_micros, report.total.model_calls) == (3 * 10**12, 3)


async def test_a_session_is_listed_with_what_it_cost(insights: Insights) -> None:
    entries = [
        usage_pb2.LedgerEntry(
            entry_id=f"e{number}",
            revision=1,
            tenant="acme",
            conversation_id=conversation,
            request_id=f"r{number}",
            tag="answer-simple",
            model="m",
            tier=routing_pb2.TIER_1,
            cost_micros=cost,
            started_at=NOW,
        )
        for number, (conversation, cost) in enumerate([("c1", 10), ("c2", 500), ("c1", 20)])
    ]
    await insights.stub.RecordUsage(pb.RecordUsageRequest(entries=entries), metadata=insights.recorder(), timeout=5)
    request = pb.ReportCostRequest(selection=selected())
    request.step.FromSeconds(86_400)
    report = await insights.stub.ReportCost(request, metadata=insights.reader(), timeout=5)
    assert [(each.conversation_id, each.questions, each.cost_micros) for each in report.sessions] == [
        ("c2", 1, 500),
        ("c1", 2, 30),
    ]
    assert [point.cost_micros for point in report.points] == [530]


async def test_routing_is_reported_over_time_with_both_errors_apart(insights: Insights) -> None:
    decisions, outcomes = judged_log(200)
    bounced = outcomes[90]
    bounced.ending.CopyFrom(
        pb.Ending(route=routing_pb2.ROUTE_TIER2, tier=routing_pb2.TIER_2, complete=True, bounce_cause="cannot")
    )
    bounced.ending.first_answer_event.FromMilliseconds(800)
    bounced.ending.total.FromMilliseconds(2500)
    decisions[5].decision.reasons[0].rule = "high_scope_takes_aggregate"
    await insights.decide(*decisions)
    await insights.say(*outcomes)
    request = pb.ReportRoutingRequest(selection=selected())
    request.step.FromSeconds(3600)
    report = await insights.stub.ReportRouting(request, metadata=insights.reader(), timeout=10)
    (point,) = report.points
    routes = {each.name: each.rate.value for each in point.routes}
    assert routes == {"tier1": 0.2, "tier2": 0.8}
    assert 0 < point.quality_loss.value < 0.3
    assert 0 < point.cost_inflation.value < 0.6
    assert point.quality_loss.count == 40
    assert point.cost_inflation.count == 160
    assert (point.bounces.value, point.bounces.count) == (1.0, 1)
    assert point.traps_refused == 1
    (latency,) = point.latencies
    assert (latency.name, latency.first_p50.ToMilliseconds(), latency.total_p95.ToMilliseconds()) == (
        "bounced",
        800,
        2500,
    )
