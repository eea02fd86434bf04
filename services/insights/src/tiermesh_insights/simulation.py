"""Tenants whose truth is known: how confidence is spread, and how often tier 1 is right at each confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from tiermesh_insights.statistics import Floats
from tiermesh_insights.thresholds import GRID, Costs, Sample, Terms

_FINE = np.linspace(0, 1, 100_001)


@dataclass(frozen=True)
class Tenant:
    """A known tenant. Costs in micro-dollars per turn."""

    name: str
    alpha: float
    beta: float  # confidence ~ Beta(alpha, beta)
    success: Callable[[Floats], Floats]
    costs: Costs
    terms: Terms

    def draw(self, count: int, chance: np.random.Generator) -> Sample:
        """Return a log of `count` labelled turns."""
        level = chance.beta(self.alpha, self.beta, count)
        loss = (chance.random(count) > self.success(level)).astype(np.float64)
        return Sample(level, level, loss, np.ones(count), self.costs)

    def truth(self) -> tuple[Floats, Floats]:
        """Return the true loss and the true weighed cost at every threshold of the grid."""
        mass = np.diff(special.betainc(self.alpha, self.beta, _FINE))
        middle = (_FINE[1:] + _FINE[:-1]) / 2
        wrong = mass * (1 - self.success(middle))
        below = np.searchsorted(middle, GRID - 1e-12)
        up = np.concatenate(([0.0], np.cumsum(mass)))[below]
        loss = wrong.sum() - np.concatenate(([0.0], np.cumsum(wrong)))[below]
        cost = (1 - up) * self.costs.tier1 + up * self.costs.tier2 + self.terms.quality_weight_micros * loss
        return loss, cost


def terms(weight: int, limit: float) -> Terms:
    return Terms(weight, limit, alpha=0.05, minimum_sample=200, largest_step=1.0)


def logistic(middle: float, slope: float) -> Callable[[Floats], Floats]:
    return lambda level: 1 / (1 + np.exp(-slope * (level - middle)))


_HAIKU_SONNET = Costs(tier1=600.0, tier2=35_000.0)
TENANTS = (
    # An honest confidence, mostly sure; the cost decides.
    Tenant("calibrated", 5, 1.2, lambda level: level, _HAIKU_SONNET, terms(100_000, 0.15)),
    # Says 0.9 where 0.75 is right: the curve must see it, not the confidence.
    Tenant("overconfident", 6, 1.5, lambda level: level**2.2, _HAIKU_SONNET, terms(100_000, 0.25)),
    # A sharp edge between easy and hard.
    Tenant("edge", 2, 2, logistic(0.5, 25), _HAIKU_SONNET, terms(100_000, 0.10)),
    # Nearly everything is easy: the best threshold is low.
    Tenant("easy", 4, 1, lambda level: 0.9 + 0.1 * level, _HAIKU_SONNET, terms(60_000, 0.10)),
    # The bound binds: the optimum without it would lose more than the tenant allows.
    Tenant("bound", 4, 1.5, lambda level: 0.35 + 0.65 * level, _HAIKU_SONNET, terms(40_000, 0.05)),
)
