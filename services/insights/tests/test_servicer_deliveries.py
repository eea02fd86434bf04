"""The RPCs that take records in: who may deliver, what is counted once, what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from tiermesh.common.v1 import pill_pb2, routing_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh_insights.metrics import Metrics
from tiermesh_runtime.errors import from_call

from .deliveries import NOW, decision, outcome, selected
from .signed_client import Insights, refusal


async def test_a_batch_that_comes_again_is_counted_as_known(insights: Insights) -> None:
    request = pb.RecordDecisionsRequest(decisions=[decision(1)])
    await insights.stub.RecordDecisions(request, metadata=insights.recorder(), timeout=5)
    again = await insights.stub.RecordDecisions(request, metadata=insights.recorder(), timeout=5)
    assert (again.stored, again.already_stored) == (0, 1)


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
