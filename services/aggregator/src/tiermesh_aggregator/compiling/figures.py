"""Questions about figures: count, sum, average, rank, compare, trend. Puts parts together into one statement."""

from typing import Any

import sqlalchemy as sa
from tiermesh_pack.semantic import Measure

from tiermesh_aggregator import calendars
from tiermesh_aggregator.compiling.compiled import Compiled
from tiermesh_aggregator.compiling.disclosure import summed
from tiermesh_aggregator.compiling.money import lacking_name, rated_name, unrated_name
from tiermesh_aggregator.compiling.parts import Context, Frame, grouped, has_words, key_name, part_kind, words_name
from tiermesh_aggregator.compiling.plan import Plan
from tiermesh_aggregator.compiling.portable import bytewise
from tiermesh_aggregator.compiling.scope import Members
from tiermesh_aggregator.compiling.source import Expression, Source, raw
from tiermesh_aggregator.compiling.suppressing import Lines, beside, complemented, few, size
from tiermesh_aggregator.compiling.wording import caption, scope_notes, side_label
from tiermesh_aggregator.failures import UnknownNameError
from tiermesh_aggregator.query import Aggregation, ColumnKind, Ordering, ResultColumn

ties_shown = 10
"""Rows beyond the limit that are read to see who ties with the last one."""
zero = raw("0")


def figures(plan: Plan, context: Context, labels: dict[str, str]) -> Compiled:
    """One statement for a planned question; `labels` word the keys of people and departments."""
    return _Figures(plan, context, labels).compiled()


