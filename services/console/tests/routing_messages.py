"""What the gateway and insights both say of a decision, and how either refuses."""

from __future__ import annotations

import grpc
from tiermesh.common.v1 import routing_pb2, scores_pb2, usage_pb2
from tiermesh.gateway.v1 import gateway_service_pb2 as gateway_pb
from tiermesh_runtime.errors import RpcError


def refusal(code: str, reason: str, words: str) -> RpcError:
    return RpcError(grpc.StatusCode[code], reason, words)


def make_decision(*, detail: str = "confidence 0.91 is at or above 0.60") -> routing_pb2.Decision:
    axis = scores_pb2.AxisScore(
        label="leave.balance",
        probability=0.97,
        stage=scores_pb2.STAGE_TRAINED,
        distribution=[
            scores_pb2.LabelScore(label="leave.balance", probability=0.97),
            scores_pb2.LabelScore(label="leave.history", probability=0.03),
        ],
    )
    return routing_pb2.Decision(
        decision_id="d-1",
        route=routing_pb2.ROUTE_TIER1,
        tier=routing_pb2.TIER_1,
        reasons=[routing_pb2.DecisionReason(rule="sure_enough_takes_tier1", detail=detail)],
        threshold=routing_pb2.Threshold(value=0.6, version="v1"),
        otherwise=routing_pb2.Alternative(route=routing_pb2.ROUTE_TIER2, tier=routing_pb2.TIER_2, detail="dearer"),
        policy_version="p1",
        scores=scores_pb2.Scores(intent=axis, confidence=scores_pb2.Confidence(value=0.91, version="c1")),
    )


def make_receipt(request_id: str) -> gateway_pb.Receipt:
    receipt = gateway_pb.Receipt(
        request_id=request_id,
        conversation_id="c-1",
        decision_id="d-1",
        route=routing_pb2.ROUTE_TIER1,
        tier=routing_pb2.TIER_1,
        model="small-model",
        complete=True,
        cost=usage_pb2.CostSummary(
            total_micros=512,
            model_calls=2,
            per_tag=[usage_pb2.CostSummary.PerTag(tag="answer-simple", cost_micros=512, calls=2)],
        ),
        tool_calls=1,
        statements=1,
        trace_id="0af7651916cd43dd8448eb211c80319c",
    )
    receipt.timings.classification.FromMilliseconds(3)
    receipt.timings.answer_done.FromMilliseconds(420)
    receipt.asked_at.GetCurrentTime()
    return receipt
