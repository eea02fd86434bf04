"""What leaves: records past their retention, and persons who are erased."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, Table, and_, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tiermesh_insights.store.database import Database
from tiermesh_insights.store.partitions import days_of
from tiermesh_insights.tables import (
    DECISIONS,
    ENDINGS,
    ERASURES,
    OUTCOMES,
    PARTITIONED,
    PILLS,
    PREFERENCES,
    SAMPLES,
    USAGE,
    VERDICTS,
)
from tiermesh_insights.translation import without_subject_bytes


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept. Samples hold text, so they go first."""

    log: timedelta
    samples: timedelta


class Upkeep:
    """Takes out what may no longer be kept."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def forget(self, retention: Retention, now: datetime) -> int:
        """Take out what is past its retention; return how many rows, or partitions, went."""
        gone = 0
        async with self._database.transaction(alone="partitions") as connection:
            for table in (DECISIONS, USAGE, OUTCOMES, ENDINGS):
                gone += await self._forget_log(connection, table, now - retention.log)
            gone += await _delete(connection, SAMPLES, SAMPLES.c.at < now - retention.samples)
            # A verdict's reason may quote the answer: it goes with the sample.
            gone += await _delete(connection, VERDICTS, VERDICTS.c.at < now - retention.samples)
            gone += await _delete(connection, PILLS, PILLS.c.at < now - retention.log)
            gone += await _delete(connection, PREFERENCES, PREFERENCES.c.at < now - retention.log)
        return gone

    async def erase(self, tenant: str, subject_hash: str, now: datetime) -> int:
        """Take a person out: samples and what was said of them go, decisions lose the person.

        Amounts stay in the ledger, which names no person. What is still on its way is stripped when it comes.
        """
        of_person = and_(DECISIONS.c.tenant == tenant, DECISIONS.c.subject_hash == subject_hash)
        samples = and_(SAMPLES.c.tenant == tenant, SAMPLES.c.subject_hash == subject_hash)
        async with self._database.transaction() as connection:
            known = self._database.insert(ERASURES).values(tenant=tenant, subject_hash=subject_hash, at=now)
            await connection.execute(known.on_conflict_do_nothing(index_elements=["tenant", "subject_hash"]))
            judged = VERDICTS.c.sample_id.in_(select(SAMPLES.c.sample_id).where(samples))
            gone = await _delete(connection, VERDICTS, and_(VERDICTS.c.tenant == tenant, judged))
            gone += await _delete(connection, SAMPLES, samples)
            gone += await _delete(
                connection, PREFERENCES, and_(PREFERENCES.c.tenant == tenant, PREFERENCES.c.person == subject_hash)
            )
            found = (
                await connection.execute(
                    select(DECISIONS.c.decision_id, DECISIONS.c.decided_at, DECISIONS.c.record).where(of_person)
                )
            ).all()
            for decision_id, decided_at, record in found:
                changed = update(DECISIONS).where(
                    DECISIONS.c.decision_id == decision_id, DECISIONS.c.decided_at == decided_at
                )
                await connection.execute(changed.values(subject_hash="", record=without_subject_bytes(record)))
        return gone + len(found)

    async def _forget_log(self, connection: AsyncConnection, table: Table, before: datetime) -> int:
        gone = 0
        if self._database.is_postgresql:
            for name, day in await days_of(connection, table.name):
                if day < before.date():
                    await connection.exec_driver_sql(f"DROP TABLE {name}")
                    gone += 1
        return gone + await _delete(connection, table, table.c[PARTITIONED[table.name]] < before)


async def _delete(connection: AsyncConnection, table: Table, condition: Any) -> int:
    done = cast("CursorResult[Any]", await connection.execute(delete(table).where(condition)))
    return max(done.rowcount, 0)
