"""The judge's work: new samples, tenant by tenant, within what each may spend."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import structlog

from tiermesh_insights.analysis import Analysis
from tiermesh_insights.judging.judge import Model, ModelFailedError, judge, outcome_of
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.records import SampleRow, VerdictRow
from tiermesh_insights.store import Store

LIVE = "live"
# Samples older than this are no longer judged for the log; an audit still may.
_FRESH = timedelta(days=7)
_AT_ONCE = 4
_PER_ROUND = 40
# Of the cap: the most that one verdict may cost.
_PER_VERDICT = 0.02


@dataclass(frozen=True, slots=True)
class JudgingWork:
    """Judges what came in."""

    store: Store
    analysis: Analysis
    model: Model
    metrics: Metrics

    async def follow(self, every_seconds: float, stop: asyncio.Event) -> None:
        """Judge again and again until `stop`."""
        while not stop.is_set():
            try:
                await self.round()
            except Exception as error:  # whatever it is, calls go on and the next round tries again
                structlog.get_logger().warning("judging_paused", error=type(error.__cause__ or error).__name__)
            try:
                async with asyncio.timeout(every_seconds):
                    await stop.wait()
            except TimeoutError:
                continue

    async def round(self) -> int:
        """Judge what is new, at most a round's worth per tenant; return how many verdicts there were."""
        count = 0
        since = await self.store.now() - _FRESH
        for tenant in await self.store.reading.tenants():
            samples = await self.store.judged.unjudged(tenant, LIVE, since, _PER_ROUND)
            count += len(await self.judge(tenant, samples, LIVE))
        return count

    async def judge(self, tenant: str, samples: list[SampleRow], purpose: str) -> list[VerdictRow]:
        """Judge these samples until the tenant's cap is reached; those that the model could not read stay unjudged."""
        cap = self.analysis.tenant(tenant).judge_cap_micros
        left = cap - await self.analysis.judge_spent(tenant)
        slots = asyncio.Semaphore(_AT_ONCE)
        done: list[VerdictRow] = []
        # What the user saw stands beside what tier 1 would have said.
        served = {sample.decision_id: sample for sample in samples if sample.kind == "served"}

        async def one(sample: SampleRow) -> None:
            nonlocal left
            async with slots:
                if left <= 0:
                    return
                reference = served.get(sample.decision_id) if sample.kind == "shadow" else None
                try:
                    verdict = await judge(
                        self.model,
                        sample,
                        reference,
                        purpose=purpose,
                        at=await self.store.now(),
                        most_micros=max(1, round(cap * _PER_VERDICT)),
                    )
                except ModelFailedError as error:
                    structlog.get_logger().warning("judge_failed", reason=str(error))
                    return
                left -= verdict.cost_micros
                await self._keep(verdict, sample)
                done.append(verdict)

        async with asyncio.TaskGroup() as group:
            for sample in samples:
                group.create_task(one(sample))
        if left <= 0 and samples:
            structlog.get_logger().warning("judge_cap_reached", tenant=tenant, cap_micros=cap)
        return done

    async def _keep(self, verdict: VerdictRow, sample: SampleRow) -> None:
        await self.store.judged.store_verdict(verdict, outcome_of(verdict, sample), await self.store.now())
        result = "none" if verdict.score is None else "good" if verdict.score >= 0.5 else "bad"
        self.metrics.judged(verdict.tenant, result, verdict.cost_micros)
