"""The RPCs around a threshold: what it means, proposing, replaying, applying, undoing, following."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import grpc
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime import deadlines
from tiermesh_runtime.errors import RpcError, invalid_field

from tiermesh_insights import responses
from tiermesh_insights.access import (
    Context,
    require_chooser,
    require_reader,
    sample_too_small,
    stored,
    watched_tenants,
)
from tiermesh_insights.analysis import Analysis
from tiermesh_insights.board import PolicyBoard
from tiermesh_insights.evidence import Case
from tiermesh_insights.proposing import Proposal, make_proposal
from tiermesh_insights.records import PolicyRow, ProposalRow
from tiermesh_insights.replaying import replay
from tiermesh_insights.store import Store
from tiermesh_insights.store.policies import OutdatedError, UnknownError
from tiermesh_insights.thresholds import (
    SampleTooSmallError,
    Terms,
    curve,
    escalation_rate,
    inflation_rate,
    loss_rate,
    sample_of,
)
from tiermesh_insights.translation import selection

# A stream of policies ends in good order this long before its deadline; the follower opens the next.
_RESERVE_SECONDS = 1.0
_State = pb.ThresholdProposal.State


class Thresholds(rpc.InsightsServiceServicer):
    """Thresholds as they are watched, proposed and set."""

    _store: Store
    _analysis: Analysis
    _board: PolicyBoard

    async def WatchPolicies(
        self, request: pb.WatchPoliciesRequest, context: Context
    ) -> AsyncIterator[pb.WatchPoliciesResponse]:
        """Stream the versions in force, then each change."""
        tenants = watched_tenants(request.tenants)
        await stored(self._board.look())
        left = deadlines.remaining() or 0.0
        async for row in self._board.changes(tenants, max(0.0, left - _RESERVE_SECONDS)):
            yield pb.WatchPoliciesResponse(policy=responses.policy_message(row))

    async def ReportThreshold(self, request: pb.ReportThresholdRequest, context: Context) -> pb.ReportThresholdResponse:
        """Everything about one tenant's threshold."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        tuning = self._analysis.tenant(wanted.tenant)
        terms = self._terms(wanted.tenant, request.quality_weight_micros, request.max_quality_loss, request.alpha)
        found = await stored(self._analysis.cases(wanted, to_move_thresholds=True))
        in_force = await stored(self._analysis.in_force(wanted.tenant))
        proposals = await stored(self._store.policies.proposals(wanted.tenant))
        versions = await stored(self._store.policies.versions(wanted.tenant))
        drifts = await stored(self._analysis.drift(wanted))
        return pb.ReportThresholdResponse(
            current=responses.policy_message(in_force),
            default_threshold=tuning.default_threshold,
            sample=sum(case.turn.by_confidence and case.labelled for case in found),
            minimum_sample=terms.minimum_sample,
            curve=_curve(found, terms),
            proposals=[_recalled(row, in_force, versions) for row in proposals],
            versions=[responses.policy_message(row) for row in versions],
            alerts=[responses.drift_message(each) for each in drifts if each.flagged],
            quality_weight_micros=terms.quality_weight_micros,
            max_quality_loss=terms.max_quality_loss,
            alpha=terms.alpha,
            largest_step=terms.largest_step,
        )

    async def ProposeThreshold(
        self, request: pb.ProposeThresholdRequest, context: Context
    ) -> pb.ProposeThresholdResponse:
        """Propose a threshold from the log; one that would change nothing is told and not kept."""
        caller = require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        if wanted.family:
            raise invalid_field("selection.intent_family", "leave it out: a threshold is the tenant's, not a family's")
        terms = self._terms(wanted.tenant, request.quality_weight_micros, request.max_quality_loss, request.alpha)
        found = await stored(self._analysis.cases(wanted, to_move_thresholds=True))
        in_force = await stored(self._analysis.in_force(wanted.tenant))
        wish = request.wanted if request.HasField("wanted") else None
        try:
            proposal = make_proposal(found, terms, in_force.threshold, wish)
        except SampleTooSmallError as error:
            raise sample_too_small(str(error)) from error
        message = _proposal_message(proposal, wanted.tenant)
        if proposal.moves:
            at = await stored(self._store.now())
            message.proposal_id = uuid4().hex
            message.proposed_at.CopyFrom(responses.timestamp(at))
            message.proposed_by = caller.subject
            message.state = _State.STATE_OPEN
            row = ProposalRow(
                message.proposal_id,
                wanted.tenant,
                at,
                proposal.current,
                proposal.proposed.threshold,
                in_force.version,
                "",
                message.SerializeToString(),
            )
            await stored(self._store.policies.store_proposal(row))
        return pb.ProposeThresholdResponse(proposal=message)

    async def ReplayPolicy(self, request: pb.ReplayPolicyRequest, context: Context) -> pb.ReplayPolicyResponse:
        """Replay the log under another threshold."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        found = await stored(self._analysis.cases(wanted))
        in_force = await stored(self._analysis.in_force(wanted.tenant))
        return responses.replay_message(replay(found, request.threshold, in_force.threshold))

    async def ApplyThreshold(self, request: pb.ApplyThresholdRequest, context: Context) -> pb.ApplyThresholdResponse:
        """Put a proposal in force, by a person's word."""
        caller = require_chooser(request.tenant, job_allowed=self._analysis.tenant(request.tenant).tuned_by_job)
        at = await stored(self._store.now())
        try:
            row = await stored(
                self._store.policies.apply(request.tenant, request.proposal_id, by=caller.subject, at=at)
            )
        except UnknownError as error:
            raise _unknown("the tenant has no such proposal") from error
        except OutdatedError as error:
            raise _outdated(f"the threshold has moved since it was proposed ({error}); propose anew") from error
        await stored(self._board.look())
        return pb.ApplyThresholdResponse(policy=responses.policy_message(row))

    async def UndoThreshold(self, request: pb.UndoThresholdRequest, context: Context) -> pb.UndoThresholdResponse:
        """Go back to the version before."""
        caller = require_chooser(request.tenant, job_allowed=self._analysis.tenant(request.tenant).tuned_by_job)
        at = await stored(self._store.now())
        try:
            row = await stored(self._store.policies.undo(request.tenant, request.version, by=caller.subject, at=at))
        except UnknownError as error:
            raise _unknown("the tenant has no such version") from error
        except OutdatedError as error:
            raise _outdated(f"another version is in force: {error}") from error
        await stored(self._board.look())
        return pb.UndoThresholdResponse(policy=responses.policy_message(row))

    def _terms(self, tenant: str, weight: int, loss: float, alpha: float) -> Terms:
        return self._analysis.tenant(tenant).terms(weight=weight, loss=loss, alpha=alpha)


