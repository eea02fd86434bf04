"""From evidence to a threshold: the curve of cost and loss, and the proposal under its bound. Pure.

Quality loss at a threshold is the share of turns that tier 1 would answer and get wrong, of all turns that the
confidence decides. It can only fall when the threshold rises. So it is bounded from the top down, threshold by
threshold, until a bound is broken: with probability 1 − alpha the true loss of *every* threshold above that point is
within the limit (risk control by a fixed sequence, Bates et al. 2021), and the cheapest of them may be chosen freely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tiermesh_insights.evidence import Case
from tiermesh_insights.statistics import (
    NOTHING_KNOWN,
    Estimate,
    Floats,
    Rate,
    betting_upper,
    exact_upper,
    share,
    wilson,
)

GRID: Floats = np.round(np.linspace(0.0, 1.0, 201), 3)
# Cells in which turns are alike enough that the labelled ones stand for the others.
_CELLS = 20
# A stretch of confidence that holds less than this share of the turns may go unlabelled.
_NEGLIGIBLE = 0.01
_DRAWS = 1000


class SampleTooSmallError(Exception):
    """Too little is known for a proposal; the argument says what, for people."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a tenant wants of its threshold."""

    # Cost of one wrong tier-1 answer, in micro-dollars.
    quality_weight_micros: int
    # Bound on quality loss, kept with probability 1 − alpha.
    max_quality_loss: float
    alpha: float
    minimum_sample: int
    largest_step: float
    lowest: float = 0.0
    highest: float = 1.0


@dataclass(frozen=True, slots=True)
class Costs:
    """Mean cost of a turn at each tier, in micro-dollars, with its standard error."""

    tier1: float
    tier2: float
    tier1_error: float = 0.0
    tier2_error: float = 0.0


