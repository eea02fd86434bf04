"""Self-routing: from what tier 1 says of its own confidence to the chance that it is right.

A model's word is no probability: the calibration is measured outside of it and is the tenant's data.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def least_stated(calibration: Sequence[tuple[float, float]], threshold: float) -> float:
    """The smallest stated confidence whose calibrated chance reaches the threshold; 1 when none does.

    `calibration` holds pairs of stated confidence and measured share of right answers, both rising.
    """
    if not calibration:
        return threshold
    stated, right = calibration[0]
    if right >= threshold:
        return stated
    for (low, low_right), (high, high_right) in pairwise(calibration):
        if high_right >= threshold:
            return low + (high - low) * (threshold - low_right) / (high_right - low_right)
    return 1.0