def _curve(found: list[Case], terms: Terms) -> list[pb.CurvePoint]:
    sample = sample_of(found)
    if len(sample.labelled) == 0:
        return []
    return [
        responses.curve_point(
            point,
            escalation_rate(sample, point.threshold),
            loss_rate(sample, point.threshold),
            inflation_rate(sample, point.threshold),
        )
        for point in curve(sample, terms)
    ]


def _proposal_message(proposal: Proposal, tenant: str) -> pb.ThresholdProposal:
    proposed, terms = proposal.proposed, proposal.terms
    loss = proposal.quality_loss
    return pb.ThresholdProposal(
        tenant=tenant,
        current=proposal.current,
        proposed=proposed.threshold,
        sample=proposal.sample,
        quality_loss=pb.Rate(value=loss.value, low=loss.low, high=proposal.loss_bound, count=loss.count),
        escalated=responses.rate_message(proposal.escalated),
        expected_saving_micros=round(proposal.saving.value * responses.PER_QUESTIONS),
        saving=responses.estimate_message(proposal.saving, responses.PER_QUESTIONS),
        evidence=proposal.evidence,
        max_quality_loss=terms.max_quality_loss,
        alpha=terms.alpha,
        quality_weight_micros=terms.quality_weight_micros,
        optimum=proposed.optimum,
        step_bounded=proposed.step_bounded,
        current_quality_loss=responses.rate_message(proposal.current_quality_loss),
        current_escalated=responses.rate_message(proposal.current_escalated),
    )


def _recalled(row: ProposalRow, in_force: PolicyRow, versions: list[PolicyRow]) -> pb.ThresholdProposal:
    """Read a proposal back with the state that it has now."""
    message = pb.ThresholdProposal.FromString(row.record)
    message.version = row.version
    if row.version:
        undone = any(version.undoes == row.version for version in versions)
        message.state = _State.STATE_UNDONE if undone else _State.STATE_APPLIED
    elif row.based_on != in_force.version:
        message.state = _State.STATE_OUTDATED
    return message


def _unknown(message: str) -> RpcError:
    return RpcError(grpc.StatusCode.NOT_FOUND, "UNKNOWN_PROPOSAL", message)


def _outdated(message: str) -> RpcError:
    return RpcError(grpc.StatusCode.FAILED_PRECONDITION, "PROPOSAL_INVALID", message)
