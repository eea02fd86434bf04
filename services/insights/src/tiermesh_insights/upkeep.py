"""What the service does beside its calls: retention, and the gauges that dashboards and alerts look at."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import structlog

from tiermesh_insights.analysis import RECENT, Analysis
from tiermesh_insights.confidence import Judged, confidence_report
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.records import Selection
from tiermesh_insights.routing import routing_report
from tiermesh_insights.store import Store
from tiermesh_insights.store.upkeep import Retention

_BANDS = 10


@dataclass(frozen=True, slots=True)
class Upkeep:
    """One round after the other."""

    store: Store
    analysis: Analysis
    metrics: Metrics
    retention: Retention

    async def follow(self, every_seconds: float, stop: asyncio.Event) -> None:
        """Keep up until `stop`; a database that is away is tried again next time."""
        while not stop.is_set():
            try:
                await self.round()
            except Exception as error:  # whatever it is, calls go on and the next round tries again
                structlog.get_logger().warning("upkeep_put_off", error=type(error.__cause__ or error).__name__)
            try:
                async with asyncio.timeout(every_seconds):
                    await stop.wait()
            except TimeoutError:
                continue

    async def round(self) -> None:
        """Forget what is past its retention, then look at each tenant."""
        self.metrics.forgot(await self.store.upkeep.forget(self.retention, await self.store.now()))
        for tenant in await self.store.reading.tenants():
            await self._look_at(tenant)

    async def _look_at(self, tenant: str) -> None:
        recent = Selection(tenant, start=await self.store.now() - RECENT)
        cases = await self.analysis.cases(recent)
        tell = self.metrics.set
        tell("tiermesh.insights.threshold", tenant, (await self.analysis.in_force(tenant)).threshold)
        for point in routing_report(cases, await self.store.reports.endings(recent), None):
            rates = {
                "quality_loss": point.quality_loss,
                "cost_inflation": point.cost_inflation,
                "escalated": point.escalated,
                "bounced": point.bounces,
            }
            for name, rate in rates.items():
                if rate.count:
                    tell(f"tiermesh.insights.{name}", tenant, rate.value)
        if cases:
            spent = sum(line.cost_micros for line in await self.store.reports.cost(recent))
            tell("tiermesh.insights.cost_per_question", tenant, spent / len(cases))
        judged = [
            Judged(case.turn.confidence, case.success, case.weight)
            for case in cases
            if case.turn.confidence is not None
        ]
        error = confidence_report(judged, _BANDS).adaptive_error
        if error is not None:
            tell("tiermesh.insights.calibration_error", tenant, error.value)
        tell("tiermesh.insights.judge.trusted", tenant, float((await self.analysis.health(tenant)).trusted))
        tell("tiermesh.insights.judge.spent", tenant, float(await self.analysis.judge_spent(tenant)))
        drifts = await self.analysis.drift(Selection(tenant))
        self.metrics.drifted(tenant, drifts)
        for each in drifts:
            if each.flagged:
                structlog.get_logger().warning("drift", tenant=tenant, what=each.what, size=round(each.size, 4))
