"""Amounts in several currencies, as SQL: each converted at the rate of its own day, and what had no rate, counted.

A rate holds from its day until the next one of its currency. The latest one is looked up by a lateral join, which takes
the rate table's key and is remembered per currency and day; where a dialect has none, the rates are joined as spans. Of
either no more than one row fits, since currency and day are that key: a join multiplies no record.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Currencies, Money

from tiermesh_aggregator.compiling.catalog import Catalog
from tiermesh_aggregator.compiling.portable import days_between
from tiermesh_aggregator.compiling.source import Expression, Source, raw

exact = sa.Numeric(38, 6)
cents = 2


@dataclass(frozen=True)
class Reporting:
    """The currency that is asked for, and where the rates stand."""

    catalog: Catalog
    currencies: Currencies
    currency: str
    lateral: bool = True
    """Whether the dialect can look a row up per record, the latest of several."""

    def spans(self, name: str) -> sa.FromClause:
        """currency, since, until (None for the newest) and rate."""
        rates, table = self.currencies, self.catalog.table(self.currencies.table)
        code, day = table.c[rates.currency], table.c[rates.date]
        until = sa.func.lead(day).over(partition_by=code, order_by=day)
        chosen = sa.select(
            code.label("currency"), day.label("since"), until.label("until"), table.c[rates.rate].label("rate")
        )
        return chosen.subquery(name)

    def latest(self, name: str, code: Expression, day: Expression) -> sa.FromClause:
        """since and rate of the newest row of a currency at or before a day."""
        rates, table = self.currencies, self.catalog.table(self.currencies.table).alias(f"{name}r")
        since = table.c[rates.date]
        chosen = sa.select(since.label("since"), table.c[rates.rate].label("rate"))
        chosen = chosen.where(table.c[rates.currency] == code, since <= day, *self.young(since, day))
        return chosen.order_by(since.desc()).limit(raw("1")).lateral(name)

    def young(self, since: Expression, day: Expression) -> list[Expression]:
        """That a rate is not too old, where the model sets a bound."""
        oldest = self.currencies.max_age_days
        return [days_between(day, since) <= raw(str(oldest))] if oldest else []


@dataclass(frozen=True)
class Converted:
    """An amount in the reporting currency, and what a reader must know of its rates. Each is of one record."""

    value: Expression
    """Rounded to cents, so that shown amounts add up to their sum; NULL without a rate."""
    unrated: Expression
    """Whether there is an amount, but no rate."""
    lacking: Expression
    """The currency that has no rate."""
    rated: Expression
    """Day of the newest rate that was used; NULL when none was."""


class Conversion:
    """Collects the rates that one source's money needs; `joined` is complete when all amounts have been asked for."""

    def __init__(self, source: Source, reporting: Reporting) -> None:
        self._source = source
        self._reporting = reporting
        self._joins: dict[tuple[str, str], Sequence[tuple[sa.FromClause, Expression]]] = {}

    def amount(self, money: Money, value: Expression, day: Expression | None) -> Converted:
        """`day` is the one on which the measure's time looks at the record, for money that names no day of its own."""
        wanted = sa.literal(self._reporting.currency, sa.Text)
        code = self._source.column(money.column)
        own, theirs = self._rates(money, code, wanted, day)
        known = sa.case((code == self._reporting.currencies.base, raw("1")), else_=own.c.rate)
        made: Expression = value * known
        rated: Expression = own.c.since
        lacking: Expression = code
        lacks: Expression = known.is_(None)
        if theirs is not None:
            # Engines divide decimals each in its own way, but doubles to the last bit alike.
            made = sa.cast(sa.cast(made, sa.Double) / sa.cast(theirs.c.rate, sa.Double), exact)
            rated = sa.func.greatest(sa.func.coalesce(own.c.since, theirs.c.since), theirs.c.since)
            lacking = sa.case((known.is_(None), code), else_=wanted)
            lacks = sa.or_(lacks, theirs.c.rate.is_(None))
        same = code == wanted
        converted = sa.case((same, sa.cast(value, exact)), else_=sa.func.round(made, raw(str(cents))))
        return Converted(
            value=sa.type_coerce(converted, exact),
            unrated=sa.and_(value.is_not(None), code.is_distinct_from(wanted), lacks),
            lacking=lacking,
            rated=sa.case((same, sa.null()), else_=rated),
        )

    def _rates(
        self, money: Money, code: Expression, wanted: Expression, day: Expression | None
    ) -> tuple[sa.FromClause, sa.FromClause | None]:
        key = (money.column, money.date)
        if key not in self._joins:
            holds = self._source.column(money.date) if money.date else day
            if holds is None:
                raise ValueError("money without a day has not been checked")
            number = len(self._joins)
            found = [self._span(f"x{number}", code, holds)]
            if self._reporting.currency != self._reporting.currencies.base:
                found.append(self._span(f"y{number}", wanted, holds))
            self._joins[key] = found
        tables = [table for table, _ in self._joins[key]]
        return tables[0], tables[1] if len(tables) > 1 else None

    def _span(self, name: str, code: Expression, day: Expression) -> tuple[sa.FromClause, Expression]:
        if self._reporting.lateral:
            return self._reporting.latest(name, code, day), sa.true()
        rates = self._reporting.spans(name)
        ends = rates.c.until
        holds = [rates.c.currency == code, rates.c.since <= day, sa.or_(ends.is_(None), ends > day)]
        return rates, sa.and_(*holds, *self._reporting.young(rates.c.since, day))

    def joined(self, source: sa.FromClause) -> sa.FromClause:
        """`source` with the rates."""
        for pairs in self._joins.values():
            for table, condition in pairs:
                source = source.outerjoin(table, condition)
        return source


def unrated_name(part: str) -> str:
    """Column of a part: how many amounts have no rate."""
    return f"{part}__unrated"


def lacking_name(part: str) -> str:
    """Column of a part: a currency that has no rate."""
    return f"{part}__lacking"


def rated_name(part: str) -> str:
    """Column of a part: day of the newest rate used."""
    return f"{part}__rated"


def told(part: str, columns: tuple[Any, Any, Any]) -> list[sa.Label[Any]]:
    """What is told of a part's rates: how many lack, one that lacks, the newest used."""
    unrated, lacking, rated = columns
    return [
        unrated.label(unrated_name(part)),
        lacking.label(lacking_name(part)),
        rated.label(rated_name(part)),
    ]


def untold(part: str) -> list[sa.Label[Any]]:
    """The same where a part has no records."""
    nothing = sa.null()
    return told(part, (sa.cast(nothing, sa.BigInteger), sa.cast(nothing, sa.Text), sa.cast(nothing, sa.Date)))
