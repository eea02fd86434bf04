"""Reads turns and what was said of them, for everything that is worked out from evidence."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select

from tiermesh_insights.evidence import Turn
from tiermesh_insights.records import OutcomeRow, Selection
from tiermesh_insights.store.database import Database
from tiermesh_insights.tables import DECISIONS, OUTCOMES, USAGE

# Tags whose cost is not the answer's own: the pill track, and what watches over answers.
BESIDE_THE_ANSWER = ("suggest", "judge")
# A question's calls begin within this of its decision.
_NEAR = timedelta(hours=1)


class Reading:
    """The log, as evidence reads it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def turns(self, selection: Selection) -> list[Turn]:
        """Return the decisions of a selection, oldest first, each with what answering it cost."""
        spent = _spent(selection).subquery()
        columns = DECISIONS.c
        statement = (
            select(
                columns.decision_id,
                columns.tenant,
                columns.decided_at,
                columns.route,
                columns.tier,
                columns.intent,
                columns.family,
                columns.stage,
                columns.position,
                columns.confidence,
                columns.threshold,
                columns.base_threshold,
                columns.settled_by,
                columns.high_scope,
                func.coalesce(spent.c.cost, 0),
                columns.estimated_cost_micros,
                columns.other_cost_micros,
                columns.conversation_id,
                columns.turn,
            )
            .select_from(DECISIONS.outerjoin(spent, spent.c.request_id == columns.request_id))
            .where(*selected(selection))
            .order_by(columns.decided_at, columns.decision_id)
        )
        return [_turn(row) for row in await self._database.rows(statement)]

    async def outcomes(self, selection: Selection) -> list[OutcomeRow]:
        """Return what was said of the decisions of a selection."""
        columns = OUTCOMES.c
        statement = (
            select(
                columns.outcome_id,
                columns.decision_id,
                columns.tenant,
                columns.source,
                columns.success,
                columns.weight,
                columns.at,
                columns.judged_here,
            )
            .select_from(
                OUTCOMES.join(
                    DECISIONS,
                    and_(DECISIONS.c.tenant == columns.tenant, DECISIONS.c.decision_id == columns.decision_id),
                )
            )
            .where(*selected(selection))
        )
        return [OutcomeRow(*row) for row in await self._database.rows(statement)]

    async def records(self, selection: Selection) -> list[tuple[str, bytes]]:
        """Return decision ids with the whole records."""
        statement = select(DECISIONS.c.decision_id, DECISIONS.c.record).where(*selected(selection))
        return [(row[0], row[1]) for row in await self._database.rows(statement)]

    async def base_threshold(self, tenant: str) -> tuple[float, str] | None:
        """Return the tenant's threshold and its version as the newest decision knew them; None before the first."""
        statement = (
            select(DECISIONS.c.base_threshold, DECISIONS.c.threshold_version)
            .where(DECISIONS.c.tenant == tenant)
            .order_by(DECISIONS.c.decided_at.desc())
            .limit(1)
        )
        rows = await self._database.rows(statement)
        return (rows[0][0], rows[0][1]) if rows else None

    async def one(self, tenant: str, *, decision_id: str, request_id: str) -> bytes | None:
        """Return the record of one decision, by either id; None when the tenant has none such."""
        wanted = DECISIONS.c.decision_id == decision_id if decision_id else DECISIONS.c.request_id == request_id
        rows = await self._database.rows(
            select(DECISIONS.c.record).where(DECISIONS.c.tenant == tenant, wanted).limit(1)
        )
        return rows[0][0] if rows else None

    async def outcomes_of(self, tenant: str, decision_id: str) -> list[OutcomeRow]:
        """Return what was said of one decision, oldest first."""
        columns = OUTCOMES.c
        statement = select(
            columns.outcome_id,
            columns.decision_id,
            columns.tenant,
            columns.source,
            columns.success,
            columns.weight,
            columns.at,
            columns.judged_here,
        ).where(columns.tenant == tenant, columns.decision_id == decision_id)
        return [OutcomeRow(*row) for row in await self._database.rows(statement.order_by(columns.at))]

    async def usage_of(self, tenant: str, request_id: str) -> Sequence[bytes]:
        """Return the ledger entries of one question, in the order in which the calls began."""
        statement = (
            select(USAGE.c.record)
            .where(USAGE.c.tenant == tenant, USAGE.c.request_id == request_id)
            .order_by(USAGE.c.started_at)
        )
        return [row[0] for row in await self._database.rows(statement)]

    async def tenants(self) -> list[str]:
        """Return every tenant that has decisions."""
        return [row[0] for row in await self._database.rows(select(DECISIONS.c.tenant).distinct())]


def _turn(row: Any) -> Turn:
    """A row of the columns above; sums come as decimals from PostgreSQL."""
    values = list(row)
    values[14] = int(values[14])
    return Turn(*values)


def selected(selection: Selection) -> list[ColumnElement[bool]]:
    """Return the conditions on DECISIONS that make a selection."""
    conditions: list[ColumnElement[bool]] = [DECISIONS.c.tenant == selection.tenant]
    if selection.start is not None:
        conditions.append(DECISIONS.c.decided_at >= selection.start)
    if selection.end is not None:
        conditions.append(DECISIONS.c.decided_at < selection.end)
    if selection.family:
        conditions.append(DECISIONS.c.family == selection.family)
    return conditions


def _spent(selection: Selection) -> Select[Any]:
    """What each question of the selection's time cost to answer."""
    conditions: list[ColumnElement[bool]] = [
        USAGE.c.tenant == selection.tenant,
        USAGE.c.request_id != "",
        USAGE.c.tag.not_in(BESIDE_THE_ANSWER),
    ]
    if selection.start is not None:
        conditions.append(USAGE.c.started_at >= selection.start - _NEAR)
    if selection.end is not None:
        conditions.append(USAGE.c.started_at < selection.end + _NEAR)
    cost = func.sum(USAGE.c.cost_micros).label("cost")
    return select(USAGE.c.request_id, cost).where(*conditions).group_by(USAGE.c.request_id)
