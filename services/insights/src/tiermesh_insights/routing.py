"""Where questions went and what became of it, point by point in time. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from tiermesh_insights.evidence import Case
from tiermesh_insights.records import EndingRow
from tiermesh_insights.statistics import NOTHING_KNOWN, Rate, share, weighted

# A report is read by people: more points than this are merged into longer ones.
MOST_POINTS = 400
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Latency:
    """Milliseconds since the question came in, to the first answer event and to the end. None without a turn."""

    name: str
    count: int
    first_p50: float | None
    first_p95: float | None
    total_p50: float | None
    total_p95: float | None


@dataclass(frozen=True, slots=True)
class RoutingPoint:
    """One stretch of time."""

    start: datetime
    decisions: int
    routes: Mapping[str, Rate]
    tiers: Mapping[str, Rate]
    stages: Mapping[str, Rate]
    positions: Mapping[str, Rate]
    rules: Mapping[str, Rate]
    position_success: Mapping[str, Rate]
    quality_loss: Rate
    cost_inflation: Rate
    bounces: Rate
    escalated: Rate
    traps_refused: int
    latencies: Sequence[Latency]


def routing_report(
    cases: Sequence[Case], endings: Mapping[str, EndingRow], step: timedelta | None
) -> list[RoutingPoint]:
    """One point per `step`, the empty ones left out; one for all without a step."""
    if not cases:
        return []
    if step is None or step <= timedelta(0):
        return [_point(cases[0].turn.at, cases, endings)]
    step = max(step, (cases[-1].turn.at - cases[0].turn.at) / MOST_POINTS)
    groups: dict[datetime, list[Case]] = {}
    for case in cases:
        groups.setdefault(start_of(case.turn.at, step), []).append(case)
    return [_point(start, groups[start], endings) for start in sorted(groups)]


def start_of(moment: datetime, step: timedelta) -> datetime:
    """Return the start of the stretch that a moment is in; stretches are counted from the epoch."""
    return _EPOCH + (moment - _EPOCH) // step * step


def _point(start: datetime, cases: Sequence[Case], endings: Mapping[str, EndingRow]) -> RoutingPoint:
    ended = [(case, endings[case.turn.decision_id]) for case in cases if case.turn.decision_id in endings]
    # Bounces are told by how turns ended; of a sender that does not say, nothing is known.
    tier1 = [end for case, end in ended if case.turn.route == "tier1"]
    up = sum(case.turn.tier >= 2 for case in cases) + sum(end.tier >= 2 for case, end in ended if case.turn.tier < 2)
    return RoutingPoint(
        start=start,
        decisions=len(cases),
        routes=_shares(cases, lambda case: case.turn.route),
        tiers=_shares(cases, lambda case: f"tier{case.turn.tier}"),
        stages=_shares(cases, lambda case: case.turn.stage or "none"),
        positions=_shares(cases, lambda case: case.turn.position or "unknown"),
        rules=_shares(cases, lambda case: case.turn.settled_by or "unknown"),
        position_success=_successes(cases),
        quality_loss=_loss([case for case in cases if case.turn.route == "tier1" and case.labelled]),
        cost_inflation=_success([case for case in cases if case.turn.route == "tier2" and case.labelled]),
        bounces=share(sum(bool(end.bounce_cause) for end in tier1), len(tier1)),
        escalated=share(up, len(cases)),
        traps_refused=sum(case.turn.high_scope for case in cases),
        latencies=_latencies(ended),
    )


def _shares(cases: Sequence[Case], name: Callable[[Case], str]) -> dict[str, Rate]:
    counts = Counter(name(case) for case in cases)
    return {each: share(count, len(cases)) for each, count in counts.most_common()}


def _successes(cases: Sequence[Case]) -> dict[str, Rate]:
    """Success of tier 1 by place in the conversation."""
    positions = Counter(case.turn.position or "unknown" for case in cases if case.success is not None)
    found = {
        position: _weighted([case for case in cases if (case.turn.position or "unknown") == position])
        for position in positions
    }
    return {position: rate for position, rate in found.items() if rate is not None}


def _weighted(cases: Iterable[Case], *, wrong: bool = False) -> Rate | None:
    known = [case for case in cases if case.success is not None]
    success = np.array([case.success or 0.0 for case in known], dtype=np.float64)
    return weighted(1 - success if wrong else success, np.array([case.weight for case in known], dtype=np.float64))


def _loss(cases: Sequence[Case]) -> Rate:
    return _weighted(cases, wrong=True) or NOTHING_KNOWN


def _success(cases: Sequence[Case]) -> Rate:
    return _weighted(cases) or NOTHING_KNOWN


def _latencies(ended: Sequence[tuple[Case, EndingRow]]) -> list[Latency]:
    groups: dict[str, list[EndingRow]] = {}
    for case, end in ended:
        groups.setdefault("bounced" if end.bounce_cause else case.turn.route, []).append(end)
    return [_latency(name, groups[name]) for name in sorted(groups)]


def _latency(name: str, ends: Sequence[EndingRow]) -> Latency:
    def percentile(values: list[float], at: float) -> float | None:
        return float(np.percentile(values, at)) if values else None

    first = [end.first_ms for end in ends if end.first_ms is not None]
    total = [end.total_ms for end in ends if end.total_ms is not None]
    return Latency(
        name, len(ends), percentile(first, 50), percentile(first, 95), percentile(total, 50), percentile(total, 95)
    )
