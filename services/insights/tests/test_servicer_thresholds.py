"""The RPCs that move a threshold: proposed on evidence, applied by a person, watched, undone."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from tiermesh.insights.v1 import insights_service_pb2 as pb

from .deliveries import judged_log, selected
from .signed_client import Insights, refusal


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
