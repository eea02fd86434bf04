"""A probability against what came true: bands, reliability, calibration error, Brier. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tiermesh_insights.statistics import Estimate, Floats, Rate, weighted

_RELIABILITY_BINS = 10
# A bin of the reliability diagram rests on at least this many outcomes.
_LEAST_PER_BIN = 10
_RESAMPLES = 200
_MOST_RESAMPLED = 20_000
_Measure = Callable[[Floats, Floats, Floats], float]


@dataclass(frozen=True, slots=True)
class Judged:
    """What was promised of one turn, and what came of it: None without a word, else with the words' weight."""

    confidence: float
    success: float | None
    weight: float


@dataclass(frozen=True, slots=True)
class Band:
    """Decisions whose confidence is in [low, high); the last band holds 1 as well."""

    low: float
    high: float
    decisions: int
    mean_confidence: float
    # None without an outcome.
    success: Rate | None


@dataclass(frozen=True, slots=True)
class ConfidenceReport:
    """All bands, and how far confidence and success lie apart over them."""

    bands: Sequence[Band]
    decisions: int
    with_outcome: int
    # Mean gap of confidence and success over the bands, weighted by the evidence in them; None without outcomes.
    expected_calibration_error: float | None
    # Mean squared gap per case; None without outcomes.
    brier: float | None
    # Bins that hold equally many outcomes, so that no bin rests on a handful.
    reliability: Sequence[Band]
    adaptive_error: Estimate | None
    brier_interval: Estimate | None


def confidence_report(judged: Sequence[Judged], bands: int) -> ConfidenceReport:
    """Put decisions into `bands` bands of equal width and compare what was promised with what came."""
    groups: list[list[Judged]] = [[] for _ in range(bands)]
    for case in judged:
        groups[min(int(max(case.confidence, 0.0) * bands), bands - 1)].append(case)
    made = [_band(index / bands, (index + 1) / bands, group) for index, group in enumerate(groups)]
    known = sorted((case for case in judged if case.success is not None), key=lambda case: case.confidence)
    promised = np.array([case.confidence for case in known])
    came = np.array([case.success or 0.0 for case in known])
    weights = np.array([case.weight for case in known])
    return ConfidenceReport(
        bands=made,
        decisions=len(judged),
        with_outcome=len(known),
        expected_calibration_error=_calibration_error(groups) if known else None,
        brier=_brier(promised, came, weights) if known else None,
        reliability=_reliability(known),
        adaptive_error=_interval(promised, came, weights, _adaptive_error),
        brier_interval=_interval(promised, came, weights, _brier),
    )


def _band(low: float, high: float, group: Sequence[Judged]) -> Band:
    known = [case for case in group if case.success is not None]
    return Band(
        low=low,
        high=high,
        decisions=len(group),
        mean_confidence=math.fsum(case.confidence for case in group) / len(group) if group else 0.0,
        success=weighted(np.array([case.success or 0.0 for case in known]), np.array([case.weight for case in known])),
    )


def _calibration_error(groups: Sequence[Sequence[Judged]]) -> float:
    gap = 0.0
    total = 0.0
    for group in groups:
        known = [case for case in group if case.success is not None]
        gap += abs(math.fsum(case.weight * (case.confidence - (case.success or 0.0)) for case in known))
        total += math.fsum(case.weight for case in known)
    return gap / total


def _reliability(known: Sequence[Judged]) -> list[Band]:
    """Bins of equally many outcomes; `known` is in the order of confidence."""
    made = []
    for indexes in np.array_split(np.arange(len(known)), _bins(len(known))):
        group = [known[index] for index in indexes]
        if group:
            made.append(_band(group[0].confidence, group[-1].confidence, group))
    return made


def _bins(count: int) -> int:
    return max(1, min(_RELIABILITY_BINS, count // _LEAST_PER_BIN))


def _adaptive_error(promised: Floats, came: Floats, weights: Floats) -> float:
    """All three are in the order of what was promised."""
    starts = np.linspace(0, len(promised), _bins(len(promised)) + 1).astype(np.int64)[:-1]
    gaps = np.add.reduceat(weights * (promised - came), starts)
    return float(np.abs(gaps).sum() / weights.sum())


def _brier(promised: Floats, came: Floats, weights: Floats) -> float:
    return float((weights * (promised - came) ** 2).sum() / weights.sum())


def _interval(promised: Floats, came: Floats, weights: Floats, measure: _Measure) -> Estimate | None:
    """A measure with its bootstrap interval (percentiles, a fixed seed: the same log gives the same report)."""
    count = len(promised)
    if count == 0:
        return None
    value = measure(promised, came, weights)
    chance = np.random.default_rng(8)
    drawn = []
    for _ in range(_RESAMPLES if count <= _MOST_RESAMPLED else _RESAMPLES // 4):
        picked = np.sort(chance.integers(0, count, count))  # sorted, so that the order of promises stays
        drawn.append(measure(promised[picked], came[picked], weights[picked]))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, min(float(low), value), max(float(high), value), count)
