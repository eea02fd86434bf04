"""Reads the probability that each axis gave its winning label out of a logged decision."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from tiermesh.common.v1 import scores_pb2
from tiermesh.insights.v1 import insights_service_pb2 as pb

AXES: Mapping[str, Callable[[scores_pb2.Scores], scores_pb2.AxisScore]] = {
    "intent": lambda scores: scores.intent,
    "cardinality": lambda scores: scores.scope.cardinality,
    "temporal": lambda scores: scores.scope.temporal,
    "aggregation": lambda scores: scores.scope.aggregation,
    "position": lambda scores: scores.conversation.position,
    "ambiguous": lambda scores: scores.difficulty.ambiguous,
    "multi_step": lambda scores: scores.difficulty.multi_step,
}


def axis_probability(record: bytes, axis: str) -> float | None:
    """Return the probability of the axis's winning label; None when the axis said nothing."""
    decision = pb.DecisionRecord.FromString(record).decision
    if not decision.HasField("scores"):
        return None
    score = AXES[axis](decision.scores)
    return score.probability if score.label and math.isfinite(score.probability) else None
