"""The RPCs over real gRPC: who may deliver and read, and what a report says of what was delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import context_pb2, pill_pb2, routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_insights.analysis import Analysis
from tiermesh_insights.board import PolicyBoard
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.servicer import InsightsServicer
from tiermesh_insights.settings import InsightsSettings, TenantTuning, Tuning
from tiermesh_insights.store import Store
from tiermesh_policy import Inputs, TenantPolicy, scores_from_labels
from tiermesh_runtime.errors import RpcError, from_call
from tiermesh_runtime.server import Registration, ServiceParts, serving
from tiermesh_runtime.testing import Keys, new_keys, signed_metadata

NOW = Timestamp()
NOW.FromDatetime(datetime(2026, 11, 20, 12, tzinfo=UTC))


@dataclass
class Insights:
    """The service under test and a signer for its callers."""

    stub: Any
    keys: Keys
    store: Store
    board: PolicyBoard

    def recorder(self, tenant: str = "*") -> Any:
        return signed_metadata(self.keys.signer(), purpose="record", tenant=tenant, subject="gateway", roles=())

    def reader(self, tenant: str = "acme", roles: tuple[str, ...] = ("router_admin",), **claims: Any) -> Any:
        return signed_metadata(self.keys.signer(), tenant=tenant, roles=roles, **claims)

    async def decide(self, *records: pb.DecisionRecord) -> None:
        request = pb.RecordDecisionsRequest(decisions=records)
        await self.stub.RecordDecisions(request, metadata=self.recorder(), timeout=10)

    async def say(self, *outcomes: pb.Outcome) -> None:
        request = pb.RecordOutcomesRequest(outcomes=outcomes)
        await self.stub.RecordOutcomes(request, metadata=self.recorder(), timeout=10)


TUNING = Tuning(tenants={"acme": TenantTuning(minimum_sample=200, max_quality_loss=0.15, largest_step=0.1)})


@pytest.fixture
async def insights(tmp_path: Path) -> AsyncIterator[Insights]:
    keys = new_keys()
    store = await Store.open(f"sqlite:///{tmp_path / 'insights.sqlite'}")
    settings = InsightsSettings(port=0, principal_public_key=keys.write_public(tmp_path))
    board = PolicyBoard(store)
    servicer = InsightsServicer(store, Analysis(store, TUNING), board, Metrics())
    registration = Registration(
        rpc.add_InsightsServiceServicer_to_server, servicer, "tiermesh.insights.v1.InsightsService"
    )
    parts = ServiceParts(name="insights", registrations=[registration], audience="insights")
    async with serving(parts, settings) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield Insights(rpc.InsightsServiceStub(channel), keys, store, board)
    await store.close()


def decision(number: int, confidence: float | None = 0.9, tenant: str = "acme") -> pb.DecisionRecord:
    record = pb.DecisionRecord(
        decision=routing_pb2.Decision(
            decision_id=f"d{number}",
            route=routing_pb2.ROUTE_TIER1,
            tier=routing_pb2.TIER_1,
            threshold=routing_pb2.Threshold(value=0.8, version="v7"),
            reasons=[routing_pb2.DecisionReason(rule="confidence_reaches_the_threshold")],
            estimated_cost_micros=600,
            otherwise=routing_pb2.Alternative(route=routing_pb2.ROUTE_TIER2, estimated_cost_micros=35_000),
        ),
        context=context_pb2.RequestContext(request_id=f"r{number}", tenant=tenant, pack_version="hr@1.0.0"),
        decided_at=NOW,
    )
    if confidence is not None:
        scores = scores_pb2.Scores(
            intent=scores_pb2.AxisScore(label="leave.balance", stage=scores_pb2.STAGE_TRAINED),
            confidence=scores_pb2.Confidence(value=confidence),
        )
        record.decision.scores.CopyFrom(scores)
    return record


def outcome(number: int, success: float) -> pb.Outcome:
    return pb.Outcome(
        outcome_id=f"o{number}",
        decision_id=f"d{number}",
        tenant="acme",
        source=pb.Outcome.SOURCE_THUMB,
        success=success,
        weight=1,
        at=NOW,
    )


def selected(tenant: str = "acme") -> pb.Selection:
    return pb.Selection(tenant=tenant)


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


async def test_a_batch_that_comes_again_is_counted_as_known(insights: Insights) -> None:
    request = pb.RecordDecisionsRequest(decisions=[decision(1)])
    await insights.stub.RecordDecisions(request, metadata=insights.recorder(), timeout=5)
    again = await insights.stub.RecordDecisions(request, metadata=insights.recorder(), timeout=5)
    assert (again.stored, again.already_stored) == (0, 1)


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


async def test_people_deliver_no_records(insights: Insights) -> None:
    request = pb.RecordDecisionsRequest(decisions=[decision(1)])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.RecordDecisions(request, metadata=insights.reader(), timeout=5)
    assert from_call(refused.value).reason == "NOT_ALLOWED"


async def test_a_tenant_s_recorder_delivers_its_own_records_only(insights: Insights) -> None:
    request = pb.RecordDecisionsRequest(decisions=[decision(1), decision(2, tenant="other")])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.RecordDecisions(request, metadata=insights.recorder("acme"), timeout=5)
    assert from_call(refused.value).reason == "NOT_ALLOWED"


@pytest.mark.parametrize(("tenant", "roles"), [("other", ("router_admin",)), ("acme", ("employee",))])
async def test_reports_are_for_admins_of_the_tenant(insights: Insights, tenant: str, roles: tuple[str, ...]) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.ReportConfidence(
            pb.ReportConfidenceRequest(selection=selected()), metadata=insights.reader(tenant, roles), timeout=5
        )
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_a_broken_database_is_unavailable_and_says_to_deliver_again(insights: Insights, tmp_path: Path) -> None:
    await insights.store.close()  # so that the next call opens the file anew
    (tmp_path / "insights.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.RecordDecisions(
            pb.RecordDecisionsRequest(decisions=[decision(1)]), metadata=insights.recorder(), timeout=5
        )
    error = from_call(refused.value)
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")
    assert "sqlite" not in error.message


async def refusal(call: Any) -> RpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return from_call(refused.value)


def judged_log(count: int, threshold: float = 0.8) -> tuple[list[pb.DecisionRecord], list[pb.Outcome]]:
    """An honest confidence: of the turns at c, c of 1 are right. Below the threshold tier 1 ran in the shadow."""
    decisions, outcomes = [], []
    for number in range(count):
        confidence = (number % 100) / 100
        record = decision(number, confidence)
        record.base_threshold = threshold
        record.decision.threshold.value = threshold
        up = confidence < threshold
        if up:
            record.decision.route, record.decision.tier = routing_pb2.ROUTE_TIER2, routing_pb2.TIER_2
            record.decision.reasons[0].rule = "doubt_escalates"
            record.decision.estimated_cost_micros = 35_000
            record.decision.otherwise.estimated_cost_micros = 600
        said = outcome(number, float((number * 7919 % 101) / 101 < confidence))
        said.source = pb.Outcome.SOURCE_SHADOW if up else pb.Outcome.SOURCE_THUMB
        decisions.append(record)
        outcomes.append(said)
    return decisions, outcomes


async def propose(insights: Insights, **fields: Any) -> pb.ThresholdProposal:
    request = pb.ProposeThresholdRequest(selection=selected(), **fields)
    response = await insights.stub.ProposeThreshold(request, metadata=insights.reader(), timeout=20)
    return response.proposal


async def described(insights: Insights) -> pb.ReportThresholdResponse:
    request = pb.ReportThresholdRequest(selection=selected())
    return await insights.stub.ReportThreshold(request, metadata=insights.reader(), timeout=20)


async def test_too_little_data_means_no_proposal(insights: Insights) -> None:
    decisions, outcomes = judged_log(3)
    await insights.decide(*decisions)
    await insights.say(*outcomes)
    request = pb.ProposeThresholdRequest(selection=selected())
    error = await refusal(insights.stub.ProposeThreshold(request, metadata=insights.reader(), timeout=10))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "SAMPLE_TOO_SMALL")
    assert "needs 200" in error.message
    report = await described(insights)
    assert (report.current.threshold, report.current.applied, report.sample) == (0.8, False, 3)


async def test_the_dearest_wrong_answer_can_be_weighed_and_a_dearer_one_is_refused(insights: Insights) -> None:
    decisions, outcomes = judged_log(300)
    await insights.decide(*decisions)
    await insights.say(*outcomes)
    request = pb.ReportThresholdRequest(selection=selected(), quality_weight_micros=10**12)
    report = await insights.stub.ReportThreshold(request, metadata=insights.reader(), timeout=20)
    assert report.quality_weight_micros == 10**12
    assert report.curve
    request.quality_weight_micros += 1
    error = await refusal(insights.stub.ReportThreshold(request, metadata=insights.reader(), timeout=20))
    assert error.code is grpc.StatusCode.INVALID_ARGUMENT
    assert "quality_weight_micros" in error.message


async def test_a_threshold_is_proposed_applied_watched_and_undone(insights: Insights) -> None:
    decisions, outcomes = judged_log(1000)
    await insights.decide(*decisions)
    await insights.say(*outcomes)
    proposal = await propose(insights)
    assert proposal.current == 0.8
    assert proposal.proposed == pytest.approx(0.7)  # a step of 0.1 on the way to the optimum
    assert proposal.step_bounded
    assert proposal.optimum < 0.7
    assert proposal.quality_loss.high <= 0.15
    assert proposal.saving.low_micros > 0
    assert "n = 1000" in proposal.evidence
    assert "α = 0.05" in proposal.evidence

    watching = insights.stub.WatchPolicies(pb.WatchPoliciesRequest(), metadata=insights.recorder(), timeout=20)
    apply = pb.ApplyThresholdRequest(tenant="acme", proposal_id=proposal.proposal_id)
    applied = (await insights.stub.ApplyThreshold(apply, metadata=insights.reader(), timeout=10)).policy
    assert (applied.threshold, applied.applied, applied.set_by) == (proposal.proposed, True, "E00001")
    again = (await insights.stub.ApplyThreshold(apply, metadata=insights.reader(), timeout=10)).policy
    assert again == applied
    assert (await watching.read()).policy == applied

    undo = pb.UndoThresholdRequest(tenant="acme", version=applied.version)
    undone = (await insights.stub.UndoThreshold(undo, metadata=insights.reader(), timeout=10)).policy
    assert (undone.threshold, undone.applied, undone.undoes) == (0.8, False, applied.version)
    assert (await insights.stub.UndoThreshold(undo, metadata=insights.reader(), timeout=10)).policy == undone
    assert (await watching.read()).policy == undone
    watching.cancel()

    report = await described(insights)
    assert [version.version for version in report.versions] == [undone.version, applied.version]
    assert [each.state for each in report.proposals] == [pb.ThresholdProposal.STATE_UNDONE]
    assert len(report.curve) == 201


async def test_a_proposal_that_the_threshold_has_left_behind_is_not_applied(insights: Insights) -> None:
    decisions, outcomes = judged_log(1000)
    await insights.decide(*decisions)
    await insights.say(*outcomes)
    first, second = await propose(insights), await propose(insights, wanted=0.75)
    assert second.proposed == pytest.approx(0.75)
    apply = pb.ApplyThresholdRequest(tenant="acme", proposal_id=first.proposal_id)
    await insights.stub.ApplyThreshold(apply, metadata=insights.reader(), timeout=10)
    late = pb.ApplyThresholdRequest(tenant="acme", proposal_id=second.proposal_id)
    error = await refusal(insights.stub.ApplyThreshold(late, metadata=insights.reader(), timeout=10))
    assert (error.code, error.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID")
    states = {each.proposal_id: each.state for each in (await described(insights)).proposals}
    assert states[second.proposal_id] == pb.ThresholdProposal.STATE_OUTDATED


async def test_a_threshold_moves_by_a_persons_word_alone_unless_the_tenant_lets_the_job(insights: Insights) -> None:
    apply = pb.ApplyThresholdRequest(tenant="acme", proposal_id="p1")
    for metadata in (
        insights.recorder("acme"),
        insights.reader(roles=("employee",)),
        insights.reader("other"),
        insights.reader(roles=(), purpose="tune"),
    ):
        error = await refusal(insights.stub.ApplyThreshold(apply, metadata=metadata, timeout=10))
        assert error.reason == "NOT_ALLOWED"
    error = await refusal(insights.stub.ApplyThreshold(apply, metadata=insights.reader(), timeout=10))
    assert (error.code, error.reason) == (grpc.StatusCode.NOT_FOUND, "UNKNOWN_PROPOSAL")


async def test_a_stream_of_policies_ends_in_good_order_before_its_deadline(insights: Insights) -> None:
    watching = insights.stub.WatchPolicies(pb.WatchPoliciesRequest(), metadata=insights.recorder(), timeout=1.5)
    assert [policy async for policy in watching] == []
    assert await watching.code() is grpc.StatusCode.OK


async def test_one_tenant_does_not_watch_anothers_policies(insights: Insights) -> None:
    wanted = pb.WatchPoliciesRequest(tenants=["other"])
    error = await refusal(insights.stub.WatchPolicies(wanted, metadata=insights.reader(), timeout=5).read())
    assert error.reason == "NOT_ALLOWED"


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


@pytest.mark.parametrize(
    ("field", "broken"),
    [("decided_at", "decision"), ("at", "outcome")],
)
async def test_a_moment_on_no_calendar_is_refused_by_its_field(insights: Insights, field: str, broken: str) -> None:
    record, said = decision(1), outcome(1, 1.0)
    record.decided_at.seconds = said.at.seconds = 10**15
    call = (
        insights.stub.RecordDecisions(
            pb.RecordDecisionsRequest(decisions=[record]), metadata=insights.recorder(), timeout=5
        )
        if broken == "decision"
        else insights.stub.RecordOutcomes(
            pb.RecordOutcomesRequest(outcomes=[said]), metadata=insights.recorder(), timeout=5
        )
    )
    error = await refusal(call)
    assert (error.code, error.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert field in error.message


async def test_an_unknown_axis_is_refused_with_those_that_there_are(insights: Insights) -> None:
    request = pb.ReportConfidenceRequest(selection=selected(), axis="mood")
    error = await refusal(insights.stub.ReportConfidence(request, metadata=insights.reader(), timeout=5))
    assert (error.reason, "cardinality" in error.message) == ("INVALID_FIELD", True)


async def test_an_axis_has_a_confidence_report_of_its_own(insights: Insights) -> None:
    record = decision(1)
    record.decision.scores.scope.cardinality.CopyFrom(scores_pb2.AxisScore(label="one", probability=0.35))
    await insights.decide(record)
    await insights.say(outcome(1, 1.0))
    request = pb.ReportConfidenceRequest(selection=selected(), axis="cardinality")
    report = await insights.stub.ReportConfidence(request, metadata=insights.reader(), timeout=5)
    assert [band.decisions for band in report.bands] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


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


def pair(number: int) -> list[pb.Sample]:
    served = pb.Sample(
        sample_id=f"s{number}",
        decision_id=f"d{number}",
        tenant="acme",
        at=NOW,
        kind=pb.Sample.KIND_SERVED,
        question="How many days do I have left?",
        answer="You have 12 days left.",
        route=routing_pb2.ROUTE_TIER2,
        tier=routing_pb2.TIER_2,
        tag="answer-complex",
    )
    shadow = pb.Sample()
    shadow.CopyFrom(served)
    shadow.sample_id, shadow.kind, shadow.tier = f"s{number}-shadow", pb.Sample.KIND_SHADOW, routing_pb2.TIER_1
    shadow.answer = "12 days."
    return [served, shadow]


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


async def test_pills_are_delivered_by_recorders_and_counted_for_readers(insights: Insights) -> None:
    await insights.stub.RecordDecisions(
        pb.RecordDecisionsRequest(decisions=[decision(1)]), metadata=insights.recorder()
    )
    shown = pb.PillRecord(
        pill_id="p1",
        tenant="acme",
        state=pb.PillRecord.STATE_SHOWN,
        decision_id="d1",
        at=NOW,
        kind=pill_pb2.PILL_KIND_COMPARE,
        source=pill_pb2.PILL_SOURCE_MODEL,
        tier=routing_pb2.TIER_2,
    )
    clicked = pb.PillRecord(pill_id="p1", tenant="acme", state=pb.PillRecord.STATE_CLICKED, at=NOW)
    request = pb.RecordPillsRequest(pills=[shown, clicked])
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.RecordPills(request, metadata=insights.reader())
    assert from_call(refused.value).reason == "NOT_ALLOWED"
    assert (await insights.stub.RecordPills(request, metadata=insights.recorder())).stored == 2
    selection = pb.Selection(tenant="acme")
    report = await insights.stub.ReportPills(pb.ReportPillsRequest(selection=selection), metadata=insights.reader())
    (row,) = report.rows
    assert (row.tier, row.kind, row.source) == (routing_pb2.TIER_2, shown.kind, shown.source)
    assert (row.shown, row.clicked, row.ignored) == (1, 1, 0)


async def test_a_word_from_the_future_is_stored_once_counted_and_a_far_one_moves_nothing(
    insights: Insights, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead: list[int] = []
    monkeypatch.setattr(Metrics, "from_the_future", lambda _self, count: ahead.append(count))
    await insights.decide(decision(1), decision(2))
    now = await insights.store.now()
    near, far = outcome(1, 0.0), outcome(2, 0.0)
    near.at.FromDatetime(datetime.fromtimestamp(NOW.seconds, UTC) + timedelta(days=1))
    far.at.FromDatetime(now + timedelta(days=365))
    for _ in range(2):
        await insights.say(near, far)
    # The first is in the past of this machine's clock by now; the second will be for a year.
    assert ahead == [1 + (near.at.ToDatetime(UTC) > now + timedelta(minutes=5))] * 2
    request = pb.ReportConfidenceRequest(selection=selected())
    report = await insights.stub.ReportConfidence(request, metadata=insights.reader(), timeout=5)
    assert (report.decisions, report.with_outcome) == (2, 1)
