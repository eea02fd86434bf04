"""Labelled turns as scores, so that an evaluation can ask the decision what it makes of certain knowledge.

The vocabulary of the labelling guide lives here for that purpose only: services take theirs from the domain pack.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tiermesh_policy.history import TurnSummary
from tiermesh_policy.routes import Route
from tiermesh_policy.scores import Axis, IntentFacts, Scores, Vocabulary

_DATA_FAMILIES: Final = frozenset({"leave", "attendance", "expenses", "performance", "payroll", "people"})
_WRITES: Final = frozenset(
    {
        "leave.apply",
        "leave.cancel",
        "leave.approve",
        "attendance.regularize",
        "expenses.submit",
        "expenses.approve",
        "performance.feedback_give",
        "people.update_profile",
        "people.letters",
    }
)


def facts_from_name(intent: str) -> IntentFacts:
    """Facts of an intent of the labelling guide, by its name."""
    family, _, topic = intent.partition(".")
    reads_data = family in _DATA_FAMILIES and topic != "policy"
    return IntentFacts(family=family, domain=family if reads_data else None, write=intent in _WRITES)


def scores_from_labels(labels: Mapping[str, object], *, confidence: float = 1.0) -> Scores:
    """Scores that are certain of the labels of one record.

    `stakes` and `surround` are no labels of the sets: stakes count as low unless the record says otherwise.
    """
    intent = str(labels["intent"])
    return Scores(
        intent=_certain(intent),
        cardinality=_certain(labels["cardinality"]),
        temporal=_certain(labels["temporal"]),
        aggregation=_certain(labels["aggregation"]),
        position=_certain(labels["position"]),
        needs_context=_certain(labels["needs_context"]),
        ambiguous=_certain(labels["ambiguous"]),
        multi_step=_certain(labels["multi_step"]),
        stakes=_certain(labels.get("stakes", "low")),
        confidence=confidence,
        vocabulary=Vocabulary({intent: facts_from_name(intent)}),
    )


def turn_from_labels(labels: Mapping[str, object]) -> TurnSummary:
    """An earlier turn of a labelled conversation, as if it had been routed as labelled."""
    route = Route(str(labels["route"]))
    return TurnSummary(
        route=route,
        tier=route.tier,
        intent=str(labels["intent"]),
        ambiguous=bool(labels["ambiguous"]),
        multi_step=bool(labels["multi_step"]),
        high_stakes=labels.get("stakes") == "high",
    )


def _certain(label: object) -> Axis:
    word = ("yes" if label else "no") if isinstance(label, bool) else str(label)
    return Axis(label=word, probability=1.0, distribution={word: 1.0})
