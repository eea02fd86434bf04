"""Confidence against outcome: bands, intervals, calibration. Pure arithmetic over what the store returns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tiermesh_insights.records import Judged

# 97.5th percentile of the standard normal: two-sided 95 %.
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Rate:
    """A share with its 95 % interval and the number of cases that it rests on."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Band:
    """Decisions whose confidence is in [low, high); the last band holds 1 as well."""

    low: float
    high: float
    decisions: int
    mean_confidence: float
    # None without an outcome.
    success: Rate | None


@dataclass(frozen=True)
class ConfidenceReport:
    """All bands, and how far confidence and success lie apart over them."""

    bands: Sequence[Band]
    decisions: int
    with_outcome: int
    # Mean gap of confidence and success over the bands, weighted by cases with an outcome; None without outcomes.
    expected_calibration_error: float | None
    # Mean squared gap per case; None without outcomes.
    brier: float | None


def confidence_report(judged: Sequence[Judged], bands: int) -> ConfidenceReport:
    """Put decisions into `bands` bands of equal width and compare what was promised with what came."""
    groups: list[list[Judged]] = [[] for _ in range(bands)]
    for case in judged:
        groups[min(int(max(case.confidence, 0.0) * bands), bands - 1)].append(case)
    made = [_band(index / bands, (index + 1) / bands, group) for index, group in enumerate(groups)]
    known = [case for case in judged if case.success is not None]
    return ConfidenceReport(
        bands=made,
        decisions=len(judged),
        with_outcome=len(known),
        expected_calibration_error=_calibration_error(groups) if known else None,
        brier=math.fsum((case.confidence - (case.success or 0.0)) ** 2 for case in known) / len(known)
        if known
        else None,
    )


def wilson(successes: float, count: int) -> Rate:
    """Return a share with Wilson's 95 % interval; `successes` may be fractional, `count` at least 1."""
    share = successes / count
    spread = Z_95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return Rate(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half), count=count)


def _band(low: float, high: float, group: Sequence[Judged]) -> Band:
    known = [case.success for case in group if case.success is not None]
    return Band(
        low=low,
        high=high,
        decisions=len(group),
        mean_confidence=math.fsum(case.confidence for case in group) / len(group) if group else 0.0,
        success=wilson(math.fsum(known), len(known)) if known else None,
    )


def _calibration_error(groups: Sequence[Sequence[Judged]]) -> float:
    gap = 0.0
    total = 0
    for group in groups:
        known = [case for case in group if case.success is not None]
        gap += abs(math.fsum(case.confidence - (case.success or 0.0) for case in known))
        total += len(known)
    return gap / total
