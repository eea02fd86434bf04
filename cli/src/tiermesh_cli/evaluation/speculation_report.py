"""What starting two tiers at once brought on a run: how often, which was kept, what the other cost, the wait."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

_BAND_RULE = "the_borderline_is_speculated_on"


@dataclass(frozen=True)
class Spent:
    """What one turn cost and how long it let wait, by its decision and its receipt."""

    # Of the answer that was kept, and of pills.
    micros: int = 0
    # Seconds to the first event of the answer; None where there was none.
    first_event: float | None = None
    in_band: bool = False
    # Why no second tier was started in the band, such as "share".
    held_back: str = ""
    # Tier that was kept of two; 0 where one was started.
    kept: int = 0
    # Estimated, of the tier that was cancelled.
    loser_micros: int = 0


def spent_in_band(rules: Sequence[tuple[str, str]]) -> tuple[bool, str]:
    """Whether a decision fell into the band, and why it was not speculated on; `rules` are pairs of rule and detail."""
    detail = next((detail for rule, detail in rules if rule == _BAND_RULE), None)
    return detail is not None, "" if detail is None else detail.partition("not started: ")[2]


def speculation_values(spent: Sequence[Spent]) -> dict[str, Any]:
    """The report for machines. Shares are of the turns with two tiers, or of the run's whole cost."""
    started = [each for each in spent if each.kept]
    losers = sum(each.loser_micros for each in started)
    cost = sum(each.micros for each in spent) + losers
    return {
        "turns": len(spent),
        "in_band": sum(each.in_band for each in spent),
        "held_back": dict(sorted(Counter(each.held_back for each in spent if each.held_back).items())),
        "two_tiers_started": len(started),
        "tier2_kept": sum(each.kept > 1 for each in started),
        "losers_cost_micros": losers,
        "losers_share_of_cost": round(losers / cost, 4) if cost else 0.0,
        "first_event_ms_with_two": _median_ms(started),
        "first_event_ms_in_band_with_one": _median_ms([each for each in spent if each.in_band and not each.kept]),
    }


def _median_ms(spent: Sequence[Spent]) -> float | None:
    waited = [each.first_event for each in spent if each.first_event is not None]
    return round(median(waited) * 1000, 1) if waited else None
