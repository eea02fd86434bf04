"""The RPCs: who may call, message → rows → store or report → message. Nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Never, TypeVar

import grpc
from tiermesh.common.v1 import pill_pb2, routing_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime.errors import RpcError
from tiermesh_runtime.principal import current

from tiermesh_insights.confidence import confidence_report
from tiermesh_insights.store import Store, StoreUnavailableError
from tiermesh_insights.translation import (
    cost_summary,
    decision_row,
    outcome_row,
    pill_row,
    rate_message,
    selection,
    usage_row,
)

DEFAULT_BANDS = 10
# Purpose of the service principals that deliver records; ANY_TENANT in one is good for every tenant's records.
RECORD_PURPOSE = "record"
ANY_TENANT = "*"
# What reads reports: a job's purpose or a person's role, each for its own tenant.
REPORT_PURPOSE = "report"
REPORT_ROLE = "router_admin"

T = TypeVar("T")
Context = grpc.aio.ServicerContext[object, object]


class InsightsServicer(rpc.InsightsServiceServicer):
    """tiermesh.insights.v1.InsightsService. Thresholds, audits and erasure answer NOT_SERVED until they are built."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def RecordDecisions(self, request: pb.RecordDecisionsRequest, context: Context) -> pb.RecordDecisionsResponse:
        """Store decisions once by id."""
        require_recorder(record.context.tenant for record in request.decisions)
        rows = [decision_row(record) for record in request.decisions]
        stored = await _stored(self._store.record_decisions(rows))
        return pb.RecordDecisionsResponse(stored=stored.new, already_stored=stored.known)

    async def RecordUsage(self, request: pb.RecordUsageRequest, context: Context) -> pb.RecordUsageResponse:
        """Store ledger entries once by id and revision."""
        require_recorder(entry.tenant for entry in request.entries)
        stored = await _stored(self._store.record_usage([usage_row(entry) for entry in request.entries]))
        return pb.RecordUsageResponse(stored=stored.new, already_stored=stored.known)

    async def RecordOutcomes(self, request: pb.RecordOutcomesRequest, context: Context) -> pb.RecordOutcomesResponse:
        """Store outcomes once by id."""
        require_recorder(outcome.tenant for outcome in request.outcomes)
        stored = await _stored(self._store.record_outcomes([outcome_row(outcome) for outcome in request.outcomes]))
        return pb.RecordOutcomesResponse(stored=stored.new, already_stored=stored.known)

    async def RecordPills(self, request: pb.RecordPillsRequest, context: Context) -> pb.RecordPillsResponse:
        """Store labels of pills once by pill and state."""
        require_recorder(pill.tenant for pill in request.pills)
        stored = await _stored(self._store.record_pills([pill_row(pill) for pill in request.pills]))
        return pb.RecordPillsResponse(stored=stored.new, already_stored=stored.known)

    async def ReportPills(self, request: pb.ReportPillsRequest, context: Context) -> pb.ReportPillsResponse:
        """Count what was shown, clicked and ignored."""
        require_reader(request.selection.tenant)
        lines = await _stored(self._store.pills(selection(request.selection)))
        return pb.ReportPillsResponse(
            rows=[
                pb.ReportPillsResponse.Row(
                    tier=routing_pb2.Tier.ValueType(line.tier),
                    kind=pill_pb2.PillKind.ValueType(line.kind),
                    source=pill_pb2.PillSource.ValueType(line.source),
                    shown=line.shown,
                    clicked=line.clicked,
                    ignored=line.ignored,
                )
                for line in lines
            ]
        )

    async def ReportConfidence(
        self, request: pb.ReportConfidenceRequest, context: Context
    ) -> pb.ReportConfidenceResponse:
        """Compare confidence with outcome."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        report = confidence_report(await _stored(self._store.judged(wanted)), request.bands or DEFAULT_BANDS)
        threshold = await _stored(self._store.last_threshold(wanted.tenant))
        response = pb.ReportConfidenceResponse(
            decisions=report.decisions,
            with_outcome=report.with_outcome,
            expected_calibration_error=report.expected_calibration_error,
            brier=report.brier,
        )
        if threshold is not None:
            response.threshold.CopyFrom(routing_pb2.Threshold(value=threshold[0], version=threshold[1]))
        for band in report.bands:
            response.bands.add(
                low=band.low,
                high=band.high,
                decisions=band.decisions,
                mean_confidence=band.mean_confidence,
                success=rate_message(band.success) if band.success else None,
            )
        return response

    async def ReportCost(self, request: pb.ReportCostRequest, context: Context) -> pb.ReportCostResponse:
        """Add up what was spent."""
        require_reader(request.selection.tenant)
        wanted = selection(request.selection)
        lines = await _stored(self._store.cost(wanted))
        questions = sum((await _stored(self._store.routes(wanted))).values())
        total = cost_summary(lines)
        response = pb.ReportCostResponse(
            total=total,
            questions=questions,
            cost_per_question_micros=total.total_micros / questions if questions else 0.0,
        )
        tiers: dict[int, pb.ReportCostResponse.ByTier] = {}
        for line in lines:
            by_tier = tiers.setdefault(
                line.tier, pb.ReportCostResponse.ByTier(tier=routing_pb2.Tier.ValueType(line.tier))
            )
            by_tier.cost_micros += line.cost_micros
            by_tier.calls += line.calls
        response.tiers.extend(tiers[number] for number in sorted(tiers))
        return response

    async def ReportRouting(self, request: pb.ReportRoutingRequest, context: Context) -> pb.ReportRoutingResponse:
        """Not served yet."""
        _not_served("ReportRouting")

    async def WatchPolicies(
        self, request: pb.WatchPoliciesRequest, context: Context
    ) -> AsyncIterator[pb.WatchPoliciesResponse]:
        """Not served yet."""
        _not_served("WatchPolicies")
        yield pb.WatchPoliciesResponse()  # makes this a stream

    async def ProposeThreshold(
        self, request: pb.ProposeThresholdRequest, context: Context
    ) -> pb.ProposeThresholdResponse:
        """Not served yet."""
        _not_served("ProposeThreshold")

    async def ReplayPolicy(self, request: pb.ReplayPolicyRequest, context: Context) -> pb.ReplayPolicyResponse:
        """Not served yet."""
        _not_served("ReplayPolicy")

    async def ApplyThreshold(self, request: pb.ApplyThresholdRequest, context: Context) -> pb.ApplyThresholdResponse:
        """Not served yet."""
        _not_served("ApplyThreshold")

    async def UndoThreshold(self, request: pb.UndoThresholdRequest, context: Context) -> pb.UndoThresholdResponse:
        """Not served yet."""
        _not_served("UndoThreshold")

    async def RunAudit(self, request: pb.RunAuditRequest, context: Context) -> pb.RunAuditResponse:
        """Not served yet."""
        _not_served("RunAudit")

    async def EraseSubject(self, request: pb.EraseSubjectRequest, context: Context) -> pb.EraseSubjectResponse:
        """Not served yet."""
        _not_served("EraseSubject")


def require_recorder(tenants: Iterable[str]) -> None:
    """Raise RpcError unless the caller may deliver records of these tenants."""
    principal = current()
    if principal.purpose != RECORD_PURPOSE:
        raise _not_allowed(f"records are delivered by service principals of purpose {RECORD_PURPOSE!r}")
    if principal.tenant != ANY_TENANT and any(tenant != principal.tenant for tenant in tenants):
        raise _not_allowed("the principal may deliver the records of its own tenant only")


def require_reader(tenant: str) -> None:
    """Raise RpcError unless the caller may read this tenant's reports."""
    principal = current()
    if principal.tenant != tenant or not (principal.purpose == REPORT_PURPOSE or REPORT_ROLE in principal.roles):
        raise _not_allowed(f"reports are for people of the tenant with the role {REPORT_ROLE!r}")


async def _stored(work: Awaitable[T]) -> T:
    try:
        return await work
    except StoreUnavailableError as error:
        raise RpcError(
            grpc.StatusCode.UNAVAILABLE,
            "DATABASE_UNAVAILABLE",
            "the database cannot be reached; deliver the batch again",
        ) from error


def _not_allowed(message: str) -> RpcError:
    return RpcError(grpc.StatusCode.PERMISSION_DENIED, "NOT_ALLOWED", message)


def _not_served(method: str) -> Never:
    raise RpcError(grpc.StatusCode.UNIMPLEMENTED, "NOT_SERVED", f"{method} is not served by this deployment")
