"""Cost against quality of a ranking of questions: the curve, its area and its marks, with bootstrap intervals.

PGR at a share of strong calls is (accuracy - weak) / (strong - weak). APGR is its mean over all shares; CPT(x) is the
least share of strong calls whose PGR reaches x. A random ranking has APGR 0.5.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """A value with the bounds that 95 % of resamples stay in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Marks:
    """What a ranking is worth."""

    apgr: Interval
    cpt50: Interval
    cpt80: Interval


def recovered(score: Floats, weak: Flags, strong: Flags) -> Floats:
    """PGR after 0, 1, … all questions went to the strong model, those with the highest score first."""
    gain = strong.astype(np.float64) - weak
    # Ties in the order of the file would be luck: equal scores share their gain.
    order = np.argsort(-score, kind="stable")
    values, starts, counts = np.unique(-score[order], return_index=True, return_counts=True)
    sums = np.add.reduceat(gain[order], starts)
    steps = np.repeat(sums / counts, counts)
    total = gain.sum()
    if total <= 0 or not len(values):
        return np.full(len(gain) + 1, np.nan)
    return np.concatenate([[0.0], np.cumsum(steps) / total])


def apgr(curve: Floats) -> float:
    """The area under a curve."""
    return float(np.trapezoid(curve, dx=1.0 / (len(curve) - 1)))


def cpt(curve: Floats, share: float) -> float:
    """The least share of strong calls that recovers so much; 1 when only all do."""
    reached = np.nonzero(curve >= share - 1e-12)[0]
    return float(reached[0] / (len(curve) - 1)) if len(reached) else 1.0


def marks(score: Floats, weak: Flags, strong: Flags, *, resamples: int, seed: int = 0) -> Marks:
    """APGR, CPT50 and CPT80 of a ranking; the intervals resample the questions."""
    curve = recovered(score, weak, strong)
    found = np.array([apgr(curve), cpt(curve, 0.5), cpt(curve, 0.8)])
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        chosen = random.integers(0, len(score), len(score))
        again = recovered(score[chosen], weak[chosen], strong[chosen])
        if not np.isnan(again[0]):
            drawn.append([apgr(again), cpt(again, 0.5), cpt(again, 0.8)])
    low, high = np.percentile(np.array(drawn), [2.5, 97.5], axis=0) if drawn else (found, found)
    return Marks(*(Interval(float(v), float(a), float(b)) for v, a, b in zip(found, low, high, strict=True)))


@dataclass(frozen=True)
class Costs:
    """What a call and a wrong answer cost, in any one unit. A wrong answer costs trust, a strong call cents."""

    weak: float = 1.0
    strong: float = 20.0
    wrong: float = 200.0


@dataclass(frozen=True)
class Decided:
    """What decisions by expected cost come to, per question."""

    strong_share: float
    accuracy: float
    cost: float


def decided(weak_right: Floats, strong_right: Floats, weak: Flags, strong: Flags, costs: Costs) -> Decided:
    """Each question goes where its expected cost is least, by the probabilities that the tiers suffice."""
    at_weak = costs.weak + (1.0 - weak_right) * costs.wrong
    at_strong = costs.strong + (1.0 - strong_right) * costs.wrong
    return settled(at_strong < at_weak, weak, strong, costs)


def settled(to_strong: Flags, weak: Flags, strong: Flags, costs: Costs) -> Decided:
    """What a set of decisions really cost."""
    right = np.where(to_strong, strong, weak)
    spent = np.where(to_strong, costs.strong, costs.weak) + ~right * costs.wrong
    return Decided(float(to_strong.mean()), float(right.mean()), float(spent.mean()))
