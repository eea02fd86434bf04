"""Adds up spend and reads how turns ended, for the reports on cost, routing and quality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, case, func, select

from tiermesh_insights.records import CostLine, EndingRow, Selection
from tiermesh_insights.statistics import Rate, share
from tiermesh_insights.store.database import Database
from tiermesh_insights.store.reading import selected
from tiermesh_insights.tables import DECISIONS, ENDINGS, USAGE


@dataclass(frozen=True, slots=True)
class Session:
    """One conversation's spend."""

    conversation_id: str
    questions: int
    calls: int
    cost_micros: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class TagUse:
    """How often one version of a tag's prompt was called, and how often the first candidate did not do."""

    tag: str
    prompt_version: str
    calls: int
    fallbacks: int

    @property
    def fallback_share(self) -> Rate:
        """Share of the calls that were not the first, or failed."""
        return share(self.fallbacks, self.calls)


class Reports:
    """The sums behind reports."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def cost(self, selection: Selection) -> list[CostLine]:
        """Return spend per tag, tier and model, dearest first, in the selection's time; no family narrows it."""
        tokens = [
            USAGE.c[f"{name}_tokens"] for name in ("input", "cache_write_5m", "cache_write_1h", "cache_read", "output")
        ]
        statement = (
            select(
                USAGE.c.tag,
                USAGE.c.tier,
                USAGE.c.model,
                func.count(),
                func.sum(USAGE.c.cost_micros),
                func.max(USAGE.c.at_least.cast(USAGE.c.tier.type)),
                *(func.sum(column) for column in tokens),
            )
            .where(*_spent_in(selection))
            .group_by(USAGE.c.tag, USAGE.c.tier, USAGE.c.model)
            .order_by(func.sum(USAGE.c.cost_micros).desc(), USAGE.c.tag, USAGE.c.model)
        )
        return [
            CostLine(row[0], row[1], row[2], row[3], int(row[4]), bool(row[5]), *(int(value) for value in row[6:]))
            for row in await self._database.rows(statement)
        ]

    async def sessions(self, selection: Selection, most: int) -> list[Session]:
        """Return the dearest conversations."""
        cost = func.sum(USAGE.c.cost_micros)
        statement = (
            select(
                USAGE.c.conversation_id,
                func.count(USAGE.c.request_id.distinct()),
                func.count(),
                cost,
                func.max(USAGE.c.started_at, type_=USAGE.c.started_at.type),
            )
            .where(*_spent_in(selection), USAGE.c.conversation_id != "")
            .group_by(USAGE.c.conversation_id)
            .order_by(cost.desc(), USAGE.c.conversation_id)
            .limit(most)
        )
        return [Session(row[0], row[1], row[2], int(row[3]), row[4]) for row in await self._database.rows(statement)]

    async def spend_moments(self, selection: Selection) -> list[tuple[datetime, int]]:
        """Return when how much was spent, call by call."""
        statement = select(USAGE.c.started_at, USAGE.c.cost_micros).where(*_spent_in(selection))
        return [(row[0], row[1]) for row in await self._database.rows(statement)]

    async def endings(self, selection: Selection) -> dict[str, EndingRow]:
        """Return how the turns of a selection ended; of a turn with several ends the last one."""
        columns = ENDINGS.c
        statement = (
            select(*columns)
            .select_from(
                ENDINGS.join(
                    DECISIONS,
                    and_(DECISIONS.c.tenant == columns.tenant, DECISIONS.c.decision_id == columns.decision_id),
                )
            )
            .where(*selected(selection))
            .order_by(columns.at)
        )
        return {row[0]: EndingRow(*row) for row in await self._database.rows(statement)}

    async def tag_use(self, selection: Selection) -> list[TagUse]:
        """Return calls per tag and prompt version. Attempts beyond the first and failed calls are fallbacks."""
        fell_back = func.sum(case(((USAGE.c.attempt > 1) | (USAGE.c.outcome == "failed"), 1), else_=0))
        statement = (
            select(USAGE.c.tag, USAGE.c.prompt_version, func.count(), fell_back)
            .where(*_spent_in(selection), USAGE.c.outcome != "intended")
            .group_by(USAGE.c.tag, USAGE.c.prompt_version)
            .order_by(USAGE.c.tag, USAGE.c.prompt_version)
        )
        return [TagUse(row[0], row[1], row[2], int(row[3])) for row in await self._database.rows(statement)]

    async def tags_of_answers(self, selection: Selection) -> list[tuple[str, str, str]]:
        """Return (decision id, tag, prompt version) of the calls that served the turns of a selection."""
        statement = (
            select(DECISIONS.c.decision_id, USAGE.c.tag, USAGE.c.prompt_version)
            .select_from(
                DECISIONS.join(
                    USAGE, and_(USAGE.c.tenant == DECISIONS.c.tenant, USAGE.c.request_id == DECISIONS.c.request_id)
                )
            )
            .where(
                *selected(selection), USAGE.c.outcome == "served", USAGE.c.tag.not_in(("suggest", "judge", "classify"))
            )
            .distinct()
        )
        return [(row[0], row[1], row[2]) for row in await self._database.rows(statement)]


def _spent_in(selection: Selection) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [USAGE.c.tenant == selection.tenant]
    if selection.start is not None:
        conditions.append(USAGE.c.started_at >= selection.start)
    if selection.end is not None:
        conditions.append(USAGE.c.started_at < selection.end)
    return conditions