class _Figures:
    """Builds one statement. Columns of the result are collected together with their descriptions."""

    def __init__(self, plan: Plan, context: Context, labels: dict[str, str]) -> None:
        self._plan = plan
        self._context = context
        self._labels = labels
        self._query = plan.query
        self._columns: list[tuple[ResultColumn, Expression]] = []
        self._order: dict[str, Expression] = {}
        self._ranked = plan.query.aggregation is Aggregation.RANK

    def compiled(self) -> Compiled:
        groups = self._groups()
        values = self._suppressed(groups.cte("v"))
        self._sides(values)
        self._keys(values)
        figures = {measure.name: self._figure(values, measure) for measure in self._plan.measures}
        self._rank(figures)
        self._measures(values, figures)
        self._differences(values, figures)
        select, suppressed, rates = self._select(values, figures)
        additive = {measure.name for measure in self._plan.measures if measure.additive}
        return Compiled(
            select=select,
            columns=[column for column, _ in self._columns],
            query=self._query,
            caption=caption(self._plan, self._labels, self._context.moment),
            limit=self._plan.limit,
            figures=True,
            notes=scope_notes(self._context.scope, self._query),
            rank=self._index(self._plan.measures[0].name) if self._ranked else None,
            zero_when_empty=tuple(
                index for index, (column, _) in enumerate(self._columns) if column.measure and column.name in additive
            ),
            suppressed=suppressed,
            rates=rates,
            reporting=self._plan.reporting if rates is not None else "",
            sums=tuple(summed(self._query, self._plan.parts, self._plan.grains)) if self._context.scope.wide else (),
            fill=self._fill(),
        )

    def _index(self, name: str) -> int:
        return next(index for index, (column, _) in enumerate(self._columns) if column.name == name)

    def _groups(self) -> sa.Select[Any] | sa.CompoundSelect[Any]:
        query = self._query
        period = query.period
        if period is None:
            raise ValueError("a plan has a period")
        everyone = self._with_everyone()
        if not query.sides:
            frame = Frame(Members(query.population, query.people, query.departments, query.teams), period)
            return grouped(self._plan, self._context, frame, everyone=everyone)
        sides = []
        for number, side in enumerate(query.sides):
            named = bool(side.people or side.departments or side.population or side.teams)
            members = Members(
                side.population or query.population,
                side.people if named else query.people,
                side.departments if named else query.departments,
                side.teams if named else query.teams,
            )
            frame = Frame(members, side.period or period)
            one = grouped(self._plan, self._context, frame, everyone=False).subquery(f"side{number}")
            label = sa.cast(sa.literal(side_label(side, self._labels), sa.Text), sa.Text)
            sides.append(sa.select(raw(str(number)).label("side_number"), label.label("side"), *one.c))
        return sa.union_all(*sides)

    def _suppressed(self, groups: sa.CTE) -> sa.CTE:
        if not self._context.scope.wide:
            return groups
        keys = [key_name(index) for index in range(len(self._plan.dimensions))]
        person = self._context.model.person
        of_people = all(person is not None and one.name in person.dimensions for one in self._plan.dimensions)
        minimum = self._context.scope.minimum_group
        chosen = any(one.choices for one in summed(self._query, (), ()))
        counts = (size, beside) if chosen else (size,)
        return complemented(groups, Lines(tuple(keys), bool(self._query.sides), of_people, minimum, counts))

    def _with_everyone(self) -> bool:
        """Whether who has no record belongs into the answer: "least" must find those with nothing at all."""
        person = self._context.model.person
        by_people = bool(self._plan.dimensions) and all(
            person is not None
            and dimension.name in person.dimensions
            and not any(dimension.name in part.entity.dimensions for part in self._plan.parts.values())
            for dimension in self._plan.dimensions
        )
        entities = {part.entity.name for part in self._plan.parts.values()}
        people = {part.entity.table for part in self._plan.parts.values()} == {person.table if person else ""}
        additive = all(measure.additive for measure in self._plan.measures)
        return self._ranked and by_people and additive and not people and bool(entities) and not self._descending()

    def _descending(self) -> bool:
        named = {one.field: one.descending for one in self._query.order_by}
        return named.get(self._plan.measures[0].name, True)

    def _sides(self, values: sa.CTE) -> None:
        if self._query.sides:
            self._columns.append((ResultColumn("side", "Compared", "text"), values.c.side))

    def _keys(self, values: sa.CTE) -> None:
        for index, dimension in enumerate(self._plan.dimensions):
            key = values.c[key_name(index)]
            self._order[dimension.name] = key
            kind = self._key_kind(dimension.name)
            if has_words(self._plan, dimension, self._context):
                if dimension.kind == "person":
                    self._columns.append((ResultColumn(f"{dimension.name}_id", f"{dimension.label} id", kind), key))
                words = values.c[words_name(index)]
                self._columns.append((ResultColumn(dimension.name, dimension.label, "text"), words))
            else:
                self._columns.append((ResultColumn(dimension.name, dimension.label, kind), key))

    def _key_kind(self, name: str) -> ColumnKind:
        if self._plan.domain.dimensions[name].kind == "time":
            return "date"
        part = next(iter(self._plan.parts.values()))
        source = Source(self._context.catalog, self._context.model, part.entity, self._context.moment)
        return source.dimension_kind(name)

    def _part(self, values: sa.CTE, name: str) -> Expression:
        column = values.c[name]
        return sa.func.coalesce(column, zero) if self._plan.parts[name].measure.additive else column

    def _figure(self, values: sa.CTE, measure: Measure) -> Expression:
        halves = self._plan.halves[measure.name]
        if measure.compute != "ratio":
            return self._part(values, halves[0])
        above = sa.cast(self._part(values, halves[0]), sa.Double)
        below: Expression = sa.func.nullif(sa.cast(self._part(values, halves[1]), sa.Double), zero, type_=sa.Double())
        quotient = above / below
        return quotient * raw(f"{measure.scale:g}") if measure.scale != 1 else quotient

    def _kind(self, measure: Measure) -> ColumnKind:
        if measure.compute == "ratio":
            return "double"
        return part_kind(self._plan.parts[self._plan.halves[measure.name][0]], self._context)

    def _rank(self, figures: dict[str, Expression]) -> None:
        if self._ranked:
            ordered = directed(figures[self._plan.measures[0].name], descending=self._descending())
            self._columns.insert(0, (ResultColumn("rank", "Rank", "integer"), sa.func.rank().over(order_by=ordered)))

    def _measures(self, values: sa.CTE, figures: dict[str, Expression]) -> None:
        for measure in self._plan.measures:
            column = ResultColumn(
                measure.name,
                measure.label,
                self._kind(measure),
                measure.unit,
                self._currency(measure),
                measure=True,
                decimals=measure.decimals,
            )
            self._columns.append((column, figures[measure.name]))
            self._order[measure.name] = figures[measure.name]

    def _currency(self, measure: Measure) -> str:
        converted = self._context.model.converted(measure, self._plan.domain.name)
        return self._plan.reporting if converted else measure.currency

    def _differences(self, values: sa.CTE, figures: dict[str, Expression]) -> None:
        """What a side differs from the first one, and by how many percent: a reader need not calculate."""
        if not self._query.sides:
            return
        keys = [values.c[key_name(index)] for index in range(len(self._plan.dimensions))]
        for measure in self._plan.measures:
            value = figures[measure.name]
            of_first = sa.case((values.c.side_number == zero, value))
            base = sa.func.max(of_first).over(partition_by=keys or None)
            unit = "percentage points" if measure.unit == "%" else measure.unit
            difference = ResultColumn(
                f"{measure.name}_difference",
                f"{measure.label}: difference to the first",
                self._kind(measure),
                unit,
                self._currency(measure),
                measure=True,
                decimals=measure.decimals,
            )
            change = ResultColumn(
                f"{measure.name}_change",
                f"{measure.label}: change from the first",
                "double",
                "%",
                measure=True,
                decimals=1,
            )
            share = sa.cast(value - base, sa.Double) / sa.func.nullif(sa.cast(base, sa.Double), zero, type_=sa.Double())
            self._columns += [(difference, value - base), (change, share * raw("100"))]

    def _rated(self, values: sa.CTE) -> sa.Subquery | None:
        """One row about all groups, also those that are not shown; None when nothing is converted."""
        names = [part.name for part in self._plan.parts.values() if part.converted]
        if not names:
            return None
        unrated: list[Expression] = [
            sa.func.coalesce(sa.func.sum(values.c[unrated_name(name)]), zero) for name in names
        ]
        total: Expression = unrated[0]
        for one in unrated[1:]:
            total = total + one
        lacking = sa.func.coalesce(*(sa.func.min(values.c[lacking_name(name)]) for name in names), sa.null())
        newest: list[Expression] = [sa.func.max(values.c[rated_name(name)]) for name in names]
        day: Expression = newest[0]
        for one in newest[1:]:
            day = sa.func.greatest(sa.func.coalesce(day, one), sa.func.coalesce(one, day))
        columns = [sa.cast(total, sa.BigInteger).label("unrated"), lacking.label("lacking"), day.label("rated")]
        return sa.select(*columns).select_from(values).subquery("rates")

    def _select(self, values: sa.CTE, figures: dict[str, Expression]) -> tuple[sa.Select[Any], int | None, int | None]:
        shown = [expression.label(f"c{index}") for index, (_, expression) in enumerate(self._columns)]
        rated = self._rated(values)
        kept: list[Expression] = []
        if self._ranked:
            there: Expression = figures[self._plan.measures[0].name].is_not(None)
            # A group that has no figure because a rate lacks must not go unnoticed.
            kept.append(there if rated is None else sa.or_(there, rated.c.unrated > zero))
        suppressed = None
        if self._context.scope.wide:
            kept.append(values.c[few] == zero)
            small = sa.func.count(sa.case((values.c[few] > zero, raw("1"))))
            tally = sa.select(small.label("suppressed")).select_from(values).subquery("tally")
            joined: sa.FromClause = tally if rated is None else tally.join(rated, sa.true())
            source: sa.FromClause = joined.outerjoin(values, sa.and_(*kept))
            present = values.c[few].is_not(None)
            select = sa.select(*shown, tally.c.suppressed, present.label("present")).select_from(source)
            suppressed = len(shown)
        else:
            source = values if rated is None else values.join(rated, sa.true())
            select = sa.select(*shown).select_from(source).where(*kept)
        rates = None
        if rated is not None:
            rates = len(select.selected_columns)
            select = select.add_columns(*rated.c)
        more = ties_shown + 1 if self._ranked else 1
        ordered = select.order_by(*self._ordering(values, figures)).limit(self._plan.limit + more)
        return ordered, suppressed, rates

    def _ordering(self, values: sa.CTE, figures: dict[str, Expression]) -> list[Expression]:
        asked = [self._named(index, one) for index, one in enumerate(self._query.order_by)]
        if not asked and self._query.sides:
            asked = [values.c.side_number]
        elif not asked and self._query.aggregation is Aggregation.TREND:
            grains = [self._order[name] for name in self._plan.grains]
            asked = [directed(column, descending=False) for column in grains]
        elif not asked:
            asked = [directed(figures[self._plan.measures[0].name], descending=self._descending())]
        keys = [values.c[key_name(index)] for index in range(len(self._plan.dimensions))]
        # Equal rows always come in the same order, whatever the engine's collation.
        return asked + [directed(key, descending=False) for key in map(binary, keys)]

    def _named(self, index: int, one: Ordering) -> Expression:
        if one.field not in self._order:
            known = list(self._order)
            raise UnknownNameError(f"order_by[{index}]", one.field, "measure or dimension of this query", known)
        return directed(self._order[one.field], descending=one.descending)

    def _fill(self) -> tuple[int, tuple[Any, ...]] | None:
        """All steps of a development that has nothing but its grain, so that an empty month shows as zero."""
        plan, period = self._plan, self._query.period
        alone = self._query.aggregation is Aggregation.TREND and len(plan.dimensions) == 1
        bounded = period is not None and period.start is not None
        if not alone or not bounded or period is None or self._context.scope.wide:
            return None
        steps = calendars.buckets(period, plan.dimensions[0].name, self._context.moment)
        return self._index(plan.dimensions[0].name), tuple(step.start for step in steps)


def binary(column: Expression) -> Expression:
    """Texts in byte order, whatever the collation of the database."""
    return bytewise(column) if isinstance(column.type, sa.Text) else column


def directed(column: Expression, *, descending: bool) -> Expression:
    """Engines disagree on where NULLs go; here they always come last."""
    return column.desc().nulls_last() if descending else column.asc().nulls_last()
