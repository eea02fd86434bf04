"""What was spent, on what, and what routing saved against answering everything at one tier. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tiermesh_insights.evidence import Case
from tiermesh_insights.records import CostLine
from tiermesh_insights.statistics import Z_95, Estimate, Floats

ROUTER_TAG = "classify"
JUDGE_TAG = "judge"
# A mean over fewer answers says too little to hold a saving against.
_LEAST_ANSWERS = 5


def saving_against_tier2(cases: Sequence[Case]) -> Estimate | None:
    """Return what all turns would have cost more at tier 2's mean cost, in micro-dollars; None with too few to measure.

    The turns that tier 2 did answer are the harder ones, and longer: this is the saving at tier 2's cost as it is
    seen, not as it would be on easy turns. The report says so.
    """
    at_tier2 = np.array(
        [case.turn.cost_micros for case in cases if case.turn.tier == 2 and case.turn.cost_micros > 0], dtype=np.float64
    )
    booked = _booked(cases)
    if len(at_tier2) < _LEAST_ANSWERS or len(booked) == 0:
        return None
    return _saving(float(at_tier2.mean()), float(at_tier2.std(ddof=1)) / math.sqrt(len(at_tier2)), booked)


def saving_against(cases: Sequence[Case], per_question: float) -> Estimate | None:
    """Return what all turns would have cost more at a known mean cost per question, in micro-dollars."""
    booked = _booked(cases)
    return _saving(per_question, 0.0, booked) if len(booked) else None


def spent_on(lines: Sequence[CostLine], tag: str) -> int:
    """Return what one tag cost."""
    return sum(line.cost_micros for line in lines if line.tag == tag)


def _booked(cases: Sequence[Case]) -> Floats:
    return np.array([case.turn.cost_micros for case in cases if case.turn.cost_micros > 0], dtype=np.float64)


def _saving(mean: float, error: float, booked: Floats) -> Estimate:
    count = len(booked)
    own = float(booked.std(ddof=1)) / math.sqrt(count) if count > 1 else 0.0
    value = (mean - float(booked.mean())) * count
    half = Z_95 * math.hypot(error, own) * count
    return Estimate(value, value - half, value + half, count)
