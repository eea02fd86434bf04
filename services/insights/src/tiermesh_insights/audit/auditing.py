"""Runs an audit: draws, has judged, reads the ledger, and puts the findings together."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from uuid import uuid4

import numpy as np

from tiermesh_insights.analysis import QUARTER, Analysis
from tiermesh_insights.audit.findings import Findings, MidModel
from tiermesh_insights.audit.sampling import draw, misroutes
from tiermesh_insights.confidence import Judged, confidence_report
from tiermesh_insights.costs import JUDGE_TAG, ROUTER_TAG, saving_against, saving_against_tier2, spent_on
from tiermesh_insights.evidence import Case
from tiermesh_insights.judging.work import JudgingWork
from tiermesh_insights.metrics import Metrics
from tiermesh_insights.records import AuditRow, SampleRow, Selection, VerdictRow
from tiermesh_insights.store import Store

_BANDS = 20


class NothingToJudgeError(Exception):
    """No sample of a tier-1 answer in the selection, or the judge gave no verdict at all; the argument says which."""


@dataclass(frozen=True, slots=True)
class Auditing:
    """Audits tenants. Without a judge there is no audit."""

    store: Store
    analysis: Analysis
    work: JudgingWork
    metrics: Metrics

    async def run(self, selection: Selection, count: int, seconds: float, mid_model: str = "") -> Findings:
        """Audit a selection, the last quarter where it has no start; judges for at most `seconds`."""
        now = await self.store.now()
        wanted = selection if selection.start else replace(selection, start=(selection.end or now) - QUARTER)
        audit_id = uuid4().hex
        cases = await self.analysis.cases(wanted)
        asked = Counter(case.turn.intent for case in cases if case.turn.route == "tier1")
        judged = await self._judged(wanted, asked, count, seconds, audit_id)
        lines = await self.store.reports.cost(wanted)
        answering = [line for line in lines if line.tag not in (JUDGE_TAG, ROUTER_TAG, "suggest")]
        tuning = self.analysis.tuning
        mid = MidModel(mid_model or tuning.mid_model, tuning.mid_model_input, tuning.mid_model_output)
        in_force = await self.analysis.in_force(wanted.tenant)
        found = Findings(
            audit_id=audit_id,
            tenant=wanted.tenant,
            at=now,
            start=wanted.start,
            end=wanted.end,
            misroutes=misroutes(judged, asked),
            misroute_limit=tuning.misroute_limit,
            judged=len(judged),
            judge=await self.analysis.health(wanted.tenant),
            confidence=confidence_report(_judged_cases(cases), _BANDS),
            threshold=in_force.threshold,
            questions=len(cases),
            spent_micros=sum(line.cost_micros for line in lines),
            router_micros=spent_on(lines, ROUTER_TAG),
            judge_micros=spent_on(lines, JUDGE_TAG),
            saving_tier2=saving_against_tier2(cases),
            saving_mid=saving_against(cases, mid.cost_of(answering, len(cases))),
            mid_model=mid.name,
            router_share_limit=tuning.router_share_limit,
        )
        await self._keep(found)
        return found

    async def _judged(
        self, wanted: Selection, asked: Counter[str], count: int, seconds: float, audit_id: str
    ) -> list[tuple[SampleRow, VerdictRow]]:
        samples = await self.store.judged.served_by(wanted.tenant, ("tier1",), wanted.start, wanted.end, wanted.family)
        if not samples:
            raise NothingToJudgeError("no sampled answer of tier 1 lies in the selection; samples come with questions")
        drawn = draw(samples, asked, count, seed=int(np.frombuffer(bytes.fromhex(audit_id[:8]), np.uint32)[0]))
        purpose = f"audit-{audit_id[:12]}"
        verdicts: list[VerdictRow] = []
        try:
            async with asyncio.timeout(seconds):
                # Small steps, so that what is judged when time is up still counts.
                for start in range(0, len(drawn), 16):
                    verdicts += await self.work.judge(wanted.tenant, drawn[start : start + 16], purpose)
        except TimeoutError:
            pass
        if not verdicts:
            raise NothingToJudgeError("the judge gave no verdict: it cannot be reached, or its spend is at the cap")
        by_id = {sample.sample_id: sample for sample in drawn}
        return [(by_id[verdict.sample_id], verdict) for verdict in verdicts]

    async def _keep(self, found: Findings) -> None:
        rate = found.misroutes.rate
        row = AuditRow(
            found.audit_id,
            found.tenant,
            found.at,
            rate.value,
            rate.low,
            rate.high,
            found.judged,
            bool(found.failures),
        )
        await self.store.judged.store_audit(row)
        self.metrics.set("tiermesh.insights.audit.misroute", found.tenant, rate.value)
        self.metrics.set("tiermesh.insights.audit.failed", found.tenant, float(bool(found.failures)))


def _judged_cases(cases: list[Case]) -> list[Judged]:
    return [
        Judged(case.turn.confidence, case.success, case.weight) for case in cases if case.turn.confidence is not None
    ]
