"""What became of pills, read back from their labels and the decision log."""

from __future__ import annotations

from sqlalchemy import and_, case, exists, func, select

from tiermesh_insights.records import PillLine, Selection
from tiermesh_insights.store.database import Database
from tiermesh_insights.store.reading import selected
from tiermesh_insights.tables import DECISIONS, PILLS


class Pills:
    """Pills by what became of them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def lines(self, selection: Selection) -> list[PillLine]:
        """Return what became of the pills of a selection.

        A pill is ignored when it was shown, was not clicked, and its conversation went on.
        """
        shown, clicked, then = PILLS.alias("shown"), PILLS.alias("clicked"), DECISIONS.alias("then")
        # Once for all pills: asked of each pill, it is the square of the log.
        last = (
            select(then.c.conversation_id, func.max(then.c.turn).label("turn"))
            .where(then.c.tenant == selection.tenant)
            .group_by(then.c.conversation_id)
            .subquery("last")
        )
        click = exists().where(
            clicked.c.tenant == shown.c.tenant, clicked.c.pill_id == shown.c.pill_id, clicked.c.state == "clicked"
        )
        went_on = last.c.turn > DECISIONS.c.turn
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
                ).join(last, last.c.conversation_id == DECISIONS.c.conversation_id)
            )
            .where(shown.c.state == "shown", *selected(selection))
            .group_by(*keys)
            .order_by(*keys)
        )
        return [PillLine(*(int(value) for value in row)) for row in await self._database.rows(statement)]
