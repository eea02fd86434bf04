"""The RPCs over real gRPC: who may deliver and read, and what a report says of what was delivered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import context_pb2, pill_pb2, routing_pb2, scores_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_insights.servicer import InsightsServicer
from tiermesh_insights.settings import InsightsSettings
from tiermesh_insights.store import Store
from tiermesh_runtime.errors import from_call
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

    def recorder(self, tenant: str = "*") -> Any:
        return signed_metadata(self.keys.signer(), purpose="record", tenant=tenant, subject="gateway", roles=())

    def reader(self, tenant: str = "acme", roles: tuple[str, ...] = ("router_admin",)) -> Any:
        return signed_metadata(self.keys.signer(), tenant=tenant, roles=roles)


@pytest.fixture
async def insights(tmp_path: Path) -> AsyncIterator[Insights]:
    keys = new_keys()
    store = await Store.open(f"sqlite:///{tmp_path / 'insights.sqlite'}")
    settings = InsightsSettings(port=0, principal_public_key=keys.write_public(tmp_path))
    registration = Registration(
        rpc.add_InsightsServiceServicer_to_server, InsightsServicer(store), "tiermesh.insights.v1.InsightsService"
    )
    parts = ServiceParts(name="insights", registrations=[registration], audience="insights")
    async with serving(parts, settings) as server, grpc.aio.insecure_channel(server.address) as channel:
        yield Insights(rpc.InsightsServiceStub(channel), keys, store)
    await store.close()


def decision(number: int, confidence: float | None = 0.9, tenant: str = "acme") -> pb.DecisionRecord:
    record = pb.DecisionRecord(
        decision=routing_pb2.Decision(
            decision_id=f"d{number}",
            route=routing_pb2.ROUTE_TIER1,
            tier=routing_pb2.TIER_1,
            threshold=routing_pb2.Threshold(value=0.8, version="v7"),
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


async def test_cost_adds_up_per_tag_and_tier(insights: Insights) -> None:
    entries = [
        usage_pb2.LedgerEntry(
            entry_id=f"e{number}",
            revision=1,
            tenant="acme",
            tag=tag,
            tier=routing_pb2.Tier.ValueType(tier),
            cost_micros=cost,
            usage=usage_pb2.TokenUsage(input=10, output=5),
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


async def test_what_is_not_built_yet_says_so(insights: Insights) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await insights.stub.ProposeThreshold(
            pb.ProposeThresholdRequest(selection=selected()), metadata=insights.reader(), timeout=5
        )
    assert from_call(refused.value).reason == "NOT_SERVED"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async for _ in insights.stub.WatchPolicies(pb.WatchPoliciesRequest(), metadata=insights.reader(), timeout=5):
            pass
    assert from_call(refused.value).reason == "NOT_SERVED"


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
