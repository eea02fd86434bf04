"""The metrics of insights. Their names are stable: dashboards and alerts are built on them.

Counters and histograms are written where things happen; the gauges hold what the last round of upkeep or the last audit
found. No label holds anything of a person; `tiermesh.tenant` is on what is per tenant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from opentelemetry.metrics import CallbackOptions, Observation
from tiermesh_runtime import semconv, telemetry

from tiermesh_insights.drift import Drift
from tiermesh_insights.records import Stored

_Key = tuple[tuple[str, str], ...]
_Callback = Callable[[CallbackOptions], Iterable[Observation]]


class Metrics:
    """What insights tells of itself and of the log."""

    def __init__(self) -> None:
        meter = telemetry.meter("tiermesh_insights")
        self._stored = meter.create_counter("tiermesh.insights.records.stored", description="Records that were new.")
        self._known = meter.create_counter(
            "tiermesh.insights.records.repeated", description="Records that had been stored before."
        )
        self._ahead = meter.create_counter(
            "tiermesh.insights.outcomes.from_the_future", description="Outcomes whose sender's clock is ahead."
        )
        self._forgotten = meter.create_counter(
            "tiermesh.insights.records.forgotten", description="Rows or days taken out past their retention."
        )
        self._verdicts = meter.create_counter(
            "tiermesh.insights.judge.verdicts", description="Verdicts by result: good, bad, none."
        )
        self._judge_cost = meter.create_counter(
            "tiermesh.insights.judge.cost", unit="{micro_usd}", description="What judging cost."
        )
        self._values: dict[str, dict[_Key, float]] = {}
        for name, description in _GAUGES.items():
            meter.create_observable_gauge(name, [self._reader(name)], description=description)

    def recorded(self, kind: str, done: Stored) -> None:
        """A batch was taken in."""
        self._stored.add(done.new, {"kind": kind})
        self._known.add(done.known, {"kind": kind})

    def from_the_future(self, count: int) -> None:
        """Outcomes came with a moment that is not yet."""
        if count:
            self._ahead.add(count)

    def forgot(self, count: int) -> None:
        """Retention took something out."""
        self._forgotten.add(count)

    def judged(self, tenant: str, result: str, cost_micros: int) -> None:
        """The judge gave a verdict, or none."""
        self._verdicts.add(1, {semconv.TENANT: tenant, "result": result})
        self._judge_cost.add(cost_micros, {semconv.TENANT: tenant})

    def set(self, name: str, tenant: str, value: float, **labels: str) -> None:
        """Set a gauge of one tenant."""
        if name not in _GAUGES:
            raise KeyError(name)
        key = ((semconv.TENANT, tenant), *sorted(labels.items()))
        self._values.setdefault(name, {})[key] = value

    def drifted(self, tenant: str, drifts: Iterable[Drift]) -> None:
        """Hold what the last look at drift found: 1 where it is flagged."""
        for each in drifts:
            self.set("tiermesh.insights.drift.flagged", tenant, float(each.flagged), what=each.what)
            self.set("tiermesh.insights.drift.size", tenant, each.size, what=each.what)

    def value(self, name: str, tenant: str, **labels: str) -> float | None:
        """Return what a gauge holds."""
        return self._values.get(name, {}).get(((semconv.TENANT, tenant), *sorted(labels.items())))

    def _reader(self, name: str) -> _Callback:
        def read(_: CallbackOptions) -> Iterable[Observation]:
            return [Observation(value, dict(key)) for key, value in self._values.get(name, {}).items()]

        return read


_GAUGES: Mapping[str, str] = {
    "tiermesh.insights.threshold": "Confidence from which tier 1 may answer.",
    "tiermesh.insights.quality_loss": "Share of rated tier-1 turns that tier 1 should not have answered, 30 days.",
    "tiermesh.insights.cost_inflation": "Share of shadowed tier-2 turns that tier 1 would have answered, 30 days.",
    "tiermesh.insights.escalated": "Share of turns that ended above tier 1, 30 days.",
    "tiermesh.insights.bounced": "Share of tier-1 turns that were handed over, 30 days.",
    "tiermesh.insights.cost_per_question": "Mean cost of a question in micro-dollars, 30 days.",
    "tiermesh.insights.calibration_error": "Calibration error of the confidence over adaptive bins, 30 days.",
    "tiermesh.insights.drift.flagged": "1 where what the last month shows differs from the quarter before.",
    "tiermesh.insights.drift.size": "Size of that change in the measure's own unit.",
    "tiermesh.insights.judge.trusted": "1 where the judge's word may move a threshold.",
    "tiermesh.insights.judge.spent": "What judging cost this month, in micro-dollars.",
    "tiermesh.insights.audit.misroute": "Misroute rate that the last audit found.",
    "tiermesh.insights.audit.failed": "1 where the last audit found a limit broken.",
}
