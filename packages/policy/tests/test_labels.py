"""The rules against the labelled sets' own route, with every other label taken as certain."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tiermesh_policy import History, TenantPolicy, TurnSummary, decide, scores_from_labels, turn_from_labels

EXAMPLES = [
    ("leave.balance", "one", "none", False, False, "tier1"),
    ("leave.history", "team", "rank", False, False, "aggregate"),
    ("leave.history", "one", "sum", False, False, "aggregate"),
    ("leave.history", "team", "none", False, True, "tier2"),
    ("expenses.anomaly", "org", "none", True, False, "tier2"),
    ("leave.approve", "team", "none", False, False, "tier2"),
    ("leave.approve", "one", "none", False, False, "tier1"),
    ("support.ticket", "team", "none", False, False, "tier2"),
    ("leave.policy", "one", "none", False, False, "tier1"),
    ("out_of_scope", "one", "none", False, False, "tier1"),
]


@pytest.mark.parametrize(("intent", "cardinality", "aggregation", "ambiguous", "multi_step", "route"), EXAMPLES)
def test_the_route_rules_of_the_labelling_guide_hold(
    intent: str, cardinality: str, aggregation: str, ambiguous: bool, multi_step: bool, route: str
) -> None:
    labels = {
        "intent": intent,
        "cardinality": cardinality,
        "temporal": "now",
        "aggregation": aggregation,
        "position": "opening",
        "needs_context": False,
        "ambiguous": ambiguous,
        "multi_step": multi_step,
    }
    assert decide(scores_from_labels(labels), TenantPolicy()).route == route


def test_certain_labels_give_the_gold_route_nearly_always() -> None:
    folder = os.environ.get("TIERMESH_EVAL_DATA")
    if folder is None:
        pytest.skip("TIERMESH_EVAL_DATA names no folder of labelled sets")
    turns: dict[str, list[TurnSummary]] = {}
    right = total = 0
    for name in ("dev-single.jsonl", "dev-multi.jsonl"):
        for line in (Path(folder) / name).read_text("utf-8").splitlines():
            record = json.loads(line)
            earlier = turns.setdefault(record["conversation"], []) if record["conversation"] else []
            decision = decide(scores_from_labels(record), TenantPolicy(), History(tuple(earlier[-16:])))
            right += decision.route == record["route"]
            total += 1
            earlier.append(turn_from_labels(record))
    assert right / total >= 0.98, f"{right} of {total}"
