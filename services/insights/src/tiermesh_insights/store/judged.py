"""Samples of text, what the judge said of them, and what people preferred."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import and_, exists, func, select

from tiermesh_insights.records import AuditRow, OutcomeRow, PreferenceRow, SampleRow, VerdictRow
from tiermesh_insights.store.database import Database, fitted
from tiermesh_insights.tables import AUDITS, OUTCOMES, PREFERENCES, SAMPLES, VERDICTS

_SAMPLE = [column for column in SAMPLES.columns if column.name != "received_at"]


class Judged:
    """What judging reads and writes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def unjudged(self, tenant: str, purpose: str, since: datetime, most: int) -> list[SampleRow]:
        """Return samples that have no verdict of this purpose, oldest first."""
        judged = exists().where(VERDICTS.c.sample_id == SAMPLES.c.sample_id, VERDICTS.c.purpose == purpose)
        statement = (
            select(*_SAMPLE)
            .where(SAMPLES.c.tenant == tenant, SAMPLES.c.at >= since, ~judged)
            .order_by(SAMPLES.c.at, SAMPLES.c.sample_id)
            .limit(most)
        )
        return [SampleRow(*row) for row in await self._database.rows(statement)]

    async def served_by(
        self, tenant: str, routes: Sequence[str], start: datetime | None, end: datetime | None, family: str = ""
    ) -> list[SampleRow]:
        """Return what was served on these routes."""
        conditions = [SAMPLES.c.tenant == tenant, SAMPLES.c.kind == "served", SAMPLES.c.route.in_(routes)]
        if start is not None:
            conditions.append(SAMPLES.c.at >= start)
        if end is not None:
            conditions.append(SAMPLES.c.at < end)
        if family:
            conditions.append(SAMPLES.c.intent.startswith(family, autoescape=True))
        statement = select(*_SAMPLE).where(*conditions).order_by(SAMPLES.c.sample_id)
        return [SampleRow(*row) for row in await self._database.rows(statement)]

    async def pairs(self, tenant: str, person: str, most: int) -> list[tuple[SampleRow, SampleRow]]:
        """Return (served, shadow) answers of one question that this person has not compared."""
        shadow = SAMPLES.alias("shadow")
        compared = exists().where(
            PREFERENCES.c.comparison_id == SAMPLES.c.sample_id + "~" + shadow.c.sample_id,
            PREFERENCES.c.person == person,
        )
        statement = (
            select(*_SAMPLE, *(shadow.c[column.name] for column in _SAMPLE))
            .select_from(
                SAMPLES.join(
                    shadow, and_(shadow.c.tenant == SAMPLES.c.tenant, shadow.c.decision_id == SAMPLES.c.decision_id)
                )
            )
            .where(
                SAMPLES.c.tenant == tenant,
                SAMPLES.c.kind == "served",
                shadow.c.kind == "shadow",
                SAMPLES.c.answer != "",
                shadow.c.answer != "",
                ~compared,
            )
            .order_by(SAMPLES.c.at.desc())
            .limit(most)
        )
        width = len(_SAMPLE)
        return [(SampleRow(*row[:width]), SampleRow(*row[width:])) for row in await self._database.rows(statement)]

    async def sample(self, tenant: str, sample_id: str) -> SampleRow | None:
        """Return one sample of the tenant; None when it has none such."""
        statement = select(*_SAMPLE).where(SAMPLES.c.tenant == tenant, SAMPLES.c.sample_id == sample_id)
        rows = await self._database.rows(statement)
        return SampleRow(*rows[0]) if rows else None

    async def store_verdict(self, verdict: VerdictRow, outcome: OutcomeRow | None, now: datetime) -> None:
        """Store a verdict with the outcome that it makes, both or neither; what is known already stays."""
        async with self._database.transaction() as connection:
            said = self._database.insert(VERDICTS).values(**fitted(VERDICTS, asdict(verdict)))
            await connection.execute(said.on_conflict_do_nothing(index_elements=["sample_id", "purpose"]))
            if outcome is not None:
                row = {**fitted(OUTCOMES, asdict(outcome)), "received_at": now}
                made = self._database.insert(OUTCOMES).values(**row)
                await connection.execute(made.on_conflict_do_nothing(index_elements=["outcome_id", "at"]))

    async def verdicts(self, tenant: str, start: datetime | None, end: datetime | None) -> list[VerdictRow]:
        """Return what the judge said in a time."""
        conditions = [VERDICTS.c.tenant == tenant]
        if start is not None:
            conditions.append(VERDICTS.c.at >= start)
        if end is not None:
            conditions.append(VERDICTS.c.at < end)
        return [VerdictRow(*row) for row in await self._database.rows(select(VERDICTS).where(*conditions))]

    async def spent(self, tenant: str, since: datetime) -> int:
        """Return what judging has cost since a moment, in micro-dollars."""
        total = func.coalesce(func.sum(VERDICTS.c.cost_micros), 0)
        rows = await self._database.rows(select(total).where(VERDICTS.c.tenant == tenant, VERDICTS.c.at >= since))
        return int(rows[0][0])

    async def store_preference(self, row: PreferenceRow, outcome: OutcomeRow | None) -> PreferenceRow:
        """Store a person's first word on a comparison; return the word that stands."""
        async with self._database.transaction() as connection:
            said = self._database.insert(PREFERENCES).values(**asdict(row))
            await connection.execute(said.on_conflict_do_nothing(index_elements=["comparison_id", "person"]))
            if outcome is not None:
                made = self._database.insert(OUTCOMES).values(**{**asdict(outcome), "received_at": row.at})
                await connection.execute(made.on_conflict_do_nothing(index_elements=["outcome_id", "at"]))
            same = (PREFERENCES.c.comparison_id == row.comparison_id, PREFERENCES.c.person == row.person)
            found = (await connection.execute(select(*_PREFERENCE).where(*same))).one()
        return PreferenceRow(*found)

    async def preferences(self, tenant: str, start: datetime | None, end: datetime | None) -> list[PreferenceRow]:
        """Return what people preferred in a time."""
        conditions = [PREFERENCES.c.tenant == tenant]
        if start is not None:
            conditions.append(PREFERENCES.c.at >= start)
        if end is not None:
            conditions.append(PREFERENCES.c.at < end)
        return [PreferenceRow(*row) for row in await self._database.rows(select(*_PREFERENCE).where(*conditions))]

    async def store_audit(self, row: AuditRow) -> None:
        """Keep what an audit found."""
        async with self._database.transaction() as connection:
            await connection.execute(self._database.insert(AUDITS).values(**asdict(row)))


_PREFERENCE = [
    PREFERENCES.c[name]
    for name in ("comparison_id", "person", "tenant", "at", "first_tier", "second_tier", "preference")
]
