"""What reports, proposals, judge and audit all ask for: evidence, how far to believe it, what is in force.

Reads the store and hands to the arithmetic; knows no RPC.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tiermesh_insights.drift import Drift, drift
from tiermesh_insights.evidence import Case, cases
from tiermesh_insights.quality import JudgeHealth, Limits, judge_health
from tiermesh_insights.records import PolicyRow, Selection
from tiermesh_insights.settings import TenantTuning, Tuning
from tiermesh_insights.store import Store

# "Of late", held against the quarter before it.
RECENT = timedelta(days=30)
QUARTER = timedelta(days=91)
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Analysis:
    """Evidence, by what is asked of it."""

    store: Store
    tuning: Tuning
    limits: Limits = field(default_factory=Limits)

    def tenant(self, name: str) -> TenantTuning:
        """Return what a tenant wants."""
        return self.tuning.of(name)

    async def cases(self, selection: Selection, *, to_move_thresholds: bool = False) -> list[Case]:
        """Return turns with what is known of them; to move thresholds, only a sound judge's word is taken."""
        believe = not to_move_thresholds or (await self.health(selection.tenant)).trusted
        turns = await self.store.reading.turns(selection)
        return cases(turns, await self.store.reading.outcomes(selection), believe_own_judge=believe)

    async def health(self, tenant: str) -> JudgeHealth:
        """Measure the judge over the last quarter."""
        now = await self.store.now()
        recent = Selection(tenant, start=now - QUARTER)
        verdicts = await self.store.judged.verdicts(tenant, recent.start, None)
        return judge_health(verdicts, await self.store.reading.outcomes(recent) if verdicts else (), self.limits)

    async def judge_spent(self, tenant: str) -> int:
        """Return what judging has cost this month."""
        now = await self.store.now()
        return await self.store.judged.spent(tenant, now.replace(day=1, hour=0, minute=0, second=0, microsecond=0))

    async def in_force(self, tenant: str) -> PolicyRow:
        """Return the threshold in force: as applied here, else as the newest decision knew it, else the default."""
        versions = await self.store.policies.current([tenant])
        if versions:
            return versions[0]
        known = await self.store.reading.base_threshold(tenant)
        threshold = known[0] if known else self.tenant(tenant).default_threshold
        return PolicyRow(tenant, 0, "", threshold, False, _NEVER, "", "", "")

    async def drift(self, selection: Selection) -> list[Drift]:
        """Hold the selection's last month against the quarter before it."""
        end = selection.end or await self.store.now()
        since = end - RECENT
        recent = await self.cases(replace(selection, start=since, end=end))
        before = await self.cases(replace(selection, start=since - QUARTER, end=since))
        return drift(recent, before, since)
