"""Decisions, outcomes and samples as the gateway delivers them."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp
from tiermesh.common.v1 import context_pb2, routing_pb2, scores_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

NOW = Timestamp()
NOW.FromDatetime(datetime(2026, 11, 20, 12, tzinfo=UTC))


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


def selected(tenant: str = "acme") -> pb.Selection:
    return pb.Selection(tenant=tenant)