@dataclass(frozen=True)
class Sample:
    """The turns that the confidence decides, as arrays. `level` is the confidence less what the topic had raised."""

    level: Floats
    labelled: Floats  # level of the labelled ones
    loss: Floats  # 1 − success, per labelled one
    weight: Floats  # how many turns each labelled one stands for, mean 1
    costs: Costs

    @property
    def binary(self) -> bool:
        """True when losses are all or nothing and every case counts alike: the exact bound applies."""
        return bool(np.all((self.loss == 0) | (self.loss == 1)) and np.allclose(self.weight, 1.0))


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold would have meant. Costs are per turn, in micro-dollars."""

    threshold: float
    escalated: float
    quality_loss: float
    # One-sided, at the terms' alpha.
    loss_bound: float
    # None where nothing below the threshold is labelled.
    cost_inflation: float | None
    cost: float
    weighed_cost: float
    # The bound is kept, here and above, and labels stand behind it.
    allowed: bool


@dataclass(frozen=True, slots=True)
class Proposed:
    """A threshold, and where it comes from."""

    threshold: float
    optimum: float
    step_bounded: bool
    # The point in force breaks the bound.
    current_breaks_bound: bool


def sample_of(cases: Sequence[Case]) -> Sample:
    """Take the turns that the threshold decides out of all cases."""
    decided = [case for case in cases if case.turn.by_confidence]
    labelled = [case for case in decided if case.labelled]
    level = np.array([case.turn.level for case in decided], dtype=np.float64)
    at = np.array([case.turn.level for case in labelled], dtype=np.float64)
    loss = np.array([1.0 - (case.success or 0.0) for case in labelled], dtype=np.float64)
    up = np.array([case.turn.route != "tier1" for case in decided], dtype=bool)
    labelled_up = np.array([case.turn.route != "tier1" for case in labelled], dtype=bool)
    return Sample(level, at, loss, _standing_for(level, up, at, labelled_up), costs_of(cases))


def costs_of(cases: Sequence[Case]) -> Costs:
    """What a turn costs at each tier: as booked, else as it was estimated."""
    decided = [case.turn for case in cases if case.turn.by_confidence]
    found = {}
    for route, other in (("tier1", "tier2"), ("tier2", "tier1")):
        booked = [turn.cost_micros for turn in decided if turn.route == route and turn.cost_micros > 0]
        expected = [turn.estimated_cost_micros for turn in decided if turn.route == route]
        expected += [turn.other_cost_micros for turn in decided if turn.route == other and turn.other_cost_micros]
        values = np.array(booked or expected or [0], dtype=np.float64)
        error = float(values.std(ddof=1)) / len(values) ** 0.5 if len(values) > 1 else 0.0
        found[route] = (float(values.mean()), error)
    return Costs(found["tier1"][0], found["tier2"][0], found["tier1"][1], found["tier2"][1])


def curve(sample: Sample, terms: Terms) -> list[Point]:
    """Return a point for every threshold of the grid, ascending."""
    escalated = _share_below(sample.level)
    loss = _loss_from(sample)
    bounds = _bounds(sample, terms.alpha)
    allowed = _allowed(sample, bounds, terms)
    inflation = _inflation_below(sample)
    cost = (1 - escalated) * sample.costs.tier1 + escalated * sample.costs.tier2
    weighed = cost + terms.quality_weight_micros * loss
    return [
        Point(
            threshold=float(GRID[at]),
            escalated=float(escalated[at]),
            quality_loss=float(loss[at]),
            loss_bound=float(max(bounds[at], loss[at])),
            cost_inflation=None if inflation is None else float(inflation[at]),
            cost=float(cost[at]),
            weighed_cost=float(weighed[at]),
            allowed=bool(allowed[at]),
        )
        for at in range(len(GRID))
    ]


def propose(
    sample: Sample, points: Sequence[Point], terms: Terms, current: float, wanted: float | None = None
) -> Proposed:
    """Choose the cheapest allowed threshold, or the wanted one when it is allowed, within a bounded step of `current`.

    The step is bounded on the way to more tier 1, and on the way back as long as the present threshold keeps the bound:
    one that breaks it is left at once. Raises SampleTooSmallError.
    """
    if len(sample.labelled) < terms.minimum_sample:
        raise SampleTooSmallError(
            f"{len(sample.labelled)} turns that the confidence decided have a label, a proposal needs "
            f"{terms.minimum_sample}; the threshold stays"
        )
    allowed = [
        point for point in points if point.allowed and terms.lowest - 1e-9 <= point.threshold <= terms.highest + 1e-9
    ]
    if not allowed:
        raise SampleTooSmallError(
            "no threshold within the tenant's limits keeps the bound on quality loss with this sample; "
            "more outcomes, or a looser bound, are needed"
        )
    # Of equally cheap ones the highest: doubt escalates.
    best = min(allowed, key=lambda point: (round(point.weighed_cost, 6), -point.threshold))
    if wanted is not None:
        # As near to the wish as the bound allows, and never below it.
        best = min(allowed, key=lambda point: (abs(point.threshold - wanted), -point.threshold))
    floor = allowed[0].threshold
    if current < floor - 1e-9:
        return Proposed(best.threshold, best.threshold, step_bounded=False, current_breaks_bound=True)
    lowest, highest = max(floor, current - terms.largest_step), current + terms.largest_step
    target = round(min(max(best.threshold, lowest), highest), 3)
    return Proposed(target, best.threshold, abs(target - best.threshold) > 1e-9, current_breaks_bound=False)


def point_at(points: Sequence[Point], threshold: float) -> Point:
    """Return the point of the curve that is nearest to a threshold."""
    return points[min(round(threshold * (len(points) - 1)), len(points) - 1)]


def loss_rate(sample: Sample, threshold: float) -> Rate:
    """Return the quality loss at a threshold with its two-sided interval."""
    if len(sample.labelled) == 0:
        return NOTHING_KNOWN
    lost = sample.weight * np.where(sample.labelled >= threshold, sample.loss, 0.0)
    return _weighted_share(lost, sample.weight)


def inflation_rate(sample: Sample, threshold: float) -> Rate | None:
    """Return the share of turns sent up although tier 1 would have done; None without a label below the threshold."""
    below = sample.labelled < threshold
    if not below.any():
        return None
    return _weighted_share(sample.weight * np.where(below, 1 - sample.loss, 0.0), sample.weight)


def escalation_rate(sample: Sample, threshold: float) -> Rate:
    """Return the share of turns that a threshold sends up."""
    return share(int((sample.level < threshold).sum()), len(sample.level))


def saving(sample: Sample, current: float, proposed: float) -> Estimate:
    """Return what a turn would cost less, in micro-dollars, with its interval.

    Both what the interval rests on are drawn: how many turns change sides, and what a turn costs at each tier.
    """
    count = len(sample.level)
    if count == 0:
        return Estimate(0.0, 0.0, 0.0, 0)
    low, high = sorted((current, proposed))
    between = float(((sample.level >= low) & (sample.level < high)).mean())
    sign = 1.0 if proposed < current else -1.0
    costs = sample.costs
    chance = np.random.default_rng(8)
    moved = chance.binomial(count, between, _DRAWS) / count
    gap = chance.normal(costs.tier2, costs.tier2_error, _DRAWS) - chance.normal(costs.tier1, costs.tier1_error, _DRAWS)
    drawn = sign * moved * gap
    value = sign * between * (costs.tier2 - costs.tier1)
    lowest, highest = np.percentile(drawn, [2.5, 97.5])
    return Estimate(value, min(float(lowest), value), max(float(highest), value), count)


def _share_below(level: Floats) -> Floats:
    if len(level) == 0:
        return np.zeros(len(GRID))
    return np.asarray(np.searchsorted(np.sort(level), GRID, side="left") / len(level))


def _loss_from(sample: Sample) -> Floats:
    """Weighted loss of the labelled ones at and above each threshold, as a share of all."""
    if len(sample.labelled) == 0:
        return np.zeros(len(GRID))
    order = np.argsort(sample.labelled)
    lost = np.concatenate(([0.0], np.cumsum((sample.loss * sample.weight)[order])))
    below = np.searchsorted(sample.labelled[order], GRID, side="left")
    return np.asarray((lost[-1] - lost[below]) / sample.weight.sum())


def _inflation_below(sample: Sample) -> Floats | None:
    if len(sample.labelled) == 0:
        return None
    order = np.argsort(sample.labelled)
    good = np.concatenate(([0.0], np.cumsum(((1 - sample.loss) * sample.weight)[order])))
    below = np.searchsorted(sample.labelled[order], GRID, side="left")
    return np.asarray(good[below] / sample.weight.sum())


def _bounds(sample: Sample, alpha: float) -> Floats:
    """One-sided upper bound of the loss at each threshold."""
    count = len(sample.labelled)
    if count == 0:
        return np.ones(len(GRID))
    if sample.binary:
        order = np.sort(sample.labelled[sample.loss == 1])
        hits = len(order) - np.searchsorted(order, GRID, side="left")
        return exact_upper(hits.astype(np.int64), count, alpha)
    heaviest = float(sample.weight.max())
    bounds = np.ones(len(GRID))
    for at in range(len(GRID) - 1, -1, -1):
        lost = sample.weight * np.where(sample.labelled >= GRID[at], sample.loss, 0.0)
        bounds[at] = min(1.0, heaviest * betting_upper(lost / heaviest, alpha))
    return bounds


def _allowed(sample: Sample, bounds: Floats, terms: Terms) -> list[bool]:
    """From the top down until the bound breaks, or until labels are missing where turns are."""
    allowed = [False] * len(GRID)
    unlabelled = _unlabelled_from(sample)
    for at in range(len(GRID) - 1, -1, -1):
        if bounds[at] > terms.max_quality_loss or unlabelled[at] > _NEGLIGIBLE:
            break
        allowed[at] = True
    return allowed


def _unlabelled_from(sample: Sample) -> Floats:
    """Share of the turns at and above each threshold that lie in cells without a label."""
    if len(sample.level) == 0:
        return np.zeros(len(GRID))
    has_label = np.zeros(_CELLS, dtype=bool)
    has_label[_cell(sample.labelled)] = True
    missing = np.sort(sample.level[~has_label[_cell(sample.level)]])
    return np.asarray(len(missing) - np.searchsorted(missing, GRID, side="left")) / len(sample.level)


def _standing_for(level: Floats, up: np.ndarray, labelled: Floats, labelled_up: np.ndarray) -> Floats:
    """How many turns each labelled one stands for: those of its cell and side, over the labelled ones there."""
    if len(labelled) == 0:
        return np.zeros(0)
    if len(labelled) == len(level):
        return np.ones(len(labelled))
    all_cells = _cell(level) + _CELLS * up
    own_cells = _cell(labelled) + _CELLS * labelled_up
    turns = np.bincount(all_cells, minlength=2 * _CELLS)
    labels = np.bincount(own_cells, minlength=2 * _CELLS)
    weight = turns[own_cells] / labels[own_cells]
    return np.asarray(weight / weight.mean())


def _cell(level: Floats) -> np.ndarray:
    return np.clip((level * _CELLS).astype(np.int64), 0, _CELLS - 1)


def _weighted_share(part: Floats, weight: Floats) -> Rate:
    total = float(weight.sum())
    effective = total**2 / float((weight**2).sum())
    return wilson(float(part.sum()) / total * effective, effective, cases=len(weight))
