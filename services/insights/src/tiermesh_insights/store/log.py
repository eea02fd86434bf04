"""Takes the logs in: once by id, all of a batch or nothing, nobody in them who has been erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from tiermesh_insights.records import DecisionRow, EndingRow, OutcomeRow, PillRow, SampleRow, Stored, UsageRow
from tiermesh_insights.store.database import Database, fitted
from tiermesh_insights.store.partitions import Partitions
from tiermesh_insights.tables import DECISIONS, ENDINGS, ERASURES, OUTCOMES, PILLS, SAMPLES, USAGE
from tiermesh_insights.translation import without_subject

D = TypeVar("D", DecisionRow, SampleRow)


class Log:
    """The decision log, the ledger, outcomes and samples, as they come in."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._partitions = Partitions(database)

    async def record_decisions(self, rows: Sequence[DecisionRow]) -> Stored:
        """Store decisions; one that is known already is left as it is."""
        erased = await self._erased(rows)
        kept = [without_subject(row) if (row.tenant, row.subject_hash) in erased else row for row in rows]
        return await self._store(DECISIONS, kept)

    async def record_outcomes(self, rows: Sequence[OutcomeRow], endings: Sequence[EndingRow] = ()) -> Stored:
        """Store outcomes, and the ends of turns that came with them."""
        if endings:
            await self._store(ENDINGS, endings)
        return await self._store(OUTCOMES, rows)

    async def record_usage(self, rows: Sequence[UsageRow]) -> Stored:
        """Store ledger entries; a higher revision of an entry replaces a lower one, whatever their order."""
        return await self._store(USAGE, rows, newer=USAGE.c.revision)

    async def record_pills(self, rows: Sequence[PillRow]) -> Stored:
        """Store labels of pills; one that is known already is left as it is."""
        return await self._store(PILLS, rows)

    async def record_samples(self, rows: Sequence[SampleRow]) -> Stored:
        """Store samples, but none of a person who was erased."""
        erased = await self._erased(rows)
        kept = [row for row in rows if (row.tenant, row.subject_hash) not in erased]
        stored = await self._store(SAMPLES, kept)
        return replace(stored, known=len(rows) - stored.new)

    async def _erased(self, rows: Sequence[DecisionRow] | Sequence[SampleRow]) -> set[tuple[str, str]]:
        subjects = sorted({(row.tenant, row.subject_hash) for row in rows if row.subject_hash})
        if not subjects:
            return set()
        wanted = tuple_(ERASURES.c.tenant, ERASURES.c.subject_hash).in_(subjects)
        found = await self._database.rows(select(ERASURES.c.tenant, ERASURES.c.subject_hash).where(wanted))
        return {(tenant, subject) for tenant, subject in found}

    async def _store(self, table: Table, rows: Sequence[Any], newer: ColumnElement[int] | None = None) -> Stored:
        """Insert a batch; the same id twice counts once, in one batch or over many."""
        latest = _latest_per_key(table, rows)
        if not latest:
            return Stored(new=0, known=len(rows))
        await self._partitions.make_for(table, latest)
        received_at = await self._database.now() if "received_at" in table.c else None
        async with self._database.transaction() as connection:
            values = [fitted(table, asdict(row)) for row in latest]
            if received_at is not None:
                values = [{**value, "received_at": received_at} for value in values]
            stored = await self._insert(connection, table, values, newer)
        return Stored(new=stored, known=len(rows) - stored)

    async def _insert(
        self,
        connection: AsyncConnection,
        table: Table,
        values: list[dict[str, Any]],
        newer: ColumnElement[int] | None,
    ) -> int:
        statement = self._database.insert(table)
        key = [column.name for column in table.primary_key]
        if newer is None:
            statement = statement.on_conflict_do_nothing(index_elements=key)
        else:
            changed = {
                column.name: statement.excluded[column.name] for column in table.columns if column.name not in key
            }
            statement = statement.on_conflict_do_update(
                index_elements=key, set_=changed, where=newer < statement.excluded[newer.name]
            )
        done = await connection.execute(statement.returning(table.c[key[0]]), values)
        return len(done.all())


def _latest_per_key(table: Table, rows: Sequence[Any]) -> list[Any]:
    """Keep the highest revision of each id: one statement may not touch a row twice in a sensible order."""
    key = [column.name for column in table.primary_key]
    kept: dict[tuple[Any, ...], Any] = {}
    for row in rows:
        name = tuple(getattr(row, column) for column in key)
        if name not in kept or getattr(row, "revision", 0) > getattr(kept[name], "revision", 0):
            kept[name] = row
    return list(kept.values())
