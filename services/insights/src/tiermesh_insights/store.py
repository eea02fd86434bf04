"""Stores records once and reads them back for reports: SQLite embedded, PostgreSQL in production."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, Table, and_, case, exists, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tiermesh_insights.records import (
    CostLine,
    DecisionRow,
    Judged,
    OutcomeRow,
    PillLine,
    PillRow,
    Selection,
    Stored,
    UsageRow,
)
from tiermesh_insights.tables import DECISIONS, METADATA, OUTCOMES, PILLS, USAGE

# Sources that speak of tier 1 also when another tier answered.
COUNTERFACTUAL_SOURCES = ("shadow",)


class StoreUnavailableError(Exception):
    """The database could not be reached or refused; nothing of the batch was stored."""


class Store:
    """The decision log. Every `record_*` is one transaction: all of a batch or nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._insert = postgresql.insert if engine.dialect.name == "postgresql" else sqlite.insert

    @classmethod
    async def open(cls, database: str) -> Store:
        """Connect to `sqlite:///path` or `postgresql://…` and make the tables that are not there.

        Raises StoreUnavailableError.
        """
        _check_folder(database)
        url = database.replace("sqlite:///", "sqlite+aiosqlite:///", 1).replace(
            "postgresql://", "postgresql+asyncpg://", 1
        )
        store = cls(create_async_engine(url, pool_pre_ping=True))
        try:
            async with store._engine.begin() as connection:
                if store._engine.dialect.name == "sqlite":
                    # Readers go on while a batch is written, and a commit survives the process.
                    await connection.exec_driver_sql("PRAGMA journal_mode=WAL")
                await connection.run_sync(METADATA.create_all)
        except (DBAPIError, OSError) as error:
            await store.close()
            raise StoreUnavailableError(str(error)) from error
        return store

    async def close(self) -> None:
        """Give the connections back."""
        await self._engine.dispose()

    async def record_decisions(self, rows: Sequence[DecisionRow]) -> Stored:
        """Store decisions; one that is known already is left as it is."""
        return await self._store(DECISIONS, "decision_id", rows)

    async def record_outcomes(self, rows: Sequence[OutcomeRow]) -> Stored:
        """Store outcomes; one that is known already is left as it is."""
        return await self._store(OUTCOMES, "outcome_id", rows)

    async def record_usage(self, rows: Sequence[UsageRow]) -> Stored:
        """Store ledger entries; a higher revision of an entry replaces a lower one, whatever their order."""
        return await self._store(USAGE, "entry_id", rows, newer=USAGE.c.revision)

    async def record_pills(self, rows: Sequence[PillRow]) -> Stored:
        """Store labels of pills; one that is known already is left as it is."""
        return await self._store(PILLS, "label_id", rows)

    async def pills(self, selection: Selection) -> list[PillLine]:
        """Return what became of the pills of a selection.

        A pill is ignored when it was shown, was not clicked, and its conversation went on.
        """
        shown, clicked, then = PILLS.alias("shown"), PILLS.alias("clicked"), DECISIONS.alias("then")
        click = exists().where(
            clicked.c.tenant == shown.c.tenant, clicked.c.pill_id == shown.c.pill_id, clicked.c.state == "clicked"
        )
        went_on = exists().where(
            then.c.tenant == DECISIONS.c.tenant,
            then.c.conversation_id == DECISIONS.c.conversation_id,
            then.c.turn > DECISIONS.c.turn,
        )
        keys = (shown.c.tier, shown.c.kind, shown.c.source)
        statement = (
            select(
                *keys,
                func.count(),
                func.sum(case((click, 1), else_=0)),
                func.sum(case((and_(~click, went_on), 1), else_=0)),
            )
            .select_from(
                shown.join(
                    DECISIONS,
                    and_(DECISIONS.c.tenant == shown.c.tenant, DECISIONS.c.decision_id == shown.c.decision_id),
                )
            )
            .where(shown.c.state == "shown", *_selected(selection))
            .group_by(*keys)
            .order_by(*keys)
        )
        return [PillLine(*(int(value) for value in row)) for row in await self._rows(statement)]

    async def judged(self, selection: Selection) -> list[Judged]:
        """Return every decision's confidence with the evidence on tier 1.

        Only what speaks of tier 1 counts: any outcome where tier 1 answered, and counterfactual ones elsewhere.
        """
        speaks = and_(
            OUTCOMES.c.tenant == DECISIONS.c.tenant,
            OUTCOMES.c.decision_id == DECISIONS.c.decision_id,
            or_(DECISIONS.c.route == "tier1", OUTCOMES.c.source.in_(COUNTERFACTUAL_SOURCES)),
        )
        weight = func.coalesce(func.sum(OUTCOMES.c.weight), 0.0)
        success = func.sum(OUTCOMES.c.weight * OUTCOMES.c.success)
        statement = (
            select(DECISIONS.c.confidence, success, weight)
            .select_from(DECISIONS.outerjoin(OUTCOMES, speaks))
            .where(DECISIONS.c.confidence.is_not(None), *_selected(selection))
            .group_by(DECISIONS.c.decision_id, DECISIONS.c.confidence)
        )
        return [
            Judged(confidence, total / weighed if weighed else None, weighed)
            for confidence, total, weighed in await self._rows(statement)
        ]

    async def last_threshold(self, tenant: str) -> tuple[float, str] | None:
        """Return the threshold and version of the newest decision, or None before the first."""
        statement = (
            select(DECISIONS.c.threshold, DECISIONS.c.threshold_version)
            .where(DECISIONS.c.tenant == tenant)
            .order_by(DECISIONS.c.decided_at.desc())
            .limit(1)
        )
        rows = await self._rows(statement)
        return (rows[0][0], rows[0][1]) if rows else None

    async def routes(self, selection: Selection) -> dict[str, int]:
        """Return how many decisions each route took."""
        statement = select(DECISIONS.c.route, func.count()).where(*_selected(selection)).group_by(DECISIONS.c.route)
        return {row[0]: row[1] for row in await self._rows(statement)}

    async def cost(self, selection: Selection) -> list[CostLine]:
        """Return spend per tag and tier in the selection's time; the family does not narrow it."""
        tokens = [
            USAGE.c[f"{name}_tokens"] for name in ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
        ]
        conditions: list[ColumnElement[bool]] = [USAGE.c.tenant == selection.tenant]
        if selection.start is not None:
            conditions.append(USAGE.c.started_at >= selection.start)
        if selection.end is not None:
            conditions.append(USAGE.c.started_at < selection.end)
        statement = (
            select(
                USAGE.c.tag,
                USAGE.c.tier,
                func.count(),
                func.sum(USAGE.c.cost_micros),
                func.max(USAGE.c.at_least.cast(USAGE.c.tier.type)),
                *(func.sum(column) for column in tokens),
            )
            .where(*conditions)
            .group_by(USAGE.c.tag, USAGE.c.tier)
            .order_by(func.sum(USAGE.c.cost_micros).desc())
        )
        return [
            CostLine(row[0], row[1], row[2], int(row[3]), bool(row[4]), *(int(value) for value in row[5:]))
            for row in await self._rows(statement)
        ]

    async def _store(
        self, table: Table, key: str, rows: Sequence[Any], newer: ColumnElement[int] | None = None
    ) -> Stored:
        """Insert a batch; the same id twice counts once, in one batch or over many."""
        latest = _latest_per_key(rows, key)
        statement = self._insert(table)
        if newer is None:
            statement = statement.on_conflict_do_nothing(index_elements=[key])
        else:
            changed = {column.name: statement.excluded[column.name] for column in table.columns if column.name != key}
            statement = statement.on_conflict_do_update(
                index_elements=[key], set_=changed, where=newer < statement.excluded[newer.name]
            )
        stored = 0
        try:
            async with self._engine.begin() as connection:
                for row in latest:
                    result = cast("CursorResult[Any]", await connection.execute(statement, asdict(row)))
                    stored += max(result.rowcount, 0)
        except (DBAPIError, OSError) as error:
            raise StoreUnavailableError(str(error)) from error
        return Stored(new=stored, known=len(rows) - stored)

    async def _rows(self, statement: Any) -> Sequence[Any]:
        try:
            async with self._engine.connect() as connection:
                return (await connection.execute(statement)).all()
        except (DBAPIError, OSError) as error:
            raise StoreUnavailableError(str(error)) from error


def _check_folder(database: str) -> None:
    """Raise StoreUnavailableError when an embedded database would lie in a folder that is not there."""
    folder = Path(database.removeprefix("sqlite:///")).absolute().parent
    if database.startswith("sqlite:///") and not folder.is_dir():
        raise StoreUnavailableError(f"the folder {folder} does not exist; make it, or name another file")


def _selected(selection: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [DECISIONS.c.tenant == selection.tenant]
    if selection.start is not None:
        conditions.append(DECISIONS.c.decided_at >= selection.start)
    if selection.end is not None:
        conditions.append(DECISIONS.c.decided_at < selection.end)
    if selection.family:
        conditions.append(DECISIONS.c.family == selection.family)
    return conditions


def _latest_per_key(rows: Sequence[Any], key: str) -> list[Any]:
    """Keep the highest revision of each id: one statement may not touch a row twice in a sensible order."""
    kept: dict[str, Any] = {}
    for row in rows:
        name = getattr(row, key)
        if name not in kept or getattr(row, "revision", 0) > getattr(kept[name], "revision", 0):
            kept[name] = row
    return list(kept.values())
