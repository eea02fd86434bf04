"""The log, and one decision, under another threshold. Pure: what the threshold does not decide does not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tiermesh_insights.evidence import Case, Turn
from tiermesh_insights.statistics import Estimate, Rate
from tiermesh_insights.thresholds import (
    escalation_rate,
    inflation_rate,
    loss_rate,
    sample_of,
    saving,
)


@dataclass(frozen=True, slots=True)
class Replay:
    """A selection under another threshold. Rates are of the turns that the confidence decides; money is for all."""

    decisions: int
    changed: int
    quality_loss: Rate
    cost_inflation: Rate | None
    escalated: Rate
    # Positive when the other threshold costs more.
    cost_change: Estimate
    quality_loss_before: Rate
    escalated_before: Rate


def replay(cases: Sequence[Case], threshold: float, before: float) -> Replay:
    """Replay a selection; `before` is the threshold that rates are compared with."""
    sample = sample_of(cases)
    changed = sum(route_under(case.turn, threshold) != case.turn.route for case in cases)
    per_turn = saving(sample, before, threshold)
    count = len(sample.level)
    return Replay(
        decisions=len(cases),
        changed=changed,
        quality_loss=loss_rate(sample, threshold),
        cost_inflation=inflation_rate(sample, threshold),
        escalated=escalation_rate(sample, threshold),
        cost_change=Estimate(-per_turn.value * count, -per_turn.high * count, -per_turn.low * count, count),
        quality_loss_before=loss_rate(sample, before),
        escalated_before=escalation_rate(sample, before),
    )


def route_under(turn: Turn, threshold: float) -> str:
    """Return the route that a turn would have taken under another threshold of its tenant."""
    if not turn.by_confidence or turn.route not in ("tier1", "tier2"):
        return turn.route
    return "tier1" if turn.level >= threshold else "tier2"


def applied_threshold(turn: Turn, threshold: float) -> float:
    """Return the threshold as the conversation would have raised it for this turn."""
    return threshold + max(0.0, turn.threshold - turn.base_threshold)


def why(turn: Turn, threshold: float) -> str:
    """Say for people why a turn goes where it goes under another threshold."""
    if not turn.by_confidence or turn.confidence is None:
        return f"the rule {turn.settled_by or 'that decided'} settles it; no threshold is asked"
    applied = applied_threshold(turn, threshold)
    raised = f", raised to {applied:.3f} by the conversation" if applied > threshold else ""
    relation = "reaches" if turn.confidence >= applied else "stays below"
    return f"confidence {turn.confidence:.3f} {relation} {threshold:.3f}{raised}"


def typical_threshold(cases: Sequence[Case]) -> float | None:
    """Return the threshold in force at the newest turn that the confidence decided."""
    decided = [case.turn for case in cases if case.turn.by_confidence]
    return decided[-1].base_threshold if decided else None
