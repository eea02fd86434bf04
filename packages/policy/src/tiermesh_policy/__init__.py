"""The routing decision: a pure function over scores, tenant policy, history and health.

No I/O, no grpc and no contracts: whoever calls translates into these frozen dataclasses.
"""

from tiermesh_policy.costs import Prices, UsageEstimate
from tiermesh_policy.decide import decide
from tiermesh_policy.decision import Alternative, Decision, Reason, Threshold
from tiermesh_policy.failover import failover, next_tier
from tiermesh_policy.history import Health, History, TurnSummary
from tiermesh_policy.labels import scores_from_labels, turn_from_labels
from tiermesh_policy.record import Inputs, load_inputs, replay
from tiermesh_policy.routes import FailurePolicy, OverBudget, Route, StrategyKind, Tier
from tiermesh_policy.schema import PolicyProblem, PolicyProblems, parse_policy
from tiermesh_policy.scores import Axis, IntentFacts, Scores, Vocabulary
from tiermesh_policy.tenant import TenantPolicy

__all__ = [
    "Alternative",
    "Axis",
    "Decision",
    "FailurePolicy",
    "Health",
    "History",
    "Inputs",
    "IntentFacts",
    "OverBudget",
    "PolicyProblem",
    "PolicyProblems",
    "Prices",
    "Reason",
    "Route",
    "Scores",
    "StrategyKind",
    "TenantPolicy",
    "Threshold",
    "Tier",
    "TurnSummary",
    "UsageEstimate",
    "Vocabulary",
    "decide",
    "failover",
    "load_inputs",
    "next_tier",
    "parse_policy",
    "replay",
    "scores_from_labels",
    "turn_from_labels",
]
