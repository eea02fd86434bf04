"""Intervals and bounds for shares and means. Own code only where scipy has none.

Every interval here is two-sided 95 %; the bounds that decide something are one-sided and take their alpha.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

# 97.5th percentile of the standard normal: two-sided 95 %.
Z_95 = 1.959963984540054

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rate:
    """A share with its 95 % interval and the number of cases that it rests on."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % interval and the number of cases that it rests on."""

    value: float
    low: float
    high: float
    count: int


NOTHING_KNOWN = Rate(value=0.0, low=0.0, high=1.0, count=0)


def wilson(successes: float, count: float, cases: int | None = None) -> Rate:
    """Return a share with Wilson's 95 % interval; both may be fractional (weighted cases), `count` above 0."""
    share = min(max(successes / count, 0.0), 1.0)
    spread = Z_95**2 / count
    centre = (share + spread / 2) / (1 + spread)
    half = Z_95 * math.sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return Rate(value=share, low=min(low, share), high=max(high, share), count=int(count) if cases is None else cases)


def share(hits: int, count: int) -> Rate:
    """Return a share of whole cases; of none, nothing is known."""
    return wilson(hits, count) if count else NOTHING_KNOWN


def weighted(values: Floats, weights: Floats) -> Rate | None:
    """Return the weighted mean of values in [0, 1]; its interval rests on the effective sample. None without weight."""
    total = float(weights.sum())
    if total <= 0:
        return None
    mean = float((values * weights).sum()) / total
    effective = total**2 / float((weights**2).sum())
    return wilson(mean * effective, effective, cases=int((weights > 0).sum()))


def exact_upper(hits: NDArray[np.int64], count: int, alpha: float) -> Floats:
    """Return Clopper and Pearson's one-sided upper bounds of shares: each is kept with probability 1 − alpha."""
    bounds = special.betaincinv(hits + 1, np.maximum(count - hits, 1), 1 - alpha)
    return np.where(hits >= count, 1.0, bounds)


def betting_upper(values: Floats, alpha: float) -> float:
    """Return a one-sided upper bound of the mean of independent values in [0, 1].

    Waudby-Smith and Ramdas's betting bound (J. R. Stat. Soc. B 2024), as used for risk control by Bates et al.
    (J. ACM 2021): valid for every sample size and, unlike Hoeffding's, as narrow as the variance allows.
    """
    count = len(values)
    if count == 0:
        return 1.0
    steps = np.arange(1, count + 1)
    means = (0.5 + np.cumsum(values)) / (1 + steps)
    variances = (0.25 + np.cumsum((values - means) ** 2)) / (1 + steps)
    earlier = np.concatenate(([0.25], variances[:-1]))
    stakes = np.minimum(np.sqrt(2 * math.log(1 / alpha) / count / earlier), 1.0)

    def wealth(mean: float) -> float:
        return float(np.max(np.cumsum(np.log1p(-stakes * (values - mean))))) + math.log(alpha)

    smallest, largest = 1e-9, 1 - 1e-9
    if wealth(largest) < 0:
        return 1.0
    if wealth(smallest) > 0:
        return smallest
    return float(optimize.brentq(wealth, smallest, largest, xtol=1e-6))  # type: ignore[no-untyped-call] # published untyped


def mean_estimate(values: Floats) -> Estimate | None:
    """Return a mean with its normal 95 % interval; None without values."""
    if len(values) == 0:
        return None
    mean = float(values.mean())
    half = Z_95 * float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else abs(mean)
    return Estimate(mean, mean - half, mean + half, len(values))


def stratified(rates: list[tuple[float, int, int]]) -> Rate:
    """Return the share over strata of (weight, hits, count), weighed by how much of the whole each stands for.

    The interval is Wilson's at the effective sample size, which is what stratified sampling leaves of the count.
    """
    known = [(weight, hits, count) for weight, hits, count in rates if count]
    total = sum(weight for weight, _, _ in known)
    if not known or total <= 0:
        return NOTHING_KNOWN
    value = sum(weight / total * hits / count for weight, hits, count in known)
    # Each case of a stratum stands for weight / count of the whole.
    effective = 1 / sum((weight / total) ** 2 / count for weight, _, count in known)
    return wilson(value * effective, effective, cases=sum(count for _, _, count in known))
