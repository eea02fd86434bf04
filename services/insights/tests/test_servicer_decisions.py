"""The RPCs about decisions that were taken: explained, replayed, compared by people, erased."""

from __future__ import annotations

import pytest
from tiermesh.common.v1 import routing_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_policy import Inputs, TenantPolicy, scores_from_labels

from .deliveries import decision, judged_log, outcome, pair, selected
from .signed_client import Insights, refusal


async def test_one_decision_is_explained_and_replayed(insights: Insights) -> None:
    await insights.decide(decision(1, 0.85))
    await insights.say(outcome(1, 1.0))
    wanted = pb.GetDecisionRequest(tenant="acme", request_id="r1")
    found = await insights.stub.GetDecision(wanted, metadata=insights.reader(), timeout=10)
    assert found.record.decision.decision_id == "d1"
    assert [each.success for each in found.outcomes] == [1.0]
    replay = pb.ReplayDecisionRequest(tenant="acme", decision_id="d1", threshold=0.9)
    other = await insights.stub.ReplayDecision(replay, metadata=insights.reader(), timeout=10)
    assert (other.route, other.changed) == (routing_pb2.ROUTE_TIER2, True)
    assert other.estimated_cost_micros == 35_000
    assert "0.850 stays below 0.900" in other.detail
    unknown = pb.GetDecisionRequest(tenant="acme", decision_id="d9")
    error = await refusal(insights.stub.GetDecision(unknown, metadata=insights.reader(), timeout=10))
    assert error.reason == "UNKNOWN_REQUEST"
    foreign = pb.GetDecisionRequest(tenant="other", decision_id="d1")
    error = await refusal(insights.stub.GetDecision(foreign, metadata=insights.reader("other"), timeout=10))
    assert error.reason == "UNKNOWN_REQUEST"


async def test_a_decision_is_taken_again_under_other_settings_of_its_policy(insights: Insights) -> None:
    recorded = decision(1, 0.85)
    labels = {"intent": "leave.balance", "cardinality": "one", "temporal": "now", "aggregation": "none"}
    talk = {"position": "opening", "needs_context": False, "ambiguous": False, "multi_step": False}
    recorded.inputs = Inputs(scores_from_labels(labels | talk, confidence=0.85), TenantPolicy()).dump()
    await insights.decide(recorded, decision(2, 0.85))

    async def under(settings: str, decision_id: str = "d1") -> pb.ReplayDecisionResponse:
        request = pb.ReplayDecisionRequest(tenant="acme", decision_id=decision_id, settings=settings)
        return await insights.stub.ReplayDecision(request, metadata=insights.reader(), timeout=10)

    dearer = await under("strategy: {kind: 'off', fixed_tier: 2}")
    assert (dearer.route, dearer.changed) == (routing_pb2.ROUTE_TIER2, True)
    assert dearer.reasons[0].rule
    same = await under("thresholds: {tier1: 0.8}")
    assert (same.route, same.changed, same.applied_threshold) == (routing_pb2.ROUTE_TIER1, False, 0.8)
    for wrong, told in {
        "thresholds: {tier1: 7}": "thresholds.tier1",
        "no_such: 1": "no_such",
        "just words": "name: value",
        "{": "no YAML at line 1",
        "&a [*a": "no YAML",
    }.items():
        error = await refusal(under(wrong))
        assert (error.reason, told in str(error.violations)) == ("INVALID_FIELD", True), (wrong, error.violations)
    error = await refusal(under("failure_policy: cost_first", "d2"))
    assert error.reason == "UNKNOWN_REQUEST"


async def test_a_replay_says_what_another_threshold_would_have_meant(insights: Insights) -> None:
    decisions, outcomes = judged_log(1000)
    await insights.decide(*decisions)
    await insights.say(*outcomes)
    request = pb.ReplayPolicyRequest(selection=selected(), threshold=0.6)
    replayed = await insights.stub.ReplayPolicy(request, metadata=insights.reader(), timeout=10)
    assert (replayed.decisions, replayed.changed) == (1000, 200)
    assert replayed.escalated.value == pytest.approx(0.6)
    assert replayed.escalated_before.value == pytest.approx(0.8)
    assert replayed.cost_change.value_micros == pytest.approx(-200 * 34_400)
    assert replayed.quality_loss.value > replayed.quality_loss_before.value


async def test_two_answers_are_compared_blind_and_told_apart_only_afterwards(insights: Insights) -> None:
    await insights.decide(decision(1))
    request = pb.RecordSamplesRequest(samples=pair(1))
    await insights.stub.RecordSamples(request, metadata=insights.recorder(), timeout=5)
    ask = pb.NextComparisonRequest(tenant="acme")
    shown = await insights.stub.NextComparison(ask, metadata=insights.reader(), timeout=5)
    assert {shown.first.text, shown.second.text} == {"You have 12 days left.", "12 days."}
    word = pb.RecordPreferenceRequest(
        tenant="acme",
        comparison_id=shown.comparison_id,
        preference=pb.RecordPreferenceRequest.PREFERENCE_FIRST,
    )
    told = await insights.stub.RecordPreference(word, metadata=insights.reader(), timeout=5)
    assert {told.first, told.second} == {routing_pb2.TIER_1, routing_pb2.TIER_2}
    assert told.first == (routing_pb2.TIER_1 if shown.first.text == "12 days." else routing_pb2.TIER_2)
    error = await refusal(insights.stub.NextComparison(ask, metadata=insights.reader(), timeout=5))
    assert error.reason == "UNKNOWN_REQUEST"
    quality = await insights.stub.ReportQuality(
        pb.ReportQualityRequest(selection=selected()), metadata=insights.reader(), timeout=5
    )
    assert quality.dearer_preferred.count == 1
    assert quality.dearer_preferred.value == float(told.first == routing_pb2.TIER_2)
    assert not quality.judge.trusted


async def test_without_a_judge_there_is_no_audit(insights: Insights) -> None:
    request = pb.RunAuditRequest(selection=selected(), sample=10)
    error = await refusal(insights.stub.RunAudit(request, metadata=insights.reader(), timeout=5))
    assert error.reason == "NOT_SERVED"
    assert "TIERMESH_INSIGHTS_EXECUTOR_ADDRESS" in error.message


async def test_erasing_is_for_admins_and_for_the_job(insights: Insights) -> None:
    record = decision(1)
    record.subject_hash = "abc"
    await insights.decide(record)
    request = pb.EraseSubjectRequest(tenant="acme", subject_hash="abc")
    error = await refusal(insights.stub.EraseSubject(request, metadata=insights.recorder(), timeout=5))
    assert error.reason == "NOT_ALLOWED"
    done = await insights.stub.EraseSubject(request, metadata=insights.reader(), timeout=5)
    assert done.records == 1
    wanted = pb.GetDecisionRequest(tenant="acme", decision_id="d1")
    found = await insights.stub.GetDecision(wanted, metadata=insights.reader(), timeout=5)
    assert found.record.subject_hash == ""
