"""Tenants whose truth is known, and how close proposals come to it: `python -m tiermesh_insights.simulation`.

Each run draws a log, proposes from it and looks the proposal up in the truth: did the bound on quality loss hold, and
how much dearer than the best threshold is it? Prints a table; exit 1 when the bound was broken in more than alpha of
the runs, or when the regret of a tenant whose bound does not bind is over the target.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from tiermesh_insights.statistics import Floats
from tiermesh_insights.thresholds import GRID, Costs, Sample, SampleTooSmallError, Terms, curve, propose

REGRET_TARGET = 0.02
_FINE = np.linspace(0, 1, 100_001)
_START = 0.6


@dataclass(frozen=True)
class Tenant:
    """A known tenant: confidence ~ Beta(alpha, beta), success by confidence. Costs in micro-dollars per turn."""

    name: str
    alpha: float
    beta: float
    success: Callable[[Floats], Floats]
    costs: Costs
    terms: Terms
    # True where the bound, and not the money, decides: what cannot be certified with the sample costs regret.
    bound_binds: bool = False

    def draw(self, count: int, chance: np.random.Generator) -> Sample:
        """Return a log of `count` labelled turns."""
        level = chance.beta(self.alpha, self.beta, count)
        loss = (chance.random(count) > self.success(level)).astype(np.float64)
        return Sample(level, level, loss, np.ones(count), self.costs)

    def truth(self) -> tuple[Floats, Floats]:
        """Return the true loss and the true weighed cost at every threshold of the grid."""
        mass = np.diff(special.betainc(self.alpha, self.beta, _FINE))
        middle = (_FINE[1:] + _FINE[:-1]) / 2
        below = np.searchsorted(middle, GRID - 1e-12)
        wrong = mass * (1 - self.success(middle))
        up = np.concatenate(([0.0], np.cumsum(mass)))[below]
        loss = wrong.sum() - np.concatenate(([0.0], np.cumsum(wrong)))[below]
        cost = (1 - up) * self.costs.tier1 + up * self.costs.tier2 + self.terms.quality_weight_micros * loss
        return np.asarray(loss), np.asarray(cost)


@dataclass(frozen=True, slots=True)
class Trial:
    """Many runs of one tenant."""

    tenant: Tenant
    runs: int
    # Runs whose true loss is over the limit, and runs without a proposal.
    broken: int
    silent: int
    regret: Floats
    best: float

    @property
    def broken_share(self) -> float:
        """How often the bound did not hold."""
        return self.broken / self.runs


def try_out(tenant: Tenant, runs: int, outcomes: int) -> Trial:
    """Propose from `runs` logs of `outcomes` labelled turns each."""
    loss, cost = tenant.truth()
    within = loss <= tenant.terms.max_quality_loss
    best = float(cost[within].min())
    regret = []
    broken = 0
    for run in range(runs):
        sample = tenant.draw(outcomes, np.random.default_rng(run))
        try:
            proposed = propose(sample, curve(sample, tenant.terms), tenant.terms, _START)
        except SampleTooSmallError:
            continue
        at = round(proposed.threshold * (len(GRID) - 1))
        broken += bool(loss[at] > tenant.terms.max_quality_loss)
        regret.append((float(cost[at]) - best) / best)
    best_at = float(GRID[within][cost[within].argmin()])
    return Trial(tenant, runs, broken, runs - len(regret), np.array(regret), best_at)


def _terms(weight: int, limit: float) -> Terms:
    return Terms(weight, limit, alpha=0.05, minimum_sample=200, largest_step=1.0)


def _logistic(middle: float, slope: float) -> Callable[[Floats], Floats]:
    return lambda level: np.asarray(1 / (1 + np.exp(-slope * (level - middle))))


# Mean costs of a turn as the ledger of the sample workload shows them.
_COSTS = Costs(tier1=600.0, tier2=35_000.0)
TENANTS: Sequence[Tenant] = (
    # An honest confidence, mostly sure; the money decides.
    Tenant("calibrated", 5, 1.2, lambda level: level, _COSTS, _terms(100_000, 0.15)),
    # Says 0.9 where 0.79 is right: the curve must see it, not the confidence.
    Tenant("overconfident", 6, 1.5, lambda level: np.asarray(level**2.2), _COSTS, _terms(100_000, 0.25)),
    # A sharp edge between easy and hard.
    Tenant("edge", 2, 2, _logistic(0.5, 25), _COSTS, _terms(100_000, 0.10)),
    # Nearly everything is easy: the best threshold is the lowest.
    Tenant("easy", 4, 1, lambda level: 0.9 + 0.1 * level, _COSTS, _terms(60_000, 0.10)),
    # The optimum without the bound would lose more than the tenant allows.
    Tenant("bound", 4, 1.5, lambda level: 0.35 + 0.65 * level, _COSTS, _terms(40_000, 0.05), bound_binds=True),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    parser = argparse.ArgumentParser(description="Propose thresholds for tenants whose truth is known.")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--outcomes", type=int, default=2000)
    options = parser.parse_args(arguments)
    out = sys.stdout
    out.write(f"{options.runs} runs of {options.outcomes} outcomes each; bound at 1 − α = 95 %\n")
    out.write("tenant         best   regret: mean median  95 %   ≤ 2 %   bound broken   no proposal\n")
    good = True
    for tenant in TENANTS:
        trial = try_out(tenant, options.runs, options.outcomes)
        regret = trial.regret
        out.write(
            f"{tenant.name:14} {trial.best:.3f}        {regret.mean():6.2%} {np.median(regret):6.2%} "
            f"{np.quantile(regret, 0.95):6.2%} {(regret <= REGRET_TARGET).mean():6.1%} {trial.broken_share:13.1%} "
            f"{trial.silent:13}{'   (the bound binds)' if tenant.bound_binds else ''}\n"
        )
        good = good and trial.broken_share <= tenant.terms.alpha
        good = good and (tenant.bound_binds or float(regret.mean()) <= REGRET_TARGET)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
