"""How records lie in time, as SQL: bounding a source by a period, and telling its records apart by a calendar grain."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from tiermesh_aggregator import calendars
from tiermesh_aggregator.compiling.portable import shifted
from tiermesh_aggregator.compiling.source import Expression, Source, raw, valid_until
from tiermesh_aggregator.query import Moment, Period


@dataclass(frozen=True)
class Timed:
    """A source bounded by a period: the conditions, and per grain the expression that tells records apart."""

    conditions: list[Expression]
    grains: dict[str, Expression]
    steps: sa.FromClause | None
    """Steps of a grain that the source has to be joined with (on true, the conditions decide); None for points."""
    day: Expression | None = None
    """The day on which a record is looked at: its own, or for states that of the period; None outside of time."""


def bound(source: Source, time: str, period: Period, grains: Sequence[str], moment: Moment, *, years: bool) -> Timed:
    """Bounds `source` by its time column. `years` keeps all years of a yearly time instead of the last one."""
    if not time:
        return Timed([], {}, None)
    column = source.entity.times[time]
    start = source.column(column.start)
    if column.kind == "point":
        return Timed(_between(start, period), {grain: truncated(start, grain, moment) for grain in grains}, None, start)
    if grains:
        return _stepped(source, time, period, grains, moment)
    day = sa.literal(period.last_day(moment.today), sa.Date)
    if column.kind == "yearly" and years:
        return Timed(_years(start, period), {}, None, day)
    if column.kind == "overlap":
        return Timed(_touching(source, time, period), {}, None, start)
    return Timed(_valid_on(source, time, day), {}, None, day)


def _between(column: Expression, period: Period) -> list[Expression]:
    found: list[Expression] = []
    if period.start is not None:
        found.append(column >= period.start)
    if period.end is not None:
        found.append(column < period.end)
    return found


def _years(column: Expression, period: Period) -> list[Expression]:
    found: list[Expression] = []
    if period.start is not None:
        found.append(column >= period.start.year)
    if period.end is not None:
        found.append(column <= Period(None, period.end).last_day(period.end).year)
    return found


def _touching(source: Source, time: str, period: Period) -> list[Expression]:
    column = source.entity.times[time]
    start, end = source.column(column.start), source.column(column.end)
    found: list[Expression] = []
    if period.end is not None:
        found.append(start < period.end)
    if period.start is not None:
        found.append(sa.or_(end >= period.start, end.is_(None)))
    return found


def _valid_on(source: Source, time: str, day: Expression) -> list[Expression]:
    """States: what holds on a day."""
    column = source.entity.times[time]
    start = source.column(column.start)
    if column.kind == "yearly":
        return [start == sa.cast(sa.extract("year", day), sa.Integer)]
    if column.kind == "effective":
        following: Expression = source.base.c[valid_until]
        return [start <= day, sa.or_(following > day, following.is_(None))]
    end = source.column(column.end)
    return [start <= day, sa.or_(end >= day, end.is_(None))]


def _stepped(source: Source, time: str, period: Period, grains: Sequence[str], moment: Moment) -> Timed:
    """States and spans are counted in every step that they reach; the finest grain makes the steps."""
    order = ("day", "week", "month", "fiscal_quarter", "quarter", "fiscal_year", "year")
    finest = min(grains, key=order.index)
    steps = calendars.buckets(period, finest, moment)
    rows = [(step.start, step.end, step.looked_at) for step in steps] or [(moment.today,) * 3]
    values = sa.values(
        sa.column("step", sa.Date), sa.column("step_end", sa.Date), sa.column("looked_at", sa.Date), name="steps"
    ).data(rows)
    starts: Expression = values.c.step
    ends: Expression = values.c.step_end
    looked_at: Expression = values.c.looked_at
    if source.entity.times[time].kind == "overlap":
        column = source.entity.times[time]
        end = source.column(column.end)
        conditions: list[Expression] = [source.column(column.start) < ends, sa.or_(end >= starts, end.is_(None))]
        conditions += _touching(source, time, period)
        day = source.column(column.start)
    else:
        conditions = _valid_on(source, time, looked_at)
        day = looked_at
    return Timed(conditions, {grain: truncated(starts, grain, moment) for grain in grains}, values, day)


def truncated(column: Expression, grain: str, moment: Moment) -> Expression:
    """The first day of the step that holds the column's day."""
    if grain == "day":
        return column
    stamp: Expression = sa.cast(column, sa.TIMESTAMP)
    unit = raw(f"'{grain.removeprefix('fiscal_')}'")
    amount, moved = 0, "month"
    if grain == "week" and moment.week_start == "sunday":
        amount, moved = 1, "day"
    elif grain.startswith("fiscal") and moment.fiscal_year_start > 1:
        amount = 1 - moment.fiscal_year_start
    if not amount:
        return sa.cast(sa.func.date_trunc(unit, stamp), sa.Date)
    return sa.cast(shifted(sa.func.date_trunc(unit, shifted(stamp, amount, moved)), -amount, moved), sa.Date)
