"""Insights with fixed figures and a threshold that can be moved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from tiermesh.common.v1 import routing_pb2, usage_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb
from tiermesh.insights.v1 import insights_service_pb2_grpc as rpc
from tiermesh_runtime import principal
from tiermesh_runtime.errors import RpcError

from .routing_messages import make_decision, refusal


def rate(value: float, count: int = 400) -> pb.Rate:
    return pb.Rate(value=value, low=max(value - 0.03, 0), high=min(value + 0.03, 1), count=count)


def make_proposal(proposal_id: str, proposed: float, evidence: str = "Because of **400** outcomes.") -> Any:
    proposal = pb.ThresholdProposal(
        proposal_id=proposal_id,
        tenant="acme",
        current=0.6,
        proposed=proposed,
        sample=400,
        quality_loss=rate(0.02),
        escalated=rate(0.3),
        evidence=evidence,
        state=pb.ThresholdProposal.STATE_OPEN,
        proposed_by="E00010",
        alpha=0.05,
        max_quality_loss=0.05,
    )
    proposal.proposed_at.GetCurrentTime()
    return proposal


@dataclass
class FakeInsights(rpc.InsightsServiceServicer):
    """Holds what was set; reports fixed figures of a tenant that is sure above 0.5."""

    empty: bool = False
    refuse: dict[str, RpcError] = field(default_factory=dict)
    calls: list[tuple[str, Any, principal.Principal]] = field(default_factory=list)
    proposals: list[Any] = field(default_factory=list)
    versions: list[Any] = field(default_factory=list)
    evidence: str = "Because of **400** outcomes."
    pair: pb.NextComparisonResponse | None = None
    families: list[str] = field(default_factory=lambda: ["leave", "payroll"])

    def _enter(self, method: str, request: Any) -> None:
        who = principal.current()
        self.calls.append((method, request, who))
        tenant = request.tenant if "tenant" in request.DESCRIPTOR.fields_by_name else request.selection.tenant
        if tenant != who.tenant or "router_admin" not in who.roles:
            raise refusal("PERMISSION_DENIED", "NOT_ALLOWED", "Reports are for people with the role router_admin.")
        if method in self.refuse:
            raise self.refuse[method]

    def requests(self, method: str) -> list[Any]:
        return [request for name, request, _ in self.calls if name == method]

    @property
    def current(self) -> Any:
        return self.versions[0] if self.versions else pb.PolicySnapshot(tenant="acme", threshold=0.6, version="default")

    def _set(self, threshold: float, **more: Any) -> Any:
        snapshot = pb.PolicySnapshot(
            tenant="acme",
            threshold=threshold,
            version=f"v{len(self.versions) + 2}",
            set_by="E00010",
            applied=True,
            **more,
        )
        snapshot.set_at.GetCurrentTime()
        self.versions.insert(0, snapshot)
        return snapshot

    async def ReportThreshold(self, request: Any, context: Any) -> pb.ReportThresholdResponse:
        self._enter("ReportThreshold", request)
        response = pb.ReportThresholdResponse(
            current=self.current,
            default_threshold=0.6,
            sample=0 if self.empty else 400,
            minimum_sample=200,
            proposals=self.proposals,
            versions=self.versions,
            quality_weight_micros=request.quality_weight_micros or 250_000,
            max_quality_loss=request.max_quality_loss or 0.05,
            alpha=request.alpha or 0.05,
            largest_step=0.1,
        )
        for step in range(0 if self.empty else 51):
            value = step / 50
            loss = 0.16 * (1 - value) ** 2
            cost = int(2_000_000 + 16_000_000 * value**1.5)
            response.curve.add(
                threshold=value,
                escalated=rate(value**1.5),
                quality_loss=rate(loss),
                cost_micros=cost,
                weighed_cost_micros=cost + int(loss * 250_000_000),
                allowed=loss + 0.03 <= response.max_quality_loss,
            )
        return response

    async def ReportConfidence(self, request: Any, context: Any) -> pb.ReportConfidenceResponse:
        self._enter("ReportConfidence", request)
        response = pb.ReportConfidenceResponse(decisions=0 if self.empty else 1000, with_outcome=400, brier=0.11)
        for step in range(0 if self.empty else 20):
            middle = step / 20 + 0.025
            response.bands.add(
                low=step / 20,
                high=(step + 1) / 20,
                decisions=int(10 + 900 * middle**4),
                mean_confidence=middle,
                success=rate(middle, 20 + step),
            )
        response.intent_families.extend(self.families)
        return response

    async def ProposeThreshold(self, request: Any, context: Any) -> pb.ProposeThresholdResponse:
        self._enter("ProposeThreshold", request)
        if request.selection.intent_family:
            raise refusal("INVALID_ARGUMENT", "INVALID_FIELD", "a threshold is the tenant's")
        wanted = request.wanted if request.HasField("wanted") else 0.7
        if wanted == pytest.approx(self.current.threshold):
            stays = make_proposal("", wanted, "**Stay.**")
            return pb.ProposeThresholdResponse(proposal=stays)
        proposal = make_proposal(f"p{len(self.proposals) + 1}", wanted, self.evidence)
        self.proposals.insert(0, proposal)
        return pb.ProposeThresholdResponse(proposal=proposal)

    async def ApplyThreshold(self, request: Any, context: Any) -> pb.ApplyThresholdResponse:
        self._enter("ApplyThreshold", request)
        for proposal in self.proposals:
            if proposal.proposal_id == request.proposal_id:
                proposal.state = pb.ThresholdProposal.STATE_APPLIED
                return pb.ApplyThresholdResponse(policy=self._set(proposal.proposed, proposal_id=proposal.proposal_id))
        raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "There is no such proposal.")

    async def UndoThreshold(self, request: Any, context: Any) -> pb.UndoThresholdResponse:
        self._enter("UndoThreshold", request)
        before = self.versions[1].threshold if len(self.versions) > 1 else 0.6
        return pb.UndoThresholdResponse(policy=self._set(before, undoes=request.version))

    async def ReportRouting(self, request: Any, context: Any) -> pb.ReportRoutingResponse:
        self._enter("ReportRouting", request)
        response = pb.ReportRoutingResponse()
        share = pb.ReportRoutingResponse.Share
        for step in range(0 if self.empty else (12 if request.HasField("step") else 1)):
            point = response.points.add(decisions=100, traps_refused=7)
            point.start.seconds = 1_790_000_000 + step * 86_400
            for kind, shares in (
                ("routes", {"tier1": 0.55, "aggregate": 0.33, "tier2": 0.12}),
                ("tiers", {"tier1": 0.86, "tier2": 0.14}),
                ("stages", {"rule": 0.4, "trained": 0.55, "llm": 0.05}),
                ("rules", {"high_scope_takes_aggregate": 0.33}),
                ("position_success", {"opening": 0.95, "follow_up": 0.9}),
            ):
                getattr(point, kind).extend(share(name=name, rate=rate(value)) for name, value in shares.items())
            point.escalated.CopyFrom(rate(0.12 + step / 100))
            point.bounces.CopyFrom(rate(0.03))
            point.quality_loss.CopyFrom(rate(0.02))
            latency = point.latencies.add(name="tier1", count=55)
            latency.first_p50.FromMilliseconds(310)
            latency.total_p95.FromMilliseconds(2400)
        return response

    async def ReportCost(self, request: Any, context: Any) -> pb.ReportCostResponse:
        self._enter("ReportCost", request)
        if self.empty:
            return pb.ReportCostResponse()
        response = pb.ReportCostResponse(
            total=usage_pb2.CostSummary(total_micros=1_234_000, model_calls=320),
            questions=200,
            cost_per_question_micros=6170,
            router_micros=1200,
            judge_micros=800,
            saving_against_tier2=pb.Estimate(
                value_micros=4_000_000, low_micros=3_500_000, high_micros=4_600_000, count=200
            ),
        )
        response.tags.add(tag="answer-simple", model="small-model", cost_micros=1_000_000, calls=200)
        session = response.sessions.add(conversation_id="c-1", questions=4, calls=9, cost_micros=90_000)
        session.last_at.GetCurrentTime()
        for step in range(5):
            point = response.points.add(questions=40, cost_micros=240_000 + step)
            point.start.seconds = 1_790_000_000 + step * 86_400
        return response

    async def ReportQuality(self, request: Any, context: Any) -> pb.ReportQualityResponse:
        self._enter("ReportQuality", request)
        if self.empty:
            return pb.ReportQualityResponse()
        response = pb.ReportQualityResponse(
            dearer_preferred=rate(0.6, 40),
            judge=pb.JudgeHealth(trusted=False, problems=["Only 12 verdicts were given in both orders."]),
        )
        response.tags.add(
            tag="answer-simple", prompt_version="2026-11-01", rubric="helpful-and-grounded", calls=200, judged=rate(0.9)
        )
        return response

    async def ReportPills(self, request: Any, context: Any) -> pb.ReportPillsResponse:
        self._enter("ReportPills", request)
        row = pb.ReportPillsResponse.Row(tier=routing_pb2.TIER_1, kind=1, source=1, shown=200, clicked=30, ignored=90)
        return pb.ReportPillsResponse(rows=[] if self.empty else [row])

    async def GetDecision(self, request: Any, context: Any) -> pb.GetDecisionResponse:
        self._enter("GetDecision", request)
        if "r-logged" not in (request.request_id, request.decision_id) and request.decision_id != "d-1":
            raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "The log has no such decision.")
        response = pb.GetDecisionResponse(record=pb.DecisionRecord(decision=make_decision()))
        response.record.decided_at.GetCurrentTime()
        outcome = response.outcomes.add(source=pb.Outcome.SOURCE_THUMB, success=1.0, weight=0.5)
        outcome.at.GetCurrentTime()
        response.entries.add(tag="answer-simple", model="small-model", cost_micros=512, outcome=2)
        return response

    async def ReplayDecision(self, request: Any, context: Any) -> pb.ReplayDecisionResponse:
        self._enter("ReplayDecision", request)
        up = request.threshold > 0.91
        return pb.ReplayDecisionResponse(
            route=routing_pb2.ROUTE_TIER2 if up else routing_pb2.ROUTE_TIER1,
            changed=up,
            applied_threshold=request.threshold,
            detail="confidence 0.91 is below it" if up else "confidence 0.91 is enough",
            reasons=[routing_pb2.DecisionReason(rule="cost_first", detail="as it says")] if request.settings else [],
        )

    async def NextComparison(self, request: Any, context: Any) -> pb.NextComparisonResponse:
        self._enter("NextComparison", request)
        if self.pair is None:
            raise refusal("NOT_FOUND", "UNKNOWN_REQUEST", "There is nothing left to compare.")
        return self.pair

    async def RecordPreference(self, request: Any, context: Any) -> pb.RecordPreferenceResponse:
        self._enter("RecordPreference", request)
        self.pair = None
        return pb.RecordPreferenceResponse(first=routing_pb2.TIER_2, second=routing_pb2.TIER_1)
